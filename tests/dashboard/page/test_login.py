"""The log-in in a real browser: TLS for page and broker, a session that ends, light and dark, wide and narrow."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from bridge.brokerfiles import Tls
from bridge.settings import Broker as BrokerSettings
from bridge.settings import History
from tests.authority import Authority
from tests.broker import Broker, free_ports, wait_until
from tests.dashboard.door.visit import PASSWORD, settings
from tests.dashboard.page.conftest import unexpected
from tests.dashboard.test_serve import started
from tests.page_feed import Feed

pytestmark = [pytest.mark.browser, pytest.mark.real]
WITHIN_S = 20.0
REFUSED = ("status of 401", "status of 403")
"""What the console may say here beside what it may say elsewhere."""
SCREENSHOTS = os.environ.get("TICKBRIDGE_SCREENSHOTS")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Feed]]:
    """A broker with TLS on its websockets and a real dashboard with TLS and log-in; the page's address, and a feed."""
    folder = tmp_path_factory.mktemp("house")
    cert, key = Authority(folder / "authority").certificate("house")
    port, mqtts = free_ports(2)
    tls = Tls(certfile=cert, keyfile=key, port=mqtts, bind="127.0.0.1")
    with Broker(folder / "mosquitto", tls=tls) as broker, Feed(broker) as feed:
        page = {"cert_file": cert, "key_file": key, "mqtt_websocket_tls": True, "mqtt_websocket_port": broker.ws_port}
        given = settings(folder, port=port, **page).model_copy(
            update={"broker": BrokerSettings(port=broker.port), "history": History(commit_s=0.2)}
        )
        address = f"https://localhost:{port}"
        with started(given), httpx.Client(verify=False) as client:
            wait_until(lambda: answers(client, address), WITHIN_S, lambda: "the dashboard does not answer")
            feed.health("bridge")
            feed.catalogue("kucoin", {"BTC-USDT": "0.1", "ETH-USDT": "0.1"})  # the history must know them
            yield address, feed


def answers(client: httpx.Client, address: str) -> bool:
    try:
        return client.get(f"{address}/healthz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def open_(browser: Browser) -> Iterator[Any]:
    """Opens a context of its own; its console must be clean, policy included."""
    said: list[str] = []
    contexts: list[BrowserContext] = []

    def make(**choices: Any) -> Page:
        context = browser.new_context(ignore_https_errors=True, **choices)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.extend(unexpected(message)))
        page.on("pageerror", lambda error: said.append(str(error)))
        return page

    yield make
    for context in contexts:
        context.close()
    assert [line for line in said if not any(words in line for words in REFUSED)] == []


def fill(page: Page, password: str = PASSWORD) -> None:
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def test_one_logs_in_sees_live_prices_is_told_of_the_end_and_comes_back(house: tuple[str, Feed], open_: Any) -> None:
    address, feed = house
    feed.price("kucoin", "BTC-USDT", "1.5")
    feed.price("kucoin", "ETH-USDT", "2.5")
    page = open_()
    page.goto(f"{address}/#kucoin/ETH-USDT")
    expect(page).to_have_title("Log in · Tickbridge")
    expect(page.get_by_label("Password")).to_be_focused()
    fill(page, "guess-guess")
    expect(page.get_by_role("alert")).to_have_text("That is not the password.")
    fill(page)
    expect(page).to_have_url(f"{address}/#kucoin/ETH-USDT")
    expect(page.locator("#open-symbol")).to_have_text("ETH-USDT")
    feed.price("kucoin", "ETH-USDT", "2.6")
    expect(page.locator("tr[data-key='kucoin/ETH-USDT'] .c-price")).to_have_text("2.6")

    page.context.clear_cookies()
    notice = page.locator("#notices .warn")
    expect(notice).to_contain_text("You are logged out: history, gaps and errors wait. Live prices go on.")
    expect(page.locator(".kept")).to_have_count(0)
    feed.price("kucoin", "ETH-USDT", "2.7")
    expect(page.locator("tr[data-key='kucoin/ETH-USDT'] .c-price")).to_have_text("2.7")
    shot(page, "ended")
    notice.get_by_role("link", name="Log in").click()
    fill(page)
    expect(page).to_have_url(f"{address}/#kucoin/ETH-USDT")
    expect(page.locator("#open-symbol")).to_have_text("ETH-USDT")
    expect(notice).to_have_count(0)

    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_title("Log in · Tickbridge")
    page.goto(address)
    expect(page).to_have_title("Log in · Tickbridge")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (320, 568)])
def test_the_form_fits_every_screen_and_needs_no_javascript(
    house: tuple[str, Feed], open_: Any, scheme: str, width: int, height: int
) -> None:
    address, _ = house
    page = open_(viewport={"width": width, "height": height}, color_scheme=scheme, java_script_enabled=False)
    page.goto(address)
    fill(page, "guess-guess")
    expect(page.get_by_role("alert")).to_be_visible()
    shot(page, f"login-{width}-{scheme}")
    for one in (page.get_by_label("Password"), page.get_by_role("button")):
        box = one.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= height
    fill(page)
    expect(page).to_have_url(f"{address}/")
    expect(page.locator("noscript")).to_be_attached()


def shot(page: Page, name: str) -> None:
    """For people's eyes, where TICKBRIDGE_SCREENSHOTS names a folder."""
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")
