"""One truth across files: what the simulator says, the bridge's exchanges can read without a complaint."""

from collections.abc import Sequence
from typing import Any

import aiohttp
import pytest

from bridge.events import Candle, Stats, Tick, Trade
from bridge.exchanges.base import Catalogue, Exchange, Hosts, HttpRequest, Outcome, Refused
from bridge.exchanges.binance import Binance
from bridge.exchanges.kucoin import KuCoin
from bridge.simulator import Simulator
from tests.simulator.clients import binance, kucoin, texts

pytestmark = pytest.mark.real
NOW_NS = 1_795_248_000_000_000_000


async def fetched(request: HttpRequest) -> bytes:
    async with aiohttp.ClientSession() as http, http.request(request.method, request.url) as answer:
        return await answer.read()


async def made(kind: type[Exchange], hosts: Hosts) -> Exchange:
    instruments, refused = kind.read_catalogue(await fetched(kind.catalogue_request(hosts)))
    assert refused == []
    return kind(Catalogue(instruments), kind.channels, hosts=hosts)


def outcomes(exchange: Exchange, frames: Sequence[str]) -> list[Outcome]:
    return [one for frame in frames for one in exchange.receive(frame.encode(), NOW_NS)]


async def test_the_bridge_reads_the_simulated_kucoin() -> None:
    async with Simulator(invented=10, rate=300.0) as sim:
        exchange = await made(KuCoin, Hosts(rest=sim.kucoin.rest_url))
        async with kucoin(sim) as ws:
            for text in exchange.subscribe(["BTC-USDT", "ETH-USDT", "BSV-USDT"]):
                await ws.send(text)
            told = outcomes(exchange, await texts(ws, 200))
        assert {Tick, Trade, Candle, Stats} <= {type(one) for one in told}
        assert not [one for one in told if isinstance(one, Refused)]


async def test_the_bridge_reads_the_simulated_binance() -> None:
    async with Simulator(invented=10, rate=300.0) as sim:
        exchange = await made(Binance, Hosts(rest=sim.binance.rest_url, ws=sim.binance.ws_url))
        async with binance(sim) as ws:
            for text in exchange.subscribe(["BTC-USDT", "ETH-USDT", "ETH-BTC"]):
                await ws.send(text)
            told = outcomes(exchange, await texts(ws, 250))
        assert {Tick, Trade, Candle, Stats} <= {type(one) for one in told}
        assert not [one for one in told if isinstance(one, Refused)]


@pytest.mark.parametrize("name", ["kucoin", "binance"])
async def test_the_bridge_reads_a_day_of_candles_from_rest(name: str) -> None:
    async with Simulator(invented=0, rate=1.0) as sim:
        kinds: dict[str, tuple[type[Exchange], Any]] = {
            "kucoin": (KuCoin, sim.kucoin),
            "binance": (Binance, sim.binance),
        }
        kind, venue = kinds[name]
        exchange = await made(kind, Hosts(rest=venue.rest_url))
        since_ns = NOW_NS - 900 * 60 * 10**9
        request = exchange.candles_request("BTC-USDT", "1m", since_ns, NOW_NS)
        candles = exchange.read_candles("BTC-USDT", "1m", await fetched(request), NOW_NS)
        assert [one.open_ns for one in candles] == list(range(since_ns, NOW_NS, 60 * 10**9))
