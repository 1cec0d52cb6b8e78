"""systemd's watchdog is fed by progress: each part, stalled on purpose, stops it and is named."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest

from bridge.app import _live
from bridge.bridge import Bridge
from bridge.clock import ClockChange
from bridge.discovery import link
from bridge.discovery.shelf import Shelf
from bridge.loading import load
from bridge.mqtt import connection
from bridge.notify import Notifier
from bridge.simulator import Simulator
from bridge.vitals import Vitals
from bridge.watchdog import Watchdog
from tests.broker import Broker
from tests.manager import Manager, manager
from tests.running import environment

pytestmark = pytest.mark.real

LOOK_S = 0.1


async def forever(*_: object) -> float:
    await asyncio.Event().wait()
    raise AssertionError("never")


async def forever_too(*_: object, again: bool) -> None:
    await forever(again)


class House:
    """A bridge whose watchdog reports to a manager of the test's."""

    def __init__(self, bridge: Bridge, systemd: Manager, sim: Simulator, broker: Broker) -> None:
        self.bridge, self.systemd, self.sim, self.broker = bridge, systemd, sim, broker

    async def fed(self) -> None:
        """WATCHDOG=1 comes from now on."""
        seen = len(self.systemd.lines)
        await self.systemd.until(lambda: "WATCHDOG=1" in self.systemd.lines[seen:])


@asynccontextmanager
async def house(folder: Path, broker: Broker, sim: Simulator, **more: object) -> AsyncIterator[House]:
    brisk = {"WATCHDOG__GRACE_S": 1.5, "FEED__BACKOFF_FIRST_S": 0.1, "FEED__BACKOFF_MOST_S": 0.2}
    settings = load(environ=environment(broker, folder / "data", sim, **brisk, **more)).settings
    with manager(folder, 2 * LOOK_S) as systemd:
        bridge = await Bridge.open(settings)
        with Watchdog(bridge.vitals, Notifier(systemd.environ), LOOK_S) as watchdog:
            task = asyncio.create_task(_live(bridge, watchdog, None))
            try:
                await systemd.until(lambda: "READY=1" in systemd.lines)
                yield House(bridge, systemd, sim, broker)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        assert "STOPPING=1" in systemd.lines


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[House]:
    async with Simulator(seed=5, rate=30, invented=5) as sim:
        with Broker(tmp_path / "broker") as broker:
            async with house(tmp_path, broker, sim) as one:
                await one.systemd.until(lambda: "kucoin online, binance online; broker connected" in one.systemd.status)
                yield one


def stall_tend(one: House) -> None:
    one.bridge.clock.check = lambda: [ClockChange("step", 1)]  # type: ignore[method-assign]
    one.bridge._clock_changed = forever  # type: ignore[method-assign,assignment]


def stall_session(one: House) -> None:
    session = one.bridge.venues[0].sessions[0]
    session._attempt = forever  # type: ignore[method-assign,assignment]
    one.sim.faults["kucoin"].abort()


def stall_publisher(one: House) -> None:
    line = one.bridge.publisher._connection
    assert line is not None
    line._flush = lambda: None  # type: ignore[method-assign]


def stall_publisher_task(one: House) -> None:
    one.bridge.publisher._attempt = forever  # type: ignore[method-assign,assignment]
    one.bridge.publisher.renew()


STALLS: dict[str, tuple[Callable[[House], None], str]] = {
    "tend": (stall_tend, "tend"),
    "a venue's session": (stall_session, "kucoin/1"),
    "the publisher with acknowledgements outstanding": (stall_publisher, "publisher"),
    "the publisher between two connections": (stall_publisher_task, "publisher"),
}


@pytest.mark.parametrize("what", STALLS)
async def test_a_part_that_stands_still_is_named_and_nothing_is_fed_any_more(
    running: House, what: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "ACK_S", 0.5)
    stall, who = STALLS[what]
    await running.fed()
    stall(running)
    await running.systemd.until(lambda: f"STATUS=stuck: {who}" in running.systemd.status)
    stuck = running.systemd.status
    await asyncio.sleep(5 * LOOK_S)
    assert "WATCHDOG=1" not in running.systemd.since(stuck)
    assert any(f"stuck: {who}" in record.message for record in caplog.records)


async def test_a_loop_that_is_blocked_feeds_nothing(running: House) -> None:
    await running.fed()
    for _ in range(30):
        time.sleep(0.1)  # noqa: ASYNC251 - this is the fault
        lines = running.systemd.lines[:]  # the socket's queue is short, and systemd would read it
    first = next(k for k, line in enumerate(lines) if line.startswith("STATUS=stuck: "))
    assert "WATCHDOG=1" not in lines[first:]
    await running.fed()
    await running.systemd.until(lambda: "kucoin" in running.systemd.status)


async def test_exchanges_that_are_down_and_a_broker_that_is_away_are_no_standstill(running: House) -> None:
    for faults in running.sim.faults.values():
        faults.refuse(503)
        faults.abort()
    running.broker.stop()
    await running.systemd.until(
        lambda: "broker away" in running.systemd.status and "kucoin re" in running.systemd.status
    )
    seen = len(running.systemd.lines)
    await asyncio.sleep(3)
    told = running.systemd.lines[seen:]
    assert told.count("WATCHDOG=1") > 10
    assert not any(line.startswith("STATUS=stuck") for line in told)


async def test_home_assistant_s_part_moves_while_nothing_changes_and_is_named_when_it_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "LOOK_AGAIN_S", 0.2)
    looks: list[bool] = []
    publish = link.Link._publish

    async def counted(self: link.Link, connection: aiomqtt.Client, shelf: Shelf, *, again: bool) -> None:
        await publish(self, connection, shelf, again=again)
        looks.append(again)

    monkeypatch.setattr(link.Link, "_publish", counted)
    async with Simulator(seed=5, rate=30, invented=5) as sim:
        with Broker(tmp_path / "broker") as broker:
            async with house(tmp_path, broker, sim, HOMEASSISTANT__ENABLED="true") as one:
                await one.systemd.until(lambda: len(looks) > 10)
                assert not any("stuck" in line for line in one.systemd.lines)
                monkeypatch.setattr(link.Link, "_publish", forever_too)
                await one.systemd.until(lambda: "STATUS=stuck: homeassistant" in one.systemd.status)


async def test_ready_does_not_wait_for_exchange_or_broker(tmp_path: Path) -> None:
    async with Simulator(seed=5, rate=30, invented=5) as sim:
        away = Broker(tmp_path / "broker")
        for faults in sim.faults.values():
            faults.refuse(503)
        async with house(tmp_path, away, sim) as one:
            await one.fed()
            assert "broker away" in one.systemd.status


class Said(Notifier):
    """Knows of each try whether it was taken."""

    def __init__(self, environ: dict[str, str]) -> None:
        super().__init__(environ)
        self.taken: list[bool] = []

    def say(self, *lines: str) -> bool:
        self.taken.append(super().say(*lines))
        return self.taken[-1]


async def test_a_start_that_the_manager_did_not_take_is_told_again(tmp_path: Path) -> None:
    vitals = Vitals(time.monotonic_ns, 1)
    vitals.ready = True
    said = Said({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "40000"})
    with Watchdog(vitals, said) as watchdog:
        while len(said.taken) < 2:
            await asyncio.sleep(0.01)
        with manager(tmp_path) as systemd:
            await systemd.until(lambda: systemd.lines.count("WATCHDOG=1") > 2)
            assert systemd.lines.count("READY=1") == 1
        watchdog.stopping()


async def test_a_machine_that_slept_accuses_nobody_for_a_beat(running: House) -> None:
    vitals = running.bridge.vitals
    slept_ns = [0]
    monotonic_ns = vitals.monotonic_ns
    vitals.monotonic_ns = lambda: monotonic_ns() + slept_ns[0]
    slept_ns[0] = 3600 * 1_000_000_000
    assert running.bridge._bridge_figures()["stuck"] is None, "before the watchdog has looked"
    seen = len(running.systemd.lines)
    await running.systemd.until(lambda: running.systemd.lines[seen:].count("WATCHDOG=1") > 3)
    assert not vitals.stuck()
    assert running.bridge._bridge_figures()["stuck"] is None
