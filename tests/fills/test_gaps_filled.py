"""Gaps are filled against the simulator's own truth: every trade and candle once, live or as a fill."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.simulator import Simulator
from bridge.topics import Gap
from tests.rig import SYMBOLS, Rig, rigged

pytestmark = pytest.mark.real

NATIVE = {symbol: symbol.replace("-", "") for symbol in SYMBOLS}
RATE = 600.0


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with Simulator(seed=4, rate=RATE, invented=0, symbols=SYMBOLS) as sim, rigged(sim, tmp_path) as rig:
        for name in rig.venues:
            await rig.online(name)
        for symbol in SYMBOLS:
            await rig.until(lambda symbol=symbol: trades(rig, "binance", symbol) and trades(rig, "kucoin", symbol))
        yield rig


def trades(rig: Rig, name: str, symbol: str) -> list[dict[str, Any]]:
    return [told for _, told in rig.messages(f"trades/{name}/{symbol}")]


def newest(rig: Rig, name: str, channel: str = "trades") -> Gap:
    """The last thing told of the newest gap."""
    return [gap for gap in rig.gap_log if (gap.exchange, gap.channel) == (name, channel)][-1]


def states(rig: Rig, gap_id: str) -> list[str]:
    """What a gap went through, repetitions left out."""
    told = [gap.state for gap in rig.gap_log if gap.id == gap_id]
    return [state for k, state in enumerate(told) if k == 0 or told[k - 1] != state]


async def cut(rig: Rig, name: str, seconds: float) -> None:
    """The exchange is out of reach by websocket."""
    faults = rig.sim.faults[name]
    faults.ws_status = 503
    faults.abort()
    await rig.until(lambda: rig.status(name) != "online")
    await asyncio.sleep(seconds)
    faults.ws_status = None
    await rig.online(name)


async def settled(rig: Rig, name: str, channel: str = "trades", within_s: float = 30.0) -> Gap:
    def is_over() -> bool:
        rig.messages()
        found = [gap for gap in rig.gap_log if (gap.exchange, gap.channel) == (name, channel)]
        return bool(found) and found[-1].to_ns is not None and found[-1].state not in ("open", "filling")

    await rig.until(is_over, within_s)
    return newest(rig, name, channel)


def assert_whole(rig: Rig, symbol: str) -> None:
    """Every trade of Binance between the first and the last that was told is there once, with the exchange's words."""
    told = trades(rig, "binance", symbol)
    assert set(Counter(one["id"] for one in told).values()) == {1}
    ids = {int(one["id"]) for one in told}
    truth = {deal.id: deal for deal in rig.sim.binance.source.trades(NATIVE[symbol])}
    assert ids == set(range(min(ids), max(ids) + 1))
    for one in told:
        deal = truth[int(one["id"])]
        assert (float(deal.price), float(deal.size), deal.side) == (one["price"], one["size"], one["side"])
        assert one["time_ns"] == deal.time_ms * 1_000_000 + deal.id % 1_000_000


async def test_a_cut_line_of_binance_leaves_no_trade_out_and_tells_none_twice(rig: Rig) -> None:
    await cut(rig, "binance", 3)
    gap = await settled(rig, "binance")
    assert states(rig, gap.id) == ["open", "filling", "filled"], gap
    for symbol in SYMBOLS:
        assert_whole(rig, symbol)
    fills = [one for symbol in SYMBOLS for one in trades(rig, "binance", symbol) if "fill" in one]
    assert gap.filled == gap.expected == len(fills) > 100
    assert {one["source"] for one in fills} == {"rest"}
    (job,) = {one["fill"] for one in fills}
    told = rig.state(f"jobs/{job}")
    assert (told["state"], told["rows"], told["gap"]) == ("done", len(fills), gap.id)
    for symbol in SYMBOLS:
        numbers = [one["fill_n"] for one in trades(rig, "binance", symbol) if "fill" in one]
        assert numbers == list(range(1, len(numbers) + 1))


async def test_a_hole_in_the_ids_is_filled_exactly(rig: Rig) -> None:
    rig.sim.faults["binance"].withhold(5, "BTCUSDT", b"aggTrade")
    gap = await settled(rig, "binance")
    assert (gap.cause, gap.state, gap.expected, gap.filled) == ("sequence", "filled", 5, 5)
    assert_whole(rig, "BTC-USDT")


async def test_prices_are_unfillable_at_once_and_say_why(rig: Rig) -> None:
    await cut(rig, "binance", 0.5)
    gap = await settled(rig, "binance", "prices", 5)
    assert states(rig, gap.id) == ["open", "unfillable"]
    assert gap.reason is not None
    assert gap.reason.endswith("an exchange tells no past prices")
