"""The dialogs of gaps and errors in a real browser."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.broker import Broker
from tests.page_feed import MINUTE_NS, CannedApi, Feed

pytestmark = [pytest.mark.browser, pytest.mark.real]
Open = Callable[..., Page]
HOSTILE = "<img src=x onerror=\"document.title='owned'\">\u202egnorts\u202c"


def rows(page: Page, dialog: str) -> Locator:
    return page.locator(f"#{dialog} tbody tr")


def gap(number: int, state: str = "unfillable", **told: Any) -> dict[str, Any]:
    from_ns = 1_700_000_000_000_000_000 + number * MINUTE_NS
    told = {"exchange": "binance", "channel": "prices", "cause": "clock", **told}
    return {"id": f"old-{number}", "state": state, "from_ns": from_ns, "to_ns": from_ns + 1, "time_ns": from_ns, **told}


@pytest.fixture
def api(broker: Broker) -> CannedApi:
    return CannedApi(broker.ws_port)


def test_the_open_gaps_of_a_feed_lead_to_their_list_in_plain_words(feed: Feed, api: CannedApi, open_page: Open) -> None:
    api.more_gaps = [
        gap(1, exchange="kucoin", state="filled"),
        gap(2, "filling", exchange="kucoin", symbols=["BTC-USDT"], symbol_count=9, expected=1200, filled=118),
    ]
    page = open_page(api=api)
    feed.health("kucoin", gaps_open=2)
    page.get_by_role("button", name="2 open gaps of kucoin").click()
    expect(rows(page, "gaps")).to_have_count(2)
    newest, older = rows(page, "gaps").nth(0), rows(page, "gaps").nth(1)
    expect(newest).to_contain_text("the connection to the exchange broke")
    for words in ("being filled", "the clock was not synchronised yet", "BTC-USDT and 8 more", "118 of 1,200"):
        expect(older).to_contain_text(words)


def test_gaps_are_narrowed_by_exchange_symbol_and_state(feed: Feed, api: CannedApi, open_page: Open) -> None:
    api.more_gaps = [
        gap(1, symbols=["ETH-USDT"], symbol_count=1),
        gap(2, "partial", symbols=["BTC-USDT"], symbol_count=1),
        gap(3, "partial"),
    ]
    page = open_page(api=api)
    page.get_by_role("button", name="Gaps", exact=True).click()
    expect(rows(page, "gaps")).to_have_count(4)
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Exchange").select_option("binance")
    expect(rows(page, "gaps")).to_have_count(3)
    dialog.get_by_role("textbox", name="Symbol").fill("btc-usdt")
    expect(rows(page, "gaps")).to_have_count(2)
    dialog.get_by_label("State").select_option("unfillable")
    expect(dialog.locator(".note")).to_have_text("No gap fits these filters.")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_a_gap_opens_and_is_filled_before_ones_eyes(feed: Feed, open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Gaps", exact=True).click()
    feed.gap("binance", "live-1", reason="the line was cut", symbols=["BTC-USDT"], symbol_count=1)
    first = rows(page, "gaps").first
    expect(first).to_contain_text("still runs")
    expect(first).to_contain_text("the line was cut")
    feed.gap("binance", "live-1", state="filled", to_ns=time.time_ns(), expected=4, filled=4)
    expect(page.locator("#gaps tr", has_text="4 of 4")).to_contain_text("filled")
    expect(rows(page, "gaps").filter(has_text="still runs")).to_have_count(0)


def test_many_gaps_are_drawn_in_parts(feed: Feed, api: CannedApi, open_page: Open) -> None:
    api.more_gaps = [gap(number) for number in range(300)]
    page = open_page(api=api)
    page.get_by_role("button", name="Gaps", exact=True).click()
    expect(rows(page, "gaps")).to_have_count(200)
    page.get_by_role("button", name="Show more").click()
    expect(rows(page, "gaps")).to_have_count(301)
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()


def test_hostile_text_is_text(feed: Feed, open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Gaps", exact=True).click()
    feed.gap("kucoin", HOSTILE, reason=HOSTILE, cause=HOSTILE, state=HOSTILE, channel=HOSTILE, symbols=[HOSTILE] * 3)
    feed.gap("kucoin", "g2", symbols={"length": 7}, expected="many", filled=[], to_ns="never", reason={"a": 1})
    expect(rows(page, "gaps").filter(has_text="onerror")).to_have_count(1)
    expect(rows(page, "gaps")).to_have_count(3)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Errors").click()
    feed.trouble("kucoin", HOSTILE, HOSTILE, symbol=HOSTILE, channel=HOSTILE, frame=HOSTILE)
    expect(rows(page, "errors")).to_contain_text("onerror")
    assert page.locator(".records img").count() == 0
    assert page.title() != "owned"


def trouble(number: int, kind: str = "frame", symbol: str = "BTC-USDT", exchange: str = "kucoin") -> dict[str, Any]:
    time_ns = 1_700_000_000_000_000_000 + number * MINUTE_NS
    told = {"exchange": exchange, "kind": kind, "symbol": symbol, "time_ns": time_ns, "run": 1, "n": number}
    return {**told, "reason": f"reason {number}", "frame": '{"half":', "channel": "ticker"}


def test_errors_stand_there_the_newest_first_and_are_narrowed(feed: Feed, api: CannedApi, open_page: Open) -> None:
    api.troubles = [
        trouble(1),
        trouble(2, kind="value"),
        trouble(3, symbol="ETH-USDT"),
        trouble(4, exchange="bridge", kind="clock"),
    ]
    page = open_page(api=api)
    feed.health("kucoin")
    page.get_by_role("button", name="Errors").click()
    expect(rows(page, "errors")).to_have_count(4)
    for place, words in enumerate(("reason 4", "reason 3", "value not believed", '{"half":')):
        expect(rows(page, "errors").nth(place)).to_contain_text(words)
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Exchange").select_option("kucoin")
    expect(rows(page, "errors")).to_have_count(3)
    dialog.get_by_label("Kind").select_option("frame")
    dialog.get_by_role("textbox", name="Symbol").fill("eth-usdt")
    expect(rows(page, "errors")).to_have_count(1)
    dialog.get_by_role("textbox", name="Symbol").fill("nothing")
    expect(dialog.locator(".note")).to_have_text("No entry fits these filters.")


def test_older_errors_are_asked_for_page_by_page(feed: Feed, api: CannedApi, open_page: Open) -> None:
    api.troubles = [trouble(number) for number in range(1, 701)]
    page = open_page(api=api)
    page.get_by_role("button", name="Errors").click()
    expect(rows(page, "errors")).to_have_count(200)
    for drawn in (400, 600, 700):
        page.get_by_role("button", name="Show more").click()
        expect(rows(page, "errors")).to_have_count(drawn)
    expect(rows(page, "errors").last).to_contain_text("reason 1")
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()


def test_an_error_comes_live_while_somebody_looks(feed: Feed, open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Errors").click()
    expect(page.locator("#errors .note")).to_have_text("No entry: nothing was refused.")
    feed.trouble("kucoin", "value", "price 0 is not above 0", symbol="BTC-USDT")
    expect(rows(page, "errors")).to_contain_text("price 0 is not above 0")


@pytest.mark.parametrize("width", [390, 760, 1100])
def test_the_dialogs_never_overflow_sideways(feed: Feed, api: CannedApi, open_page: Open, width: int) -> None:
    api.more_gaps = [gap(1, reason="x" * 200, symbols=["1000000MOG-USDT"] * 5, symbol_count=50)]
    api.troubles = [{**trouble(1), "frame": "y" * 200}]
    page = open_page(api=api, width=width, height=800)
    for name in ("Gaps", "Errors"):
        page.get_by_role("button", name=name, exact=True).click()
        sheet = page.get_by_role("dialog").locator(".sheet")
        expect(sheet.locator("tbody tr").first).to_be_visible()
        assert sheet.evaluate("one => one.scrollWidth <= one.clientWidth")
        page.keyboard.press("Escape")
