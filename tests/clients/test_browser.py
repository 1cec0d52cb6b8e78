"""The page of docs/clients.md in a real browser, over websockets, as a guest."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from dashboard.web.build import MODULES
from tests.broker import Broker, free_ports, listens, wait_until
from tests.clients.snippets import blocks, changed
from tests.clients.world import guest, modules
from tests.page_feed import Feed, repeated

pytestmark = [pytest.mark.browser, pytest.mark.real]
SYMBOL = "MOG-USDT"
RECORD = """
window.shown = [];
const record = () => window.shown.push(document.querySelector("#price").textContent);
document.addEventListener("DOMContentLoaded", () =>
  new MutationObserver(record).observe(document.querySelector("#price"), { childList: true }));
"""
SERVE = ("-m", "http.server", "--bind", "127.0.0.1")


@pytest.fixture
def address(guarded_broker: Broker, tmp_path: Path) -> Iterator[str]:
    """The two files and MQTT.js in a folder, served as the documentation says."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / MODULES).symlink_to(modules())
    (folder / "index.html").write_text(changed(blocks()["index.html"], guest(guarded_broker, SYMBOL)))
    (folder / "price.mjs").write_text(changed(blocks()["price.mjs"], {"35_000": "2_000"}))
    (port,) = free_ports(1)
    with (tmp_path / "served").open("w") as log:
        server = subprocess.Popen([sys.executable, *SERVE, str(port)], cwd=folder, stderr=log, stdout=log)
    try:
        wait_until(lambda: listens(port), 10, lambda: "the files are not served")
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait(10)


def test_the_browser_shows_a_fresh_price_and_refuses_an_old_one(
    browser: Browser, guarded_broker: Broker, address: str
) -> None:
    with Feed(guarded_broker) as feed:
        feed.price("kucoin", SYMBOL, "0.0000009999")
        page = browser.new_page()
        page.add_init_script(RECORD)
        page.goto(address)
        price = page.locator("#price")
        with repeated(lambda _: feed.price("kucoin", SYMBOL, "0.0000001141"), 5):
            expect(price).to_have_text("0.0000001141")
        with repeated(lambda _: feed.price("kucoin", SYMBOL, "0.0000001142", stale="kucoin: reconnecting"), 5):
            expect(price).to_have_text("?")
        feed.price("kucoin", SYMBOL, "0.0000001143")
        expect(price).to_have_text("0.0000001143")
        expect(price).to_have_text("?", timeout=10_000)
        assert set(page.evaluate("window.shown")) == {"?", "0.0000001141", "0.0000001143"}
        page.close()
