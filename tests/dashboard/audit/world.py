"""A real broker, bridge and dashboard, whose continuous audit is in a hurry; and what it says."""

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp

from bridge.simulator import Simulator
from tests.broker import Broker, free_ports
from tests.running import environment, tickbridge

SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT")


class World:
    """Processes on one broker and one folder. `env` is also the verb's."""

    def __init__(self, sim: Simulator, broker: Broker, folder: Path, **more: object) -> None:
        self.sim, self.broker, self.folder = sim, broker, folder
        (self.page_port,) = free_ports(1)
        self.env = environment(broker, folder, sim, **{
            "EXCHANGES__KUCOIN__SYMBOLS": json.dumps(SYMBOLS),
            "EXCHANGES__BINANCE__ENABLED": "false",
            "DASHBOARD__PORT": self.page_port,
            "DASHBOARD__MQTT_WEBSOCKET_PORT": broker.ws_port,
            "HISTORY__COMMIT_S": 1,
            "AUDIT__EVERY_S": 1,
            "AUDIT__SETTLE_S": 2,
            "FEED__FIRST_CANDLES_H": 0,
        } | more)  # fmt: skip
        self.bridge_stack, self.store_stack = ExitStack(), ExitStack()

    # --- processes ----------------------------------------------------------------------------------
    def start_bridge(self) -> None:
        self.bridge = self.bridge_stack.enter_context(tickbridge("run", self.folder, self.env, exit_code=None))

    def start_dashboard(self) -> None:
        one = tickbridge("dashboard", self.folder, self.env, exit_code=None)
        self.dashboard = self.store_stack.enter_context(one)

    def stop_bridge(self) -> None:
        self.bridge_stack.close()

    def stop_dashboard(self) -> None:
        self.store_stack.close()

    def kill_bridge(self) -> None:
        self.bridge.send_signal(signal.SIGKILL)
        self.bridge.wait()
        self.bridge_stack.close()

    # --- what is said -------------------------------------------------------------------------------
    def log(self, verb: str) -> str:
        return (self.folder / f"{verb}.log").read_text()

    async def get(self, path: str) -> dict[str, Any]:
        """An answer of the API; nothing while the dashboard is away."""
        with suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{self.page_port}{path}") as answer:
                return dict(await answer.json())
        return {}

    async def proof(self) -> dict[str, Any]:
        return dict((await self.get("/api/v1/health")).get("proof", {}))

    async def until(self, condition: Callable[[dict[str, Any]], object], what: str, within_s: float = 45.0) -> Any:
        """Wait for a proof that fulfils a condition."""
        deadline = monotonic() + within_s
        while not ((told := await self.proof()) and condition(told)):
            said = self.log("dashboard")[-2000:] if (self.folder / "dashboard.log").exists() else ""
            assert monotonic() < deadline, f"not within {within_s} s: {what}: {told} {said}"
            await asyncio.sleep(0.2)
        return told

    async def complete(self) -> dict[str, Any]:
        """Wait until what is published by now is proven."""
        told = await self.until(lambda one: one.get("state") == "complete" and one.get("proven", 0) > 50, "it proves")
        since_ns = told["complete_until_ns"]
        later = lambda one: one.get("complete_until_ns", 0) > since_ns + 4_000_000_000  # noqa: E731
        return dict(await self.until(later, "the proof goes on"))

    async def stored(self, count: int, within_s: float = 45.0) -> None:
        """Wait until so many rows more are stored."""
        deadline, before = monotonic() + within_s, None
        while True:
            stored = (await self.get("/api/v1/health")).get("history", {}).get("stored")
            before = stored if before is None else before
            if stored is not None and stored >= before + count:
                return
            assert monotonic() < deadline, self.log("dashboard")[-2000:]
            await asyncio.sleep(0.2)

    async def gap(self, cause: str, lost: int, within_s: float = 20.0) -> dict[str, Any]:
        """Wait until the store has a gap of this cause, with so many messages lost in it."""
        deadline = monotonic() + within_s
        while True:
            found = [one for one in (await self.get("/api/v1/gaps")).get("rows", []) if one["cause"] == cause]
            for one in found:
                if sum(each["to_n"] - each["from_n"] + 1 for each in one["lost"]) == lost:
                    return dict(one)
            assert monotonic() < deadline, f"no gap of cause {cause} with {lost}: {found}"
            await asyncio.sleep(0.2)

    async def audit(self, *options: str) -> tuple[int, dict[str, Any]]:
        """`tickbridge audit --json` as a process: its exit code and its report."""
        command = [sys.executable, "-m", "bridge.cli", "audit", "--json", *options]
        done = await asyncio.to_thread(
            subprocess.run, command, env=self.env, capture_output=True, text=True, timeout=90, check=False
        )
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)


@asynccontextmanager
async def audited_world(
    tmp_path: Path, rate: float = 40.0, broker: Broker | None = None, **more: object
) -> AsyncIterator[World]:
    """Everything runs; the broker has saved the recorder's session."""
    with broker or Broker(tmp_path / "mosquitto") as at:
        async with Simulator(seed=5, rate=rate, invented=0, symbols=SYMBOLS) as sim:
            world = World(sim, at, tmp_path / "data", **more)
            try:
                world.start_dashboard()
                await world.stored(0)
                world.start_bridge()
                yield world
            finally:
                world.stop_bridge()
                world.stop_dashboard()


def remove_prices(path: Path, which: str) -> None:
    """One committed journal entry of prices is gone (`which`: min or max), as by a hand that slipped."""
    with sqlite3.connect(path) as db:
        db.execute(f"DELETE FROM journal WHERE id = (SELECT {which}(id) FROM journal WHERE kind = 1)")
    db.close()
