"""The page in a real browser, fed by a real broker."""

import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from bridge.settings import Dashboard
from tests.broker import Broker
from tests.page_feed import CannedApi, Feed, repeated, site

pytestmark = [pytest.mark.browser, pytest.mark.real]
Open = Callable[..., Page]


def line(page: Page, key: str) -> Locator:
    return page.locator(f"tr[data-key='{key}']")


def keys(page: Page) -> list[str]:
    found: list[str] = page.locator("#lines tr[data-key]").evaluate_all("all => all.map(one => one.dataset.key)")
    return found


def test_prices_stand_there_with_the_published_digits(feed: Feed, open_page: Open) -> None:
    page = open_page()
    feed.price("kucoin", "PEPE-USDT", "0.00000812", bid="0.00000811", ask="0.000008130")
    feed.price("binance", "BTC-USDT", "67523", bid="67522.90", ask="67523.10")
    feed.change("binance", "BTC-USDT", "-0.0213")
    cells = line(page, "kucoin/PEPE-USDT").locator("td.num")
    expect(cells.nth(0)).to_have_text("0.00000812")
    expect(cells.nth(2)).to_have_text("0.000008130")
    expect(cells.nth(3)).to_contain_text("0.000000020")
    bitcoin = line(page, "binance/BTC-USDT").locator("td.num")
    expect(bitcoin.nth(0)).to_have_text("67523")
    expect(bitcoin.nth(3)).to_contain_text("0.20")
    expect(bitcoin.nth(4)).to_have_text("\N{MINUS SIGN}2.13 %")


def test_zeros_behind_the_step_stand_back_but_stand_there(feed: Feed, open_page: Open) -> None:
    page = open_page()
    feed.catalogue("binance", {"BTC-USDT": "0.1"})
    feed.price("binance", "BTC-USDT", "85673.00000000")
    cell = line(page, "binance/BTC-USDT").locator(".c-price")
    expect(cell).to_have_text("85673.00000000")
    expect(cell.locator(".idle")).to_have_text("0000000")


def test_a_stale_price_says_why(feed: Feed, open_page: Open) -> None:
    page = open_page()
    feed.price("kucoin", "BTC-USDT", "1.5", stale="kucoin: <b>reconnecting</b>")
    feed.price("kucoin", "ETH-USDT", "2.5")
    expect(line(page, "kucoin/BTC-USDT")).to_have_class("stale chosen")
    expect(line(page, "kucoin/BTC-USDT")).to_contain_text("kucoin: <b>reconnecting</b>")
    expect(line(page, "kucoin/ETH-USDT")).to_have_class("fresh")
    expect(page.locator("#count")).to_have_text("2 prices · 1 old")


def test_a_retained_price_is_grey_until_its_exchange_speaks_live(feed: Feed, open_page: Open) -> None:
    feed.price("kucoin", "BTC-USDT", "1.5")
    page = open_page()
    expect(line(page, "kucoin/BTC-USDT")).to_have_class("provisional chosen")
    expect(page.locator("#link")).not_to_have_text("Live")
    expect(line(page, "kucoin/BTC-USDT")).to_contain_text("age unknown")
    expect(line(page, "kucoin/BTC-USDT").locator(".age")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
    feed.price("kucoin", "ETH-USDT", "2.5")
    expect(line(page, "kucoin/BTC-USDT")).to_have_class("fresh chosen")


def test_a_broker_on_another_host_is_reached_there(feed: Feed, broker: Broker, open_page: Open) -> None:
    api = CannedApi(broker.ws_port, mqtt={"host": "localhost", "port": broker.ws_port, "tls": False})
    api.dashboard = Dashboard(mqtt_websocket_host="localhost")
    page = open_page(api=api)
    feed.price("kucoin", "BTC-USDT", "1.5")
    expect(line(page, "kucoin/BTC-USDT")).to_have_class("fresh chosen")


def test_a_broker_that_dies_is_said_at_once_and_its_return_too(feed: Feed, broker: Broker, open_page: Open) -> None:
    page = open_page()
    feed.price("kucoin", "BTC-USDT", "1.5")
    expect(line(page, "kucoin/BTC-USDT")).to_have_class("fresh chosen")
    broker.kill9()
    expect(page.locator("#notices")).to_contain_text("Broker away since")
    expect(page.locator("#notices")).to_contain_text("prices below are old")
    expect(line(page, "kucoin/BTC-USDT")).to_contain_text("broker away")
    broker.start()
    with repeated(lambda n: feed.send("latest/kucoin/BTC-USDT", b'{"price":1.6,"stale":false,"age_ms":1}', 30), 5):
        expect(line(page, "kucoin/BTC-USDT").locator(".c-price")).to_have_text("1.6")
        expect(page.locator("#notices")).not_to_contain_text("Broker away")


def test_a_browser_that_forbids_the_connection_is_quoted_and_the_page_lives(feed: Feed, open_page: Open) -> None:
    """As some do for an https page whose broker has no TLS."""
    page = open_page()
    forbid = "class Forbidden { constructor() { throw new DOMException('insecure', 'SecurityError') } }"
    page.add_init_script(f"window.WebSocket = {forbid}")
    page.reload()
    expect(page.locator("#notices")).to_contain_text("(insecure) \N{EN DASH} trying again")
    expect(page.locator("#link")).to_have_text("Broker away")


def test_a_broker_that_hangs_is_found_out_without_any_close(feed: Feed, broker: Broker, open_page: Open) -> None:
    page = open_page(clock=True)
    feed.price("kucoin", "BTC-USDT", "1.5")
    expect(line(page, "kucoin/BTC-USDT")).to_have_class("fresh chosen")
    broker.stop_process()
    try:
        page.clock.run_for(20_000)
        expect(page.locator("#notices")).to_contain_text("Broker away since")
        expect(page.locator("#notices")).to_contain_text("no answer")
    finally:
        broker.continue_process()


def test_prices_without_a_heartbeat_grow_old_before_ones_eyes(feed: Feed, open_page: Open) -> None:
    page = open_page(clock=True)
    feed.price("kucoin", "BTC-USDT", "1.5")
    expect(line(page, "kucoin/BTC-USDT")).to_have_class("fresh chosen")
    page.clock.run_for(20_000)
    expect(line(page, "kucoin/BTC-USDT")).to_have_class("fresh chosen")
    expect(page).to_have_title("1.5 BTC-USDT · Tickbridge")
    page.clock.run_for(20_000)
    expect(line(page, "kucoin/BTC-USDT")).to_have_class("stale chosen")
    expect(page.locator("#notices")).to_contain_text("No word from the bridge since")
    expect(page).to_have_title("old: BTC-USDT · Tickbridge")


def test_an_offline_bridge_makes_all_prices_old(feed: Feed, open_page: Open) -> None:
    page = open_page()
    feed.price("kucoin", "BTC-USDT", "1.5")
    expect(line(page, "kucoin/BTC-USDT")).to_have_class("fresh chosen")
    feed.health("bridge", "offline")
    expect(page.locator("#notices")).to_contain_text("Bridge offline since")
    expect(line(page, "kucoin/BTC-USDT")).to_contain_text("bridge offline")


def test_the_demo_is_said(feed: Feed, open_page: Open) -> None:
    page = open_page(demo=True, whole_market={"on": False, "bytes_a_day": 8_640_000_000})
    feed.price("kucoin", "BTC-USDT", "1.5")
    expect(line(page, "kucoin/BTC-USDT")).to_be_visible()
    expect(page.locator("#notices")).to_have_text("Demo: simulated prices")


def test_the_whole_markets_cost_is_said_beside_prices(feed: Feed, open_page: Open) -> None:
    page = open_page(whole_market={"on": False, "bytes_a_day": 8_640_000_000})
    expect(page.locator("#notices")).to_be_empty()
    feed.price("kucoin", "BTC-USDT", "1.5")
    expect(page.locator("#notices")).to_contain_text("8.6 GB a day")


def test_an_empty_table_says_which_exchange_is_not_there_and_why(feed: Feed, open_page: Open) -> None:
    page = open_page()
    now_ns = time.time_ns()
    since = {"since_ns": now_ns - 180_000_000_000, "time_ns": now_ns}
    feed.health("kucoin", "reconnecting", reason="<b>no</b> network", **since)
    expect(page.locator("#none")).to_contain_text("kucoin: reconnecting for 3 min \N{EN DASH} <b>no</b> network.")
    expect(page.locator(".feed", has_text="kucoin")).to_contain_text("reconnecting for 3 min")


def test_a_bridge_of_which_nothing_is_heard_is_said_to_be_away(browser: Browser, broker: Broker) -> None:
    with site(CannedApi(broker.ws_port)) as url:
        page = browser.new_context().new_page()
        page.clock.install()
        page.goto(url)
        expect(page.locator("#link")).to_have_text("No feeds")
        expect(page.locator("#no-feeds")).to_have_text("Listening\N{HORIZONTAL ELLIPSIS}")
        for _ in range(17):  # in steps, or the broker could answer no ping in time
            page.clock.run_for(1_000)
            page.evaluate("() => fetch('/api/v1/connect').then((answer) => answer.text())")
        expect(page.locator("#no-feeds")).to_contain_text("The bridge is away")
        expect(page.locator("#none")).to_contain_text("The bridge is away")


def test_a_source_without_a_book_says_so_in_the_row(feed: Feed, open_page: Open) -> None:
    page = open_page()
    feed.health("binance", whole_market=True, book=False)
    feed.price("binance", "BTC-USDT", "1.5")
    feed.price("kucoin", "BTC-USDT", "1.5")
    expect(line(page, "binance/BTC-USDT").locator(".c-bid")).to_have_text("no bid/ask in this source")
    expect(line(page, "kucoin/BTC-USDT").locator(".c-bid")).to_have_text("\N{EN DASH}")


def test_feeds_show_their_health(feed: Feed, open_page: Open) -> None:
    page = open_page()
    feed.health("kucoin", "reconnecting", reason="line lost", reconnects=7, gaps_open=3, lag_ms={"p50": 41.2})
    card = page.locator(".feed", has_text="kucoin")
    for text in ("reconnecting", "line lost", "7", "3", "41 ms"):
        expect(card).to_contain_text(text)


def test_the_search_narrows_the_table(feed: Feed, open_page: Open) -> None:
    page = open_page()
    for symbol in ("BTC-USDT", "ETH-USDT", "ETH-BTC"):
        feed.price("kucoin", symbol, "1")
        feed.price("binance", symbol, "1")
    expect(page.locator("#lines tr[data-key]")).to_have_count(6)
    page.get_by_role("searchbox").fill("ethbtc kuc")
    expect(page.locator("#lines tr[data-key]")).to_have_count(1)
    assert keys(page) == ["kucoin/ETH-BTC"]
    expect(page.locator("#count")).to_contain_text("1 of 6 prices")


def test_columns_sort_by_click_and_by_keyboard_and_stay_so(feed: Feed, open_page: Open) -> None:
    page = open_page()
    for symbol, price in (("A-USDT", "9"), ("B-USDT", "100"), ("C-USDT", "20.5")):
        feed.price("kucoin", symbol, price)
    expect(page.locator("#lines tr[data-key]")).to_have_count(3)
    page.get_by_role("button", name="Price").click()
    expect(page.locator("th[data-column=price]")).to_have_attribute("aria-sort", "descending")
    expect(page.locator("#lines tr[data-key]").first).to_have_attribute("data-key", "kucoin/B-USDT")
    page.keyboard.press("Enter")
    expect(page.locator("th[data-column=price]")).to_have_attribute("aria-sort", "ascending")
    expect(page.locator("#lines tr[data-key]").first).to_have_attribute("data-key", "kucoin/A-USDT")
    page.reload()
    expect(page.locator("th[data-column=price]")).to_have_attribute("aria-sort", "ascending")


def test_unsorted_the_table_is_the_watchlist_and_the_third_click_leads_back(feed: Feed, open_page: Open) -> None:
    page = open_page(watchlist=["C-USDT", "A-USDT"])
    for symbol, price in (("A-USDT", "9"), ("B-USDT", "100"), ("C-USDT", "20.5")):
        feed.price("kucoin", symbol, price)
    expect(page.locator("#lines tr[data-key]")).to_have_count(3)
    own = ["kucoin/C-USDT", "kucoin/A-USDT", "kucoin/B-USDT"]
    assert keys(page) == own
    for place in (1, 0, 2):
        page.get_by_role("button", name="Price").click()
        first = ("kucoin/A-USDT", "kucoin/B-USDT", "kucoin/C-USDT")[place]
        expect(page.locator("#lines tr[data-key]").first).to_have_attribute("data-key", first)
    expect(page.locator("th[aria-sort]")).to_have_count(0)
    assert keys(page) == own


def test_favourites_come_first_and_survive_a_reload(feed: Feed, open_page: Open) -> None:
    page = open_page()
    for symbol in ("A-USDT", "B-USDT", "C-USDT"):
        feed.price("kucoin", symbol, "1")
    star = page.get_by_role("button", name="Favourite C-USDT on kucoin")
    star.click()
    expect(page.locator("#lines tr[data-key]").first).to_have_attribute("data-key", "kucoin/C-USDT")
    page.reload()
    expect(page.locator("#lines tr[data-key]")).to_have_count(3)
    expect(star).to_have_attribute("aria-pressed", "true")
    assert keys(page)[0] == "kucoin/C-USDT"


def test_arrow_keys_walk_through_the_symbols(feed: Feed, open_page: Open) -> None:
    page = open_page()
    for number in range(60):
        feed.price("kucoin", f"S{number:02}-USDT", "1")
    expect(page.locator("#count")).to_contain_text("60 prices")
    page.get_by_role("button", name="S00-USDT", exact=True).focus()
    for _ in range(40):
        page.keyboard.press("ArrowDown")
        page.wait_for_function("document.activeElement.classList.contains('name')")
    expect(page.locator(":focus")).to_have_text("S40-USDT")


@pytest.mark.parametrize("width", [600, 768, 960, 1100, 1280])
def test_no_price_is_cut_and_no_word_covers_another(feed: Feed, open_page: Open, width: int) -> None:
    page = open_page(width=width, height=800)
    feed.health("kucoin", "reconnecting", symbols=1312, reconnects=12, lag_ms={"p50": 734})
    feed.price("kucoin", "BTC-USDT", "85913.30", bid="85913.30", ask="85913.40")
    feed.price("kucoin", "PEPE-USDT", "0.00000812", bid="0.00000811", ask="0.00000813")
    expect(line(page, "kucoin/PEPE-USDT")).to_be_visible()
    cut = "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.textContent)"
    assert page.locator("#lines td.num:not(.c-age)").evaluate_all(cut) == []
    assert page.locator("#open > .title, #open > .title > *").evaluate_all(cut) == []
    card = page.locator(".feed", has_text="kucoin")
    expect(card).to_contain_text("734 ms")
    status, figures = card.locator(".status"), card.locator("dl")
    words = status.evaluate("one => one.firstChild.parentNode.getBoundingClientRect().left + one.scrollWidth")
    assert figures.evaluate("one => one.getBoundingClientRect().left") >= words


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_nothing_overflows_sideways(feed: Feed, open_page: Open, width: int) -> None:
    page = open_page(width=width, height=844, demo=True)
    feed.price(
        "kucoin", "1000000MOG-USDT", "0.0000000123456", bid="0.0000000123455", ask="0.0000000123457", stale="line lost"
    )
    expect(line(page, "kucoin/1000000MOG-USDT")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
