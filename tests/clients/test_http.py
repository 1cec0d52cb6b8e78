"""The line of docs/clients.md for the HTTP API: a fresh price comes out, an old one does not."""

import asyncio
import subprocess

import pytest

from bridge.settings import Broker as BrokerSettings
from bridge.settings import Settings
from tests.broker import Broker
from tests.clients.snippets import blocks, changed
from tests.clients.world import bash
from tests.dashboard.served import served
from tests.page_feed import Feed, repeated

pytestmark = pytest.mark.real


def asked(port: int) -> str:
    line = changed(blocks()["latest.sh"], {"8000": str(port)})
    done = subprocess.run([bash(), "-c", line], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip()


async def test_only_a_fresh_price_comes_out(broker: Broker) -> None:
    settings = Settings(broker=BrokerSettings(port=broker.port))
    with Feed(broker) as feed:
        async with served(settings) as dashboard:
            feed.price("binance", "BTC-USDT", "85440.01", stale="binance: reconnecting")
            with repeated(lambda _: feed.price("kucoin", "BTC-USDT", "85439.99"), 5):
                assert await asyncio.to_thread(asked, dashboard.port) == "85439.99"
