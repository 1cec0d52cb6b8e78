"""Kill -9 under load: every row is there in the end, by the simulator's own truth and by `n`."""

import asyncio
import json
import signal
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp
import pytest

from bridge.settings import History
from bridge.simulator import Simulator
from dashboard.history.base import Span
from dashboard.history.sqlite import SqliteHistory
from tests.broker import Broker, free_ports
from tests.running import environment, tickbridge

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(240)]

SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "DOGE-USDT", "ADA-USDT")
RATE = 1000.0
"""Quote updates a second of each exchange: some 2,000 ticks a second in all."""


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

    async def recording(self, within_s: float = 30.0) -> None:
        """Wait until rows are stored."""
        url = f"http://127.0.0.1:{self.page_port}/api/v1/history/kucoin/BTC-USDT?interval=tick&limit=1"
        deadline = monotonic() + within_s
        async with aiohttp.ClientSession() as http:
            while monotonic() < deadline:
                try:
                    async with http.get(url) as answer:
                        if answer.status == 200 and (await answer.json())["rows"]:
                            self.broker.save()
                            return
                except aiohttp.ClientError:
                    await asyncio.sleep(0)
                await asyncio.sleep(0.2)
        raise AssertionError(f"nothing stored within {within_s} s: {self.log('dashboard')}")

    def log(self, verb: str) -> str:
        return (self.folder / f"{verb}.log").read_text()[-3000:]

    async def settle(self) -> None:
        """The load ends; what was published is acknowledged and stored."""
        for name in ("kucoin", "binance"):
            self.sim.faults[name].stalled = True
        await asyncio.sleep(8)
        self.stack.close()
        await asyncio.sleep(4)
        self.dashboard.send_signal(signal.SIGINT)
        self.recorder_stack.close()

    async def rows(self, kind: str) -> dict[tuple[str, str], list[dict[str, Any]]]:
        history = SqliteHistory(self.folder / "history.sqlite", History())
        found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        for one in history.symbols():
            from_ns: int | None = 0
            while from_ns is not None and kind in one.kinds:
                page = await history.rows(kind, one.exchange, one.symbol, Span(10_000, from_ns))
                found[one.exchange, one.symbol] += [json.loads(row) for row in page.rows]
                from_ns = page.next_ns
        history.close()
        return found

    async def check(self) -> None:
        """Every `n` of every topic is there once, and every trade that the exchange told."""
        for kind in ("prices", "trades"):
            rows = await self.rows(kind)
            assert len(rows) == 2 * len(SYMBOLS)
            for key, told in rows.items():
                numbers = sorted(row["n"] for row in told if "n" in row)
                assert numbers == list(range(1, len(numbers) + 1)), (kind, key, _holes(numbers))
        trades = await self.rows("trades")
        for symbol in SYMBOLS:
            stored = {row["id"] for row in trades["binance", symbol]}
            first = min(map(int, stored))
            truth = {
                str(number) for number in self.sim.binance.truth.trades(symbol.replace("-", "")) if number >= first
            }
            assert truth - stored == set()


def _holes(numbers: list[int]) -> list[int]:
    return sorted(set(range(1, (numbers or [0])[-1] + 1)) - set(numbers))[:20]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    with Broker(tmp_path / "mosquitto", replace={"autosave_interval 30": "autosave_interval 3"}) as broker:
        async with Simulator(seed=5, rate=RATE, invented=0, symbols=SYMBOLS, remembered=2_000_000) as sim:
            world = World(sim, broker, tmp_path / "data")
            try:
                await world.recording()
                await asyncio.sleep(4)
                yield world
            finally:
                world.stack.close()
                world.recorder_stack.close()


async def test_mosquitto_killed_outright_loses_no_row(world: World) -> None:
    for _ in range(2):
        world.broker.kill9()
        await asyncio.sleep(1.5)
        world.broker.start()
        await asyncio.sleep(8)
    await world.settle()
    await world.check()


async def test_the_recorder_killed_outright_loses_no_row(world: World) -> None:
    world.kill_store()
    await asyncio.sleep(2)
    world.dashboard = world.store()
    await world.recording()
    await asyncio.sleep(4)
    await world.settle()
    await world.check()


async def test_mosquitto_killed_while_the_recorder_is_away_loses_no_row(world: World) -> None:
    world.kill_store()
    await asyncio.sleep(5)
    world.broker.kill9()
    await asyncio.sleep(1)
    world.broker.start()
    await asyncio.sleep(4)
    world.dashboard = world.store()
    await world.recording()
    await asyncio.sleep(6)
    await world.settle()
    await world.check()
