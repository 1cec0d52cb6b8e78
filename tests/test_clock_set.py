"""A machine without a clock of its own: wrong at the boot, set right later, set back once more. The whole bridge."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from bridge.app import _live
from bridge.bridge import Bridge
from bridge.clock import Clock
from bridge.loading import load
from bridge.notify import Notifier
from bridge.simulator import Simulator
from bridge.watchdog import Watchdog
from tests.broker import Broker
from tests.rig import Rig
from tests.running import Subscriber, environment, subscribed

pytestmark = pytest.mark.real

S = 1_000_000_000
YEAR_NS = 365 * 24 * 3600 * S
PRICE, LATEST = "prices/kucoin/BTC-USDT", "latest/kucoin/BTC-USDT"


class System:
    """The system's wall clock, wrong by so much, and whether it knows better."""

    wrong_ns = -3 * YEAR_NS
    synced = False

    def wall_ns(self) -> int:
        return time.time_ns() + self.wrong_ns


def clock_gaps(heard: Subscriber) -> Counter[tuple[str, str]]:
    """Gaps of cause `clock` by exchange and channel; each is told more than once."""
    told = ((topic, one) for topic in heard.topics("gaps/") for one in heard.told(topic) if one["cause"] == "clock")
    return Counter(
        (topic, channel) for topic, channel, _ in {(topic, one["channel"], one["id"]) for topic, one in told}
    )


@asynccontextmanager
async def bridged(tmp_path: Path, system: System, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Subscriber]:
    """A whole bridge on this system; what is heard of it."""
    clock = partial(Clock, wall_ns=system.wall_ns, synchronised=lambda: system.synced)
    monkeypatch.setattr("bridge.bridge.Clock", clock)
    filters = ("prices/#", "latest/#", "gaps/#", "errors/#", "health/#", "catalogue/#")
    async with Simulator(seed=5, rate=60, invented=0) as sim:
        with Broker(tmp_path / "broker") as broker:
            env = environment(broker, tmp_path / "data", sim, FEED__FIRST_CANDLES_H=0)
            bridge = await Bridge.open(load(environ=env).settings)
            async with subscribed(broker, filters) as heard:
                with Watchdog(bridge.vitals, Notifier({})) as watchdog:
                    task = asyncio.create_task(_live(bridge, watchdog, None))
                    try:
                        yield heard
                    finally:
                        task.cancel()
                        await asyncio.gather(task, return_exceptions=True)


async def test_streams_wait_for_the_clock_and_every_correction_leaves_a_truthful_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = System()
    async with bridged(tmp_path, system, monkeypatch) as heard:
        await _through(system, heard)


async def test_a_system_that_never_says_so_is_believed_when_the_exchanges_agree_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.clock.BELIEVE_AFTER_S", 0.5)
    monkeypatch.setattr("bridge.bridge.HEALTH_S", 1.0)
    system = System()
    async with bridged(tmp_path, system, monkeypatch) as heard:
        await heard.until(lambda: any("clock_differs" in one for one in heard.told("health/bridge")))
        assert "not known to be synchronised" in heard.told("health/bridge")[-1]["clock_waits"]
        assert heard.topics("prices/") == []
        system.wrong_ns = 0
        await heard.until(lambda: heard.told(PRICE))
        await heard.until(lambda: any("so it is believed" in one["reason"] for one in heard.told("errors/bridge")))


async def test_an_exchange_that_was_never_reached_tells_since_when_by_the_corrected_clock(tmp_path: Path) -> None:
    async with Simulator(seed=5, rate=1, invented=0) as sim:
        venue = Rig(sim, tmp_path).venues["kucoin"]
        wrong_ns = venue.status().since_ns
        venue.clock_moved(YEAR_NS)
        assert venue.status().since_ns == wrong_ns + YEAR_NS


async def _through(system: System, heard: Subscriber) -> None:
    await heard.until(lambda: len(heard.told(LATEST)) > 1 and heard.topics("health/kucoin"))
    assert heard.topics("prices/") == []
    assert not any("time_ns" in one for one in heard.told(LATEST))
    assert heard.told("health/kucoin")[-1]["clock"] == "unsynced"
    assert all("run" not in one for one in heard.told("health/bridge"))

    system.wrong_ns, system.synced = 8 * S, True
    set_ns = time.time_ns()
    await heard.until(lambda: heard.told(PRICE) and len(clock_gaps(heard)) == 6)
    first = heard.told(PRICE)[0]
    assert first["n"] == 1
    assert first["time_ns"] >= set_ns
    assert first["run"] >= set_ns // 1_000_000
    assert set(clock_gaps(heard).values()) == {1}
    gap = heard.told("gaps/kucoin")[-1]
    assert 0 < gap["to_ns"] - gap["from_ns"] < 60 * S
    assert any("is synchronised; adopted" in one["reason"] for one in heard.told("errors/bridge"))
    for topic in LATEST, "health/bridge", "health/kucoin", "catalogue/kucoin":
        await heard.until(lambda topic=topic: "clock" not in heard.told(topic)[-1])  # type: ignore[misc]
        told = heard.told(topic)[-1]
        times = {told.get(name, set_ns) for name in ("time_ns", "since_ns", "last_tick_ns")}
        assert all(abs(time_ns - set_ns) < 60 * S for time_ns in times), told

    system.wrong_ns = 0
    await heard.until(lambda: heard.told(PRICE)[-1]["run"] > first["run"])
    rows = heard.told(PRICE)
    later = next(one for one in rows if one["run"] > first["run"])
    assert later["n"] == 1
    assert later["time_ns"] <= time.time_ns()
    assert any("8.000 s backward" in one["reason"] for one in heard.told("errors/bridge"))
    assert sum(clock_gaps(heard).values()) == 6, "a step leaves nothing out"
