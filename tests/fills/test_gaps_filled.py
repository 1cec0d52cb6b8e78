"""Gaps are filled against the simulator's own truth: every trade and candle once, live or as a fill."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.simulator import Simulator
from bridge.simulator.kucoin_frames import trade_id
from bridge.topics import Gap
from tests.rig import SYMBOLS, Rig, rigged

pytestmark = pytest.mark.real

NATIVE = {symbol: symbol.replace("-", "") for symbol in SYMBOLS}
RATE = 600.0


@pytest.fixture
async def rig(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    rate = getattr(request, "param", RATE)
    async with Simulator(seed=4, rate=rate, invented=0, symbols=SYMBOLS) as sim, rigged(sim, tmp_path) as rig:
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


@pytest.mark.parametrize("rig", [60.0], indirect=True)
async def test_kucoin_is_filled_when_its_newest_hundred_reach_back_to_the_last_told(rig: Rig) -> None:
    quiet = rig.sim.faults["kucoin"]
    before = {symbol: {one["id"] for one in trades(rig, "kucoin", symbol)} for symbol in SYMBOLS}
    quiet.close()
    gap = await settled(rig, "kucoin")
    assert states(rig, gap.id) == ["open", "filling", "filled"], gap
    for symbol in SYMBOLS:
        told = [one["id"] for one in trades(rig, "kucoin", symbol)]
        assert len(told) == len(set(told))
        truth = {str(trade_id(deal)) for deal in rig.sim.kucoin.source.trades(symbol)}
        first, last = min(before[symbol], key=int), max(told, key=int)
        assert {one for one in truth if int(first) <= int(one) <= int(last)} == set(told)


async def test_kucoin_is_not_called_filled_when_its_newest_hundred_do_not_reach_back(rig: Rig) -> None:
    await cut(rig, "kucoin", 4)
    gap = await settled(rig, "kucoin")
    assert gap.state in ("partial", "unfillable")
    assert gap.reason is not None
    assert "newest 100 trades" in gap.reason
    assert gap.expected is None
    told = [one["id"] for one in trades(rig, "kucoin", "BTC-USDT")]
    assert len(told) == len(set(told))
    truth = {str(trade_id(deal)) for deal in rig.sim.kucoin.source.trades("BTC-USDT")}
    assert {one for one in truth if int(told[0]) < int(one) < max(map(int, told))} - set(told)


@pytest.mark.parametrize("fault", ["429", "503", "garbage", "half"])
async def test_a_rest_that_fails_for_a_while_is_asked_again_and_nothing_comes_twice(rig: Rig, fault: str) -> None:
    faults = rig.sim.faults["binance"]
    faults.rest_only = "aggTrades"
    if fault.isdigit():
        faults.rest_status = int(fault)
        faults.retry_after_s = 1
    elif fault == "garbage":
        faults.rest_garbage = 3
    else:
        faults.rest_halves = 3
    await cut(rig, "binance", 1)
    if fault.isdigit():
        await rig.until(lambda: any(gap.state == "filling" for gap in rig.gap_log), 20)
        await asyncio.sleep(1.5)
        faults.rest_status = None
    gap = await settled(rig, "binance", within_s=60)
    assert gap.state == "filled"
    for symbol in SYMBOLS:
        assert_whole(rig, symbol)


async def test_an_answer_that_ends_too_early_is_never_called_whole(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig.sim.binance.rest, "most_trades", 7)
    await cut(rig, "binance", 1)
    gap = await settled(rig, "binance")
    assert gap.state == "filled", "page by page, however short the pages are"
    for symbol in SYMBOLS:
        assert_whole(rig, symbol)
    monkeypatch.setattr(rig.sim.binance.rest, "forgets_below", 10**18)
    await cut(rig, "binance", 1)
    gap = await settled(rig, "binance")
    assert (gap.state, gap.filled) == ("unfillable", None)
    assert gap.expected
    assert gap.reason is not None
    assert "REST tells 0 of" in gap.reason


async def test_live_trades_go_on_while_a_large_gap_is_filled(rig: Rig) -> None:
    faults = rig.sim.faults["binance"]
    await cut(rig, "binance", 3)
    faults.rest_only, faults.rest_delay_s = "aggTrades", 0.5
    await rig.until(lambda: any(gap.state == "filling" for gap in rig.gap_log))
    lags = []
    while newest(rig, "binance").state == "filling":
        marks = len(rig.messages("prices/binance/"))
        await asyncio.sleep(0.2)
        lags.append(len(rig.messages("prices/binance/")) - marks)
    assert len(lags) > 3
    assert min(lags) > 10
    assert newest(rig, "binance").state == "filled"


async def test_a_gap_larger_than_the_bound_or_older_than_the_store_is_refused_before_anything_is_told(
    tmp_path: Path,
) -> None:
    async with (
        Simulator(seed=4, rate=RATE, invented=0, symbols=SYMBOLS) as sim,
        rigged(sim, tmp_path, settings={"fills": {"gap_rows": 5}}) as rig,
    ):
        await rig.online("binance")
        for symbol in SYMBOLS:
            await rig.until(lambda symbol=symbol: trades(rig, "binance", symbol))
        await cut(rig, "binance", 1)
        gap = await settled(rig, "binance")
        assert (gap.state, gap.filled) == ("unfillable", None)
        assert gap.reason is not None
        assert "fills.gap_rows = 5" in gap.reason
        old = rig.gaps.open("binance", "trades", 0, "line lost", None, None, rig.clock.now_ns())
        rig.gaps.close(old.id, 10**9, rig.clock.now_ns())
        await rig.until(lambda: rig.gaps.get(old.id).state == "unfillable")  # type: ignore[union-attr]
        assert "history.trades_days = 90" in (rig.gaps.get(old.id).reason or "")  # type: ignore[union-attr]


async def test_switched_off_nothing_is_asked_for(tmp_path: Path) -> None:
    async with (
        Simulator(seed=4, rate=RATE, invented=0, symbols=SYMBOLS) as sim,
        rigged(sim, tmp_path, settings={"fills": {"enabled": False}}) as rig,
    ):
        await rig.online("binance")
        await cut(rig, "binance", 0.5)
        gap = await settled(rig, "binance")
        assert (gap.state, "fills.enabled" in (gap.reason or "")) == ("unfillable", True)
        assert sim.binance.asked["/api/v3/aggTrades"] == 0
