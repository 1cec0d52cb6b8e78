"""Store, proof and Telegraf on the page, in a real browser."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from tests.broker import Broker
from tests.page_feed import CannedApi, Feed

pytestmark = [pytest.mark.browser, pytest.mark.real]
Open = Callable[..., Page]
HOSTILE = "<script>document.title='owned'</script>"


@pytest.fixture
def api(broker: Broker) -> CannedApi:
    return CannedApi(broker.ws_port)


def test_the_state_of_proof_stands_among_the_feeds(feed: Feed, api: CannedApi, open_page: Open) -> None:
    at = datetime(2026, 11, 21, 14, 3, 20, tzinfo=UTC).astimezone()
    proof = {"state": "complete", "complete_until_ns": int(at.timestamp()) * 10**9, "repaired": 12, "lost": 0}
    api.told_health = {"history": {}, "health": {}, "proof": proof}
    page = open_page(api=api)
    card = page.locator(".kept", has_text="history")
    expect(card).to_contain_text(f"complete up to {at:%H:%M:%S}")
    expect(card).to_contain_text("Repaired12")
    expect(card).to_have_class("kept good")
    api.told_health["proof"] = {**proof, "state": "missing", "lost": 3, "reason": "3 of trades/kucoin/BTC-USDT"}
    expect(card).to_contain_text("Lost3")
    expect(card).to_contain_text("3 of trades/kucoin/BTC-USDT")
    expect(card).to_have_class("kept bad")


def test_a_history_in_trouble_is_said_above_the_chart_and_live_prices_go_on(
    feed: Feed, api: CannedApi, open_page: Open
) -> None:
    page = open_page(api=api)
    feed.price("kucoin", "BTC-USDT", "1.5")
    expect(page.locator("#history-trouble")).to_be_hidden()
    api.told_health = {"history": {"problem": f"InfluxDB refuses the token: set influx.token {HOSTILE}"}}
    banner = page.locator("#history-trouble")
    expect(banner).to_contain_text("InfluxDB refuses the token: set influx.token")
    expect(banner).to_contain_text("Live prices go on.")
    expect(page.locator(".kept", has_text="trouble")).to_contain_text("InfluxDB refuses the token")
    feed.price("kucoin", "BTC-USDT", "1.6")
    expect(page.locator("tr.fresh .c-price")).to_have_text("1.6")
    assert page.title() != "owned"
    api.told_health = {"history": {}}
    expect(banner).to_be_hidden()


def test_what_telegraf_rejects_and_its_silence_are_seen(feed: Feed, api: CannedApi, open_page: Open) -> None:
    told = {"rejected": 2, "dropped": 0, "input_errors": 7, "buffer": 41, "seen_ns": time.time_ns()}
    api.told_health = {"history": {}, "telegraf": told}
    page = open_page(api=api)
    card = page.locator(".kept", has_text="telegraf")
    for words in ("Rejected2", "Input errors7", "Waiting41", "did not become rows"):
        expect(card).to_contain_text(words)
    api.told_health = {"history": {}, "telegraf": {**told, "seen_ns": time.time_ns() - 120 * 10**9}}
    expect(card).to_contain_text("no word from it for 2 min")
    api.told_health = {"history": {}}
    expect(card).to_have_count(0)


def test_a_dashboard_that_does_not_answer_is_said(feed: Feed, api: CannedApi, open_page: Open) -> None:
    page = open_page(api=api)
    page.route("**/api/v1/health*", lambda route: route.abort())
    expect(page.locator("#history-trouble")).to_contain_text("the dashboard does not answer")
