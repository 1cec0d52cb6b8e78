"""The open symbol and its chart in a real browser."""

import json
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.page_feed import MINUTE_NS, Feed, repeated

pytestmark = [pytest.mark.browser, pytest.mark.real]
Open = Callable[..., Page]


def test_candles_told_while_another_interval_loads_do_not_mix_with_it(feed: Feed, open_page: Open) -> None:
    page = open_page()
    feed.price("kucoin", "BTC-USDT", "85000.1")
    expect(page.locator("#chart-note")).to_have_text("")
    now_ns = time.time_ns() // MINUTE_NS * MINUTE_NS
    told = {"open": 85_000, "high": 85_010, "low": 84_990, "close": 85_001, "time_ns": now_ns}
    with repeated(lambda n: feed.send("forming/kucoin/BTC-USDT/1m", json.dumps(told).encode(), 30), 50):
        page.get_by_role("button", name="1h").click()
        expect(page.locator("#chart-note")).to_have_text("")
    highs = {text for text in legends(page) if "H " in text}
    assert len(highs) > 15, highs


def test_the_chart_shows_the_history_with_its_gap_and_goes_on_live(feed: Feed, open_page: Open) -> None:
    feed.catalogue("kucoin", {"BTC-USDT": "0.1"})
    page = open_page()
    feed.price("kucoin", "BTC-USDT", "85000.1")
    expect(page.locator("#chart-note")).to_have_text("")
    now_ns = time.time_ns() // MINUTE_NS * MINUTE_NS
    feed.forming("kucoin", "BTC-USDT", {"open": 1, "high": 99_999.9, "low": 1, "close": 12_345.6, "time_ns": now_ns})
    seen = legends(page)
    assert any("H 99999.9" in text and "C 12345.6" in text for text in seen), seen
    assert any("gap: the connection to the exchange broke (open)" in text for text in seen), seen


def legends(page: Page) -> set[str]:
    """What the legend says while the cursor crosses the chart."""
    box = page.locator("#chart").bounding_box()
    assert box is not None
    seen = set()
    for step in range(0, int(box["width"]), 4):
        page.mouse.move(box["x"] + step, box["y"] + box["height"] / 2)
        seen.add(page.locator("#legend").inner_text())
    return seen


def test_older_candles_come_when_one_pans_to_the_left(feed: Feed, open_page: Open) -> None:
    page = open_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    feed.price("kucoin", "BTC-USDT", "85000.1")
    expect(page.locator("#chart-note")).to_have_text("")
    box = page.locator("#chart").bounding_box()
    assert box is not None
    with page.expect_response(lambda answer: "history" in answer.url):
        for _ in range(4):
            page.mouse.move(box["x"] + 60, box["y"] + 100)
            page.mouse.down()
            page.mouse.move(box["x"] + box["width"] - 80, box["y"] + 100, steps=4)
            page.mouse.up()


def test_another_interval_is_asked_for_and_shown(feed: Feed, open_page: Open) -> None:
    page = open_page()
    feed.price("kucoin", "BTC-USDT", "85000.1")
    expect(page.locator("#chart-note")).to_have_text("")
    with page.expect_response(lambda answer: "interval=1h" in answer.url):
        page.get_by_role("button", name="1h").click()
    expect(page.get_by_role("button", name="1h")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#chart-note")).to_have_text("")


def test_the_row_one_opens_is_charted_and_stands_in_the_address(feed: Feed, open_page: Open) -> None:
    page = open_page()
    feed.price("kucoin", "BTC-USDT", "1")
    feed.price("kucoin", "ETH-USDT", "2.50")
    page.locator("tr[data-key='kucoin/ETH-USDT']").get_by_role("button", name="ETH-USDT", exact=True).click()
    expect(page.locator("#open-symbol")).to_have_text("ETH-USDT")
    expect(page.locator("#open-price")).to_have_text("2.50")
    assert page.url.endswith("#kucoin/ETH-USDT")
