"""The open symbol and its chart in a real browser."""

import json
import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.broker import Broker
from tests.page_feed import MINUTE_NS, CannedApi, Feed, repeated

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


def test_on_a_phone_the_legend_leaves_the_prices_scale_free(feed: Feed, open_page: Open) -> None:
    page = open_page(width=390, height=844)
    feed.price("kucoin", "BTC-USDT", "85000.1")
    expect(page.locator("#chart")).to_be_visible()
    expect(page.locator("#chart-note")).to_have_text("")
    assert any("C 8" in text for text in legends(page))
    chart, legend = page.locator("#chart").bounding_box(), page.locator("#legend").bounding_box()
    assert chart is not None
    assert legend is not None
    assert legend["x"] + legend["width"] <= chart["x"] + chart["width"] - 60


def test_on_a_phone_an_empty_page_says_why_before_anything_else(feed: Feed, open_page: Open) -> None:
    page = open_page(width=390, height=844)
    feed.health("kucoin", "reconnecting", reason="no network")
    expect(page.locator("#none")).to_contain_text("kucoin: reconnecting")
    expect(page.locator("#open")).to_be_hidden()
    feed.price("kucoin", "BTC-USDT", "85000.1")
    expect(page.locator("#open")).to_be_visible()
    expect(page.locator("#chart-note")).to_have_text("")
    assert len(legends(page)) > 5, "it was drawn, though it was hidden first"


def legends(page: Page) -> set[str]:
    """What the legend says while the cursor crosses the chart."""
    box = page.locator("#chart").bounding_box()
    assert box is not None
    seen = set()
    for step in range(0, int(box["width"]), 4):
        page.mouse.move(box["x"] + step, box["y"] + box["height"] / 2)
        seen.add(page.locator("#legend").inner_text().replace("\N{NO-BREAK SPACE}", " "))
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


@pytest.fixture
def chart(feed: Feed, broker: Broker, open_page: Open) -> Page:
    """A page with a chart of eleven days."""
    api = CannedApi(broker.ws_port)
    api.older_minutes = 10 * 1440
    page = open_page(api=api)
    feed.price("kucoin", "BTC-USDT", "85000.1")
    expect(page.locator("#chart-note")).to_have_text("")
    expect(page.locator("#chart")).to_have_attribute("aria-label", re.compile("1m, "))
    return page


def span(page: Page) -> str:
    """From when to when the chart shows, once it rests."""
    told, before = "", None
    while told != before:
        before = told
        page.wait_for_timeout(500)
        told = page.locator("#chart").get_attribute("aria-label") or ""
    return told


def test_zooming_out_takes_the_interval_that_the_width_can_show_and_in_again_the_finer(chart: Page) -> None:
    box = chart.locator("#chart").bounding_box()
    assert box is not None
    chart.mouse.move(box["x"] + box["width"] / 2, box["y"] + 100)
    with chart.expect_response(lambda answer: "interval=auto" in answer.url):
        for _ in range(12):
            chart.mouse.wheel(0, 100)
    expect(chart.locator("#legend")).to_contain_text(re.compile("^(5m|15m|30m)"))
    assert any("gap: the connection to the exchange broke (open)" in text for text in legends(chart))
    chart.mouse.move(box["x"] + box["width"] - 80, box["y"] + 100)
    for _ in range(30):
        chart.mouse.wheel(0, -100)
    expect(chart.locator("#legend")).to_contain_text(re.compile("^1m"))


def test_older_candles_that_come_do_not_move_what_is_seen(chart: Page) -> None:
    chart.get_by_role("button", name="1m", exact=True).click()
    span(chart)
    held: list[Route] = []
    released: list[Route] = []

    def handle(route: Route) -> None:
        if released:
            route.continue_()
        else:
            held.append(route)

    chart.route("**/history/**", handle)
    chart.locator("#chart").focus()
    for _ in range(25):
        chart.keyboard.press("ArrowLeft")
    before = span(chart)
    assert held
    released += held
    with chart.expect_response(lambda answer: "history" in answer.url):
        for route in held:
            route.continue_()
    assert span(chart) == before


def test_another_interval_shows_the_same_time(chart: Page) -> None:
    chart.locator("#chart").focus()
    for _ in range(8):
        chart.keyboard.press("-")
    _, before = span(chart).split("m, ")
    label = chart.locator("#chart").get_attribute("aria-label") or ""
    assert "1m, " not in label
    end = before.rpartition(" to ")[2]
    chart.keyboard.press("-")
    _, after = span(chart).split("m, ")
    assert after.rpartition(" to ")[2] == end


def test_the_end_key_goes_back_to_now(chart: Page) -> None:
    chart.locator("#chart").focus()
    began = span(chart)
    for _ in range(20):
        chart.keyboard.press("ArrowLeft")
    assert span(chart) != began
    chart.keyboard.press("End")
    assert span(chart).rpartition(" to ")[2][:6] == began.rpartition(" to ")[2][:6]
