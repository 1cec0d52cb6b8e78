"""Every fault of the simulator against the real feeds: it ends with the feed live again, the other unharmed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import monotonic

import pytest

from bridge.settings import Feed
from bridge.simulator import Simulator
from tests.rig import Rig, rigged

pytestmark = pytest.mark.real

NAMES = ("kucoin", "binance")
NATIVE = {"kucoin": "BTC-USDT", "binance": "BTCUSDT"}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with Simulator(seed=3, rate=60, invented=5) as sim, rigged(sim, tmp_path) as rig:
        for name in NAMES:
            await rig.online(name)
            await rig.until(lambda name=name: rig.state(f"latest/{name}/BTC-USDT"))
        yield rig


def other(name: str) -> str:
    return NAMES[1 - NAMES.index(name)]


async def recovers(rig: Rig, name: str, *, gap: bool = True) -> None:
    """The feed is live again, with a tick later than now, its gap is ended, and the other feed has none."""
    mark = len(rig.messages(f"prices/{name}/"))
    await rig.online(name)
    await rig.until(lambda: len(rig.messages(f"prices/{name}/")) > mark)
    told = rig.messages(f"gaps/{name}") or [(g.exchange, g) for g in rig.gap_log if g.exchange == name]
    assert bool(told) is gap
    assert not [g for g in rig.gap_log if g.exchange == other(name)]
    assert all(
        status == "online" for _, seen, status in rig.status_log if seen == other(name) and status != "connecting"
    )


@pytest.mark.parametrize("name", NAMES)
async def test_a_silent_stall_of_the_line_is_noticed_and_redialled(rig: Rig, name: str) -> None:
    rig.sim.faults[name].stall()
    begun = monotonic()
    await rig.until(lambda: rig.status(name) in ("reconnecting", "quiet"))
    assert monotonic() - begun < 5
    await rig.until(lambda: rig.state(f"latest/{name}/BTC-USDT")["stale"])
    rig.sim.faults[name].heal()
    await recovers(rig, name)
    await rig.until(lambda: not rig.state(f"latest/{name}/BTC-USDT")["stale"])


@pytest.mark.parametrize("name", NAMES)
async def test_a_line_that_answers_pings_but_tells_nothing_is_redialled(rig: Rig, name: str) -> None:
    rig.sim.faults[name].stalled = True
    await rig.until(lambda: "silent" in rig.venues[name].sessions[0].status.reason)
    rig.sim.faults[name].heal()
    await recovers(rig, name)


@pytest.mark.parametrize("name", NAMES)
async def test_an_ignored_ping_alone_does_no_harm_while_data_flows(rig: Rig, name: str) -> None:
    rig.sim.faults[name].ignore_pings = True
    await asyncio.sleep(3)
    assert rig.status(name) == "online"
    assert not rig.gap_log


@pytest.mark.parametrize("name", NAMES)
async def test_a_silent_symbol_is_looked_at_and_told_as_stale_when_rest_contradicts(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.freshness.SUSPECT_NS", 2_000_000_000)
    async with Simulator(seed=3, rate=120, invented=0) as sim, rigged(sim, tmp_path) as rig:
        await rig.online(name)
        await rig.until(lambda: rig.state(f"latest/{name}/BTC-USDT"))
        await rig.until(lambda: rig.state(f"latest/{name}/ETH-USDT"))
        sim.faults[name].silent_symbols.add(NATIVE[name])
        await rig.until(lambda: rig.state(f"latest/{name}/BTC-USDT")["stale"], 40)
        assert rig.status(name) == "online"
        assert not rig.state(f"latest/{name}/ETH-USDT")["stale"]
        sim.faults[name].heal()
        await rig.until(lambda: not rig.state(f"latest/{name}/BTC-USDT")["stale"], 40)


@pytest.mark.parametrize("status", [451, 403, 429])
@pytest.mark.parametrize("name", NAMES)
async def test_an_http_refusal_is_reported_plainly(rig: Rig, name: str, status: int) -> None:
    rig.sim.faults[name].refuse(status)
    rig.sim.faults[name].abort()
    await rig.until(lambda: rig.status(name) == "refused")
    assert f"HTTP {status}" in rig.venues[name].status().reason
    rig.sim.faults[name].heal()
    await recovers(rig, name)


async def test_a_refused_token_is_asked_for_anew(rig: Rig) -> None:
    rig.sim.faults["kucoin"].refuse_tokens = True
    rig.sim.faults["kucoin"].abort()
    await rig.until(lambda: "401" in rig.venues["kucoin"].status().reason)
    rig.sim.faults["kucoin"].heal()
    await recovers(rig, "kucoin")


@pytest.mark.parametrize("at_byte", [0, 1, 2, 5, 50])
@pytest.mark.parametrize("name", NAMES)
async def test_a_line_that_ends_within_a_frame_loses_that_frame_only(rig: Rig, name: str, at_byte: int) -> None:
    rig.sim.faults[name].cut(at_byte)
    await rig.until(lambda: rig.status(name) == "reconnecting" or rig.gap_log)
    await recovers(rig, name)


Harm = Callable[[Rig, str], None]
HARMLESS: dict[str, Harm] = {
    "garbage": lambda rig, name: rig.sim.faults[name].garbage(),
    "truncated": lambda rig, name: rig.sim.faults[name].truncate(NATIVE[name]),
}


@pytest.mark.parametrize("harm", HARMLESS)
@pytest.mark.parametrize("name", NAMES)
async def test_an_unreadable_frame_is_counted_reported_and_skipped(rig: Rig, name: str, harm: str) -> None:
    HARMLESS[harm](rig, name)
    await rig.until(lambda: rig.venues[name].feed.counters.unreadable)
    ((_, told),) = rig.messages(f"errors/{name}")
    assert told["kind"] == "frame"
    assert told["frame"]
    await recovers(rig, name, gap=False)


@pytest.mark.parametrize("name", NAMES)
async def test_a_huge_frame_costs_the_line_and_nothing_else(rig: Rig, name: str) -> None:
    rig.sim.faults[name].huge()
    await rig.until(lambda: rig.gap_log)
    await recovers(rig, name)


@pytest.mark.parametrize("name", NAMES)
async def test_a_duplicate_is_a_repeat(rig: Rig, name: str) -> None:
    before = rig.venues[name].feed.counters.repeats
    for _ in range(20):  # it strikes whatever comes next, and only ticks and trades are counted
        rig.sim.faults[name].duplicate(NATIVE[name])
    await rig.until(lambda: rig.venues[name].feed.counters.repeats > before)
    await recovers(rig, name, gap=False)


async def test_a_late_tick_never_overwrites_a_newer_one(rig: Rig) -> None:
    rig.sim.faults["kucoin"].late("BTC-USDT")
    await rig.until(lambda: not rig.sim.faults["kucoin"].pending)
    await asyncio.sleep(0.5)
    sequences = [told["seq"] for topic, told in rig.messages("prices/kucoin/BTC-USDT")]
    assert sequences == sorted(sequences)
    await recovers(rig, "kucoin", gap=False)


@pytest.mark.parametrize("digits", ["0", "-1"])
@pytest.mark.parametrize("name", NAMES)
async def test_a_price_that_cannot_be_is_parked(rig: Rig, name: str, digits: str) -> None:
    rig.sim.faults[name].price(digits, NATIVE[name])
    await rig.until(lambda: rig.messages(f"errors/{name}"))
    assert rig.messages(f"errors/{name}")[0][1]["kind"] == "value"
    assert all(float(told.get("price", 1)) > 0 for _, told in rig.messages(f"prices/{name}"))
    await recovers(rig, name, gap=False)


async def test_a_hole_in_the_trade_ids_opens_a_gap_of_trades(rig: Rig) -> None:
    await rig.until(lambda: rig.messages("trades/binance/BTC-USDT"))
    rig.sim.faults["binance"].withhold(2, "BTCUSDT", b"aggTrade")
    await rig.until(lambda: rig.gap_log)
    assert {gap.cause for gap in rig.gap_log} == {"sequence"}
    assert rig.gap_log[0].symbols == ["BTC-USDT"]
    assert rig.gap_log[0].state == "open"  # it may be filled by now


@pytest.mark.parametrize("name", NAMES)
async def test_an_unknown_symbol_is_reported_and_published_nowhere(rig: Rig, name: str) -> None:
    alias = {"kucoin": "NOSUCH-USDT", "binance": "NOSUCHUSDT"}[name]
    rig.sim.faults[name].unknown_symbol(NATIVE[name], alias)
    await rig.until(lambda: rig.messages(f"errors/{name}"))
    assert rig.messages(f"errors/{name}")[0][1]["kind"] == "symbol"
    assert not [topic for topic, _ in rig.messages("prices/") if "NOSUCH" in topic]


@pytest.mark.parametrize("name", NAMES)
async def test_a_server_that_reads_nothing_is_left_after_unanswered_pings(rig: Rig, name: str) -> None:
    rig.sim.faults[name].deaf = True
    rig.sim.faults[name].stalled = True
    await rig.until(lambda: rig.gap_log)
    rig.sim.faults[name].heal()
    await recovers(rig, name)


async def test_a_server_shutdown_is_followed_by_a_new_line_at_once(rig: Rig) -> None:
    rig.sim.binance.shut_down()
    await rig.until(lambda: rig.gap_log)
    assert "serverShutdown" in (rig.gap_log[0].reason or "")
    await recovers(rig, "binance")


@pytest.mark.parametrize("name", NAMES)
async def test_an_exchange_that_is_away_and_comes_back_is_found_again(rig: Rig, name: str) -> None:
    port = getattr(rig.sim, name).port
    await port.close()
    rig.sim.faults[name].abort()
    await rig.until(lambda: rig.status(name) == "reconnecting")
    await port.open()
    await recovers(rig, name)


@pytest.mark.parametrize("name", NAMES)
async def test_a_gap_ends_when_every_subscription_is_answered(rig: Rig, name: str) -> None:
    rig.sim.faults[name].abort()
    await rig.until(lambda: any(gap.to_ns for gap in rig.gap_log))
    connection = rig.venues[name].sessions[0]._connection
    assert connection is not None
    assert connection._sender.waiting == 0
    assert connection._exchange.settled()


@pytest.mark.parametrize("name", NAMES)
async def test_symbols_are_subscribed_and_unsubscribed_on_a_living_line(rig: Rig, name: str) -> None:
    venue = rig.venues[name]
    venue.change(venue.settings.model_copy(update={"symbols": ("BTC-USDT", "XRP-USDT")}))
    await rig.until(lambda: rig.messages(f"prices/{name}/XRP-USDT"))
    await rig.until(lambda: rig.state(f"latest/{name}/ETH-USDT").get("stale"))
    count = len(rig.messages(f"prices/{name}/ETH-USDT"))
    await asyncio.sleep(1)
    assert len(rig.messages(f"prices/{name}/ETH-USDT")) <= count + 1
    assert not rig.gap_log


@pytest.mark.parametrize("name", NAMES)
async def test_a_symbol_acknowledged_and_then_silent_is_reported(tmp_path: Path, name: str) -> None:
    async with Simulator(seed=3, rate=60, invented=0) as sim:
        sim.faults[name].silent_symbols.add(NATIVE[name])
        async with rigged(sim, tmp_path) as rig:
            await rig.until(lambda: rig.messages(f"errors/{name}"), 15)
            told = rig.messages(f"errors/{name}")[0][1]
            assert (told["kind"], told["symbol"]) == ("symbol", "BTC-USDT")
            assert "silent" in told["reason"]


@pytest.mark.slow
@pytest.mark.parametrize("answers", [True, False])
async def test_by_default_health_is_not_online_20_s_after_a_silent_stall(tmp_path: Path, answers: bool) -> None:
    async with Simulator(seed=3, rate=60, invented=0) as sim, rigged(sim, tmp_path, Feed()) as rig:
        await rig.online("kucoin")
        await rig.until(lambda: rig.state("latest/kucoin/BTC-USDT"))
        sim.faults["kucoin"].stalled = True
        sim.faults["kucoin"].ignore_pings = not answers
        await rig.until(lambda: rig.state("health/kucoin")["status"] != "online", 20)
        if not answers:
            await rig.until(lambda: rig.state("latest/kucoin/BTC-USDT")["stale"], 20)
            assert rig.status("kucoin") == "reconnecting"


async def test_the_last_days_candles_come_as_a_fill_before_the_live_ones(rig: Rig) -> None:
    for name in NAMES:
        await rig.until(lambda name=name: rig.state_of_job(name) == "done", 30)
        rows = [told for topic, told in rig.messages(f"candles/{name}/BTC-USDT/1m") if told.get("source") == "rest"]
        assert len(rows) == 60
        assert [told["fill_n"] for told in rows] == list(range(1, 61))
