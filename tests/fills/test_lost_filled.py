"""What was lost on our way, or is missing among candles, comes again by REST; the gap says by which job."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.dropped import Dropped
from bridge.gap_book import Kind
from bridge.gaps import Loss
from bridge.lost import Lost
from bridge.simulator import Simulator
from bridge.topics import Missing, Topics
from tests.rig import SYMBOLS, Rig, rigged

pytestmark = pytest.mark.real

MINUTE_NS = 60_000_000_000
TRADES = "trades/binance/BTC-USDT"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with Simulator(seed=4, rate=120, invented=0, symbols=SYMBOLS) as sim, rigged(sim, tmp_path) as rig:
        await rig.online("binance")
        await rig.until(lambda: rig.state_of_job("binance") == "done")
        await rig.until(lambda: len(rig.messages(TRADES)) > 20)
        yield rig


async def state(rig: Rig, gap_id: str, wanted: str) -> None:
    def is_there() -> bool:
        gap = rig.gaps.get(gap_id)
        return gap is not None and gap.state == wanted

    await rig.until(is_there)


async def test_dropped_trades_come_again_and_the_gap_says_by_which_job(rig: Rig) -> None:
    entries = [entry for entry in rig.outbox.waiting() if entry[0] == TRADES][5:12]
    first, last = entries[0], entries[-1]
    drop = Dropped(TRADES, first[2], first[3], last[3], first[4], last[4], "outbox full", first[1], last[1])
    (gap,) = rig.gaps.dropped([drop], Topics(), rig.clock.now_ns())
    before = len(rig.messages(TRADES))
    told = [one for _, one in rig.messages(TRADES)][first[3] - 1 : last[3]]
    await state(rig, gap.id, "filled")
    settled = rig.gaps.get(gap.id)
    assert settled is not None
    again = [one for _, one in rig.messages(TRADES)[before:] if "fill" in one]
    assert [one["id"] for one in again] == [one["id"] for one in told]
    assert [one["time_ns"] for one in again] == [one["time_ns"] for one in told]
    (job,) = {one["fill"] for one in again}
    lost = {"topic": TRADES, "run": first[2], "from_n": first[3], "to_n": last[3], "filled": job}
    assert (settled.lost, settled.expected, settled.filled) == ([lost], 7, 7)


async def test_what_the_audit_tells_lost_comes_again_between_the_rows_it_names(rig: Rig) -> None:
    rows = [one for _, one in rig.messages(TRADES)][3:8]
    places = (Missing("BTC-USDT", rows[0]["time_ns"], rows[-1]["time_ns"]),)
    kind = Kind("binance", "trades", "lost", frozenset({"BTC-USDT"}))
    lost = Lost(TRADES, rows[0]["run"], rows[1]["n"], rows[-2]["n"])
    gap = rig.gaps.lose(Loss(kind, rows[0]["time_ns"], rows[-1]["time_ns"], (lost,), None, places), rig.clock.now_ns())
    assert gap is not None
    await state(rig, gap.id, "filled")
    again = [one["id"] for _, one in rig.messages(TRADES) if "fill" in one]
    assert again == [one["id"] for one in rows[1:-1]]


async def test_lost_trades_of_which_nobody_knows_where_they_stood_are_unfillable(rig: Rig) -> None:
    kind = Kind("binance", "trades", "lost", frozenset({"BTC-USDT"}))
    gap = rig.gaps.lose(Loss(kind, 5, 6, (Lost(TRADES, 7, 1, 2),)), rig.clock.now_ns())
    assert gap is not None
    await state(rig, gap.id, "unfillable")
    young = Loss(kind, rig.clock.now_ns() - MINUTE_NS, rig.clock.now_ns(), (Lost(TRADES, 7, 5, 6),))
    other = rig.gaps.lose(young, rig.clock.now_ns())
    assert other is not None
    await state(rig, other.id, "unfillable")
    settled = rig.gaps.get(other.id)
    assert settled is not None
    assert "not known between which trades" in (settled.reason or "")


async def test_lost_trades_without_a_place_stay_missing_when_those_beside_them_are_filled(rig: Rig) -> None:
    rows = [one for _, one in rig.messages(TRADES)][3:8]
    span = rows[0]["time_ns"], rows[-1]["time_ns"]
    other = TRADES.replace("BTC", "ETH")
    lost = (Lost(TRADES, rows[0]["run"], rows[1]["n"], rows[-2]["n"]), Lost(other, rows[0]["run"], 1, 2))
    kind = Kind("binance", "trades", "lost", frozenset({"BTC-USDT", "ETH-USDT"}))
    gap = rig.gaps.lose(Loss(kind, *span, lost, None, (Missing("BTC-USDT", *span),)), rig.clock.now_ns())
    assert gap is not None
    await state(rig, gap.id, "partial")
    settled = rig.gaps.get(gap.id)
    assert settled is not None
    assert ["filled" in one for one in settled.lost or ()] == [True, False]
    assert "not known between which trades" in (settled.reason or "")


async def test_dropped_candles_come_again_though_they_were_dropped_long_after_their_time(rig: Rig) -> None:
    topic = "candles/binance/BTC-USDT/1m"
    await rig.until(lambda: len(rig.messages(topic)) > 20)
    entries = [entry for entry in rig.outbox.waiting() if entry[0] == topic][5:9]
    first, last = entries[0], entries[-1]
    times = [json.loads(entry[1])["time_ns"] for entry in entries]
    drop = Dropped(topic, first[2], first[3], last[3], first[4], last[4], "outbox full", first[1], last[1])
    rig.past.coverage.remove(topic, times[0], times[-1] + 1)
    before = len(rig.messages(topic))
    (gap,) = rig.gaps.dropped([drop], Topics(), rig.clock.now_ns())
    await state(rig, gap.id, "filled")
    again = [one["time_ns"] for _, one in rig.messages(topic)[before:] if one.get("source") == "rest"]
    assert again == times


@pytest.mark.parametrize("name", ["binance", "kucoin"])
async def test_candles_that_nobody_told_are_brought_and_no_others(rig: Rig, name: str) -> None:
    await rig.until(lambda: rig.state_of_job(name) == "done")
    topic = f"candles/{name}/BTC-USDT/1m"
    until_ns = rig.clock.now_ns() // MINUTE_NS * MINUTE_NS - 2 * MINUTE_NS
    before = [one for _, one in rig.messages(topic)]
    rig.past.coverage.remove(topic, until_ns - 5 * MINUTE_NS, until_ns)
    gap = rig.gaps.open(name, "candles", until_ns - 8 * MINUTE_NS, "line lost", None, None, rig.clock.now_ns())
    rig.gaps.close(gap.id, until_ns + 5, rig.clock.now_ns())
    await state(rig, gap.id, "filled")
    settled = rig.gaps.get(gap.id)
    assert settled is not None
    assert (settled.expected, settled.filled) == (5, 5)
    again = [one for _, one in rig.messages(topic)[len(before) :] if one.get("source") == "rest"]
    keys = ("time_ns", "open", "high", "low", "close", "volume", "quote_volume")
    was = [one for one in before if until_ns - 5 * MINUTE_NS <= one["time_ns"] < until_ns]
    assert [[one[key] for key in keys] for one in again] == [[one[key] for key in keys] for one in was]


async def test_a_short_answer_of_candles_is_asked_for_the_rest(rig: Rig) -> None:
    rig.sim.binance.rest.most_candles = 3
    topic = "candles/binance/ETH-USDT/1m"
    until_ns = rig.clock.now_ns() // MINUTE_NS * MINUTE_NS - 2 * MINUTE_NS
    rig.past.coverage.remove(topic, until_ns - 10 * MINUTE_NS, until_ns)
    gap = rig.gaps.open("binance", "candles", until_ns - 10 * MINUTE_NS, "line lost", None, None, rig.clock.now_ns())
    rig.gaps.close(gap.id, until_ns, rig.clock.now_ns())
    await state(rig, gap.id, "filled")
    settled = rig.gaps.get(gap.id)
    assert settled is not None
    assert settled.filled == 10


@pytest.mark.parametrize("channel", ["trades", "candles"])
async def test_a_symbol_that_the_exchange_lists_no_more_is_unfillable(rig: Rig, channel: str) -> None:
    now_ns = rig.clock.now_ns()
    gap = rig.gaps.open("binance", channel, now_ns - 5 * MINUTE_NS, "line lost", ["GONE-USDT"], None, now_ns)
    rig.gaps.locate(gap.id, [Missing("GONE-USDT", 1, 2)])
    rig.gaps.close(gap.id, now_ns - 3 * MINUTE_NS, now_ns)
    await state(rig, gap.id, "unfillable")
    assert "lists GONE-USDT no more" in (rig.gaps.get(gap.id) or gap).reason  # type: ignore[operator]
