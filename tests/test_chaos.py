"""Kill -9 under load: every row is there in the end, by the simulator's own truth and the bridge's ledger."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic, time_ns
from typing import Any

import aiohttp
import pytest

from bridge.ledger import Ledger, Published, Query
from bridge.settings import History
from bridge.simulator import Simulator
from bridge.simulator.kucoin_frames import trade_id
from bridge.topics import Topics
from dashboard.history.sqlite import SqliteHistory
from tests.broker import Broker, free_ports
from tests.dashboard.stored import stored
from tests.running import environment, tickbridge

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(600)]

SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "DOGE-USDT", "ADA-USDT")
RATE = 1000.0
"""Quote updates a second of each exchange: some 2,000 ticks a second in all."""
ENOUGH = 8_000
"""Rows: some four seconds of it."""
AWAY_S = 2.0
"""How long a killed process is away under load."""


class World:
    """Simulator, broker, bridge and dashboard as real processes under load; `check` looks at what is stored."""

    def __init__(self, sim: Simulator, broker: Broker, folder: Path) -> None:
        self.sim, self.broker, self.folder = sim, broker, folder
        (self.page_port,) = free_ports(1)
        self.env = environment(broker, folder, sim, **{
            "EXCHANGES__KUCOIN__SYMBOLS": json.dumps(SYMBOLS),
            "EXCHANGES__BINANCE__SYMBOLS": json.dumps(SYMBOLS),
            "DASHBOARD__PORT": self.page_port,
            "DASHBOARD__MQTT_WEBSOCKET_PORT": broker.ws_port,
            "HISTORY__COMMIT_S": 2,
            "FEED__FIRST_CANDLES_H": 0,
        })  # fmt: skip
        self.stack = ExitStack()
        self.bridge = self.stack.enter_context(tickbridge("run", folder, self.env))
        self.dashboard = self.store()

    def store(self) -> Any:
        """Start the dashboard with its recorder."""
        self.recorder_stack = ExitStack()
        return self.recorder_stack.enter_context(tickbridge("dashboard", self.folder, self.env, exit_code=None))

    def kill_store(self) -> None:
        self.dashboard.send_signal(signal.SIGKILL)
        self.recorder_stack.close()

    async def health(self) -> dict[str, Any]:
        """What the dashboard tells of all of them; nothing while it is away."""
        url = f"http://127.0.0.1:{self.page_port}/api/v1/health"
        with suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession() as http, http.get(url) as answer:
                return dict(await answer.json())
        return {}

    async def until(self, condition: Callable[[dict[str, Any]], bool], what: str, within_s: float = 180.0) -> None:
        """Wait for a health that fulfils a condition."""
        deadline = monotonic() + within_s
        while not ((told := await self.health()) and condition(told)):
            assert monotonic() < deadline, f"not within {within_s} s: {what}: {told} {self.log('dashboard')}"
            await asyncio.sleep(0.2)

    async def recording(self) -> None:
        """Wait until some seconds' load has been stored from now on."""
        stored = (await self.health()).get("history", {}).get("stored", 0)
        await self.until(lambda told: bool(told["history"]["stored"] >= stored + ENOUGH), "it records")

    def log(self, verb: str) -> str:
        return (self.folder / f"{verb}.log").read_text()[-3000:]

    async def settle(self) -> None:
        """The load ends; what was published is acknowledged and stored."""
        for name in ("kucoin", "binance"):
            self.sim.faults[name].stalled = True
        stalled_ns = time_ns()
        await self.until(lambda told: _all_sent(told, stalled_ns), "the bridge has handed on everything")
        self.stack.close()
        heard = -1
        while heard != (heard := (await self.health())["recorder"]["received"]):
            await self.until(_all_stored, "the recorder has stored everything")
        self.dashboard.send_signal(signal.SIGINT)
        self.recorder_stack.close()

    def published(self) -> list[Published]:
        """Every topic's last number, by the bridge's own ledger."""
        ledger = Ledger(self.folder / "bridge" / "ledger.db", Topics())
        (run,) = ledger.runs()
        found = ledger.rows(Query(run=run.run))
        ledger.close()
        return found

    async def check(self) -> None:
        """Every number that was published is there, to the last; and every trade that the exchanges told."""
        published = self.published()
        streams = {tuple(one.topic.split("/")[:2]) for one in published}
        assert streams >= {(kind, of) for kind in ("prices", "trades") for of in ("kucoin", "binance")}
        history = SqliteHistory(self.folder / "history.sqlite", History())
        try:
            for one in published:
                numbers = sorted(row["n"] for row in await stored(history, one.topic) if "n" in row)
                assert numbers == list(range(1, one.n + 1)), (one.topic, one.n, _holes(numbers))
            for symbol in SYMBOLS:
                for exchange, told in self.told(symbol).items():
                    ids = {int(row["id"]) for row in await stored(history, f"trades/{exchange}/{symbol}")}
                    assert {number for number in told if number >= min(ids)} - ids == set(), (exchange, symbol)
        finally:
            history.close()

    def told(self, symbol: str) -> dict[str, set[int]]:
        """The ids of all trades that each exchange told."""
        kucoin = {trade_id(deal) for deal in self.sim.kucoin.truth.trades(symbol).values()}
        return {"kucoin": kucoin, "binance": set(self.sim.binance.truth.trades(symbol.replace("-", "")))}


def _all_sent(told: dict[str, Any], since_ns: int) -> bool:
    bridge = told["health"].get("bridge", {})
    return bool(bridge.get("time_ns", 0) > since_ns and bridge["unacknowledged"] == 0)


def _all_stored(told: dict[str, Any]) -> bool:
    recorder = told["recorder"]
    return bool(recorder["broker"] == "ok" and recorder["unacknowledged"] == told["history"]["waiting"] == 0)


def _holes(numbers: list[int]) -> list[int]:
    return sorted(set(range(1, (numbers or [0])[-1] + 1)) - set(numbers))[:20]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    with Broker(tmp_path / "mosquitto", replace={"autosave_interval 30": "autosave_interval 3"}) as broker:
        async with Simulator(seed=5, rate=RATE, invented=0, symbols=SYMBOLS, remembered=2_000_000) as sim:
            world = World(sim, broker, tmp_path / "data")
            try:
                await world.until(_all_connected, "all are connected")
                broker.save()
                await world.recording()
                yield world
            finally:
                world.stack.close()
                world.recorder_stack.close()


def _all_connected(told: dict[str, Any]) -> bool:
    return bool(told["recorder"]["broker"] == "ok") and all(
        name in told["health"] for name in ("kucoin", "binance", "bridge")
    )


async def test_mosquitto_killed_outright_loses_no_row(world: World) -> None:
    for _ in range(2):
        world.broker.kill9()
        await asyncio.sleep(AWAY_S)
        world.broker.start()
        await world.recording()
    every = 2 * len(SYMBOLS)
    await world.until(lambda told: told["history"]["journal"].get("candles", 0) >= every, "a minute is over", 90)
    await world.settle()
    await world.check()


async def test_the_recorder_killed_outright_loses_no_row(world: World) -> None:
    world.kill_store()
    await asyncio.sleep(AWAY_S)
    world.dashboard = world.store()
    await world.recording()
    await world.settle()
    await world.check()


async def test_mosquitto_killed_while_the_recorder_is_away_loses_no_row(world: World) -> None:
    world.kill_store()
    await asyncio.sleep(AWAY_S)
    world.broker.save()
    await asyncio.sleep(AWAY_S)
    world.broker.kill9()
    await asyncio.sleep(AWAY_S)
    world.broker.start()
    world.dashboard = world.store()
    await world.recording()
    await world.settle()
    await world.check()
