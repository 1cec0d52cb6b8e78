"""What the simulator says it has told is what a client has received."""

import asyncio
import json
from typing import Any

import pytest

from bridge.simulator import Simulator
from bridge.simulator.truth import Truth
from bridge.simulator.values import Quote
from tests.simulator.clients import PATIENCE_S, binance, happens, kucoin

QUOTE = Quote("BTC-USDT", 1, 2, "3", "4", "5", "6", "7", "8")


async def received(ws: Any, sim: Simulator, seconds: float) -> list[bytes]:
    """Everything that comes in some seconds of the market, and then until the line has stalled."""
    frames: list[bytes] = []
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if loop.time() > end:
                sim.kucoin.faults.stalled = sim.binance.faults.stalled = True
            try:
                frames.append(await asyncio.wait_for(ws.recv(decode=False), 0.5))
            except TimeoutError:
                return frames


@pytest.mark.real
async def test_kucoins_truth_is_what_a_client_received() -> None:
    topics = ("/market/ticker:all", "/market/match:BTC-USDT,ETH-USDT", "/market/candles:BTC-USDT_1min")
    async with Simulator(invented=30, rate=500.0) as sim, kucoin(sim, *topics) as ws:
        sim.kucoin.truth.frames.clear()
        frames = await received(ws, sim, 2.0)
        sent = list(sim.kucoin.truth.frames)
        assert frames[-len(sent) :] == sent
        told = [json.loads(frame) for frame in sent]
        truth = sim.kucoin.truth
        seqs = [str(quote.seq) for quote in truth.quotes()]
        heard = [one["data"]["sequence"] for one in told if one["topic"] == "/market/ticker:all"]
        assert seqs[-len(heard) :] == heard
        trades = truth.trades("BTC-USDT").values()
        matches = [one["data"] for one in told if one["topic"] == "/market/match:BTC-USDT,ETH-USDT"[:22]]
        assert {(m["price"], m["size"]) for m in matches if m["symbol"] == "BTC-USDT"} <= {
            (trade.price, trade.size) for trade in trades
        }


@pytest.mark.real
async def test_binances_truth_is_what_a_client_received() -> None:
    streams = [f"{s}@{kind}" for s in ("btcusdt", "ethusdt") for kind in ("bookTicker", "aggTrade", "kline_1m")]
    async with Simulator(invented=0, rate=500.0) as sim, binance(sim, *streams) as ws:
        frames = await received(ws, sim, 2.5)
        assert frames[-20:] == list(sim.binance.truth.frames)[-20:]
        told = [json.loads(frame) for frame in frames]
        ids = [one["data"]["a"] for one in told if one["stream"] == "btcusdt@aggTrade"]
        assert [key for key in sim.binance.truth.trades("BTCUSDT") if key >= ids[0]] == ids
        klines = [one["data"]["k"] for one in told if one["stream"] == "btcusdt@kline_1m"]
        bar = sim.binance.truth.candles("BTCUSDT")[klines[-1]["t"] // 1000]
        assert [klines[-1][key] for key in "ochlv"] == [bar.open, bar.close, bar.high, bar.low, bar.volume]


@pytest.mark.real
async def test_nothing_is_told_where_nobody_listens() -> None:
    async with Simulator(invented=0, rate=500.0) as sim:
        await happens(lambda: bool(sim.kucoin.source.trades("BTC-USDT")))
        assert (sim.kucoin.truth.sent, sim.kucoin.truth.quotes()) == (0, [])


def test_the_oldest_is_forgotten_and_counted() -> None:
    truth = Truth(remembered=10)
    for _ in range(15):
        truth.frame(b"x")
        truth.event(QUOTE)
    assert (len(truth.frames), len(truth.quotes("BTC-USDT")), truth.forgotten) == (10, 10, 10)
