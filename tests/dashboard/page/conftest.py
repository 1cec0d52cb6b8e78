"""A real browser on the real page: what the tests of the page share."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from dashboard.web.build import build, is_fresh, node_program
from tests.broker import Broker
from tests.page_feed import CannedApi, Feed, site

expect.set_options(timeout=15_000)
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
EXPECTED = ("WebSocket connection to", "tickbridge:", "net::ERR_")
"""What the browser's console may say while a broker is away."""


@pytest.fixture(scope="session")
def bundle() -> None:
    """The page as it is in the sources now."""
    if not is_fresh():
        build(node_program())


@pytest.fixture(scope="module")
def browser(bundle: None) -> Iterator[Browser]:
    """One Chromium for a file's tests: as long as it lives, Playwright's loop runs, and no other test's may."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.fail("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=ARGUMENTS.split())
        yield chromium
        chromium.close()


@pytest.fixture
def feed(broker: Broker) -> Iterator[Feed]:
    with Feed(broker) as one:
        one.health("bridge")
        yield one


@pytest.fixture
def open_page(browser: Browser, broker: Broker) -> Iterator[Callable[..., Page]]:
    """Opens the page over a canned API and waits until it hears the broker; afterwards its console must be clean."""
    said: list[str] = []
    asked: list[str] = []
    sites = []

    def open_(
        *, width: int = 1440, height: int = 900, clock: bool = False, api: CannedApi | None = None, **told: Any
    ) -> Page:
        address = site(api or CannedApi(broker.ws_port, **told))
        url = address.__enter__()
        sites.append(address)
        page = browser.new_context(viewport={"width": width, "height": height}).new_page()
        page.on("console", lambda message: said.extend(unexpected(message)))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        if clock:
            page.clock.install()
        page.goto(url)
        expect(page.locator(".feed").first).to_be_visible()
        return page

    yield open_
    for context in browser.contexts:
        context.close()
    for address in sites:
        address.__exit__(None, None, None)
    assert said == []
    assert [url for url in asked if not url.startswith("http://127.0.0.1:")] == []


def unexpected(message: ConsoleMessage) -> list[str]:
    """Warnings and errors nobody expects: above all breaches of the content security policy."""
    if message.type not in ("warning", "error") or any(text in message.text for text in EXPECTED):
        return []
    return [message.text]
