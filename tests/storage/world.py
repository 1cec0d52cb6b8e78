"""The whole way into InfluxDB under load, as real processes, and an independent look at what arrived.

Simulator → bridge → Mosquitto → Telegraf → InfluxDB, with the dashboard's continuous audit beside it.
"""

import asyncio
import csv
import io
import json
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from time import monotonic, time_ns
from typing import Any, NamedTuple

import aiohttp

from bridge.simulator import Simulator
from bridge.simulator.kucoin_frames import trade_id
from tests.broker import Broker, free_ports
from tests.containers import Influx, Telegraf
from tests.running import environment, tickbridge

SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "DOGE-USDT", "ADA-USDT")
EXCHANGES = ("kucoin", "binance")
RATE = 2000.0
"""Ticks a second, both exchanges together."""
UNDER_LOAD_S = 30.0
COMPLETE, MISSING, UNPROVEN = 0, 1, 3
"""Exit codes of `tickbridge audit`."""


class Audited(NamedTuple):
    """What `tickbridge audit --json` said."""

    code: int
    told: dict[str, Any]


class World:
    """Everything of one test. `settle` ends the load; `check` demands that every row is there, twice."""

    def __init__(
        self,
        sim: Simulator,
        broker: Broker,
        influx: Influx,
        folder: Path,
        bridge_port: int | None,
        more: dict[str, object],
    ) -> None:
        self.sim, self.broker, self.influx, self.folder = sim, broker, influx, folder
        (self.page_port,) = free_ports(1)
        self.env = environment(broker, folder, sim, **{
            "EXCHANGES__KUCOIN__SYMBOLS": json.dumps(SYMBOLS),
            "EXCHANGES__BINANCE__SYMBOLS": json.dumps(SYMBOLS),
            "DASHBOARD__PORT": self.page_port,
            "DASHBOARD__MQTT_WEBSOCKET_PORT": broker.ws_port,
            "FEED__FIRST_CANDLES_H": 0,
            "HISTORY__STORE": "influx",
            "INFLUX__URL": influx.url,
            "INFLUX__ORG": influx.org,
            "INFLUX__TOKEN_FILE": folder / "tokens" / "dashboard.token",
        } | more)  # fmt: skip
        self.stack = ExitStack()
        self._init()
        self.telegraf = self.stack.enter_context(Telegraf({
            "MQTT_URL": f"tcp://127.0.0.1:{broker.port}",
            "INFLUX_URL": influx.url,
            "INFLUX_TOKEN": (folder / "tokens" / "telegraf.token").read_text().strip(),
        }))  # fmt: skip
        self._bridge_env = dict(self.env)
        if bridge_port is not None:
            self._bridge_env["TICKBRIDGE_BROKER__PORT"] = str(bridge_port)
        self.bridge = self.start_bridge()
        self.dashboard_stack = ExitStack()
        self.start_dashboard()

    def _init(self) -> None:
        """`tickbridge store init`, as an operator runs it."""
        command = [sys.executable, "-m", "bridge.cli", "store", "init", "--tokens-dir", str(self.folder / "tokens")]
        subprocess.run(command, env=self.env, check=True, capture_output=True, timeout=60)
        self._token = (self.folder / "tokens" / "admin.token").read_text().strip()

    # --- its parts ----------------------------------------------------------------------------------
    def start_bridge(self) -> "subprocess.Popen[str]":
        """A bridge process; the test may kill it and start another one."""
        self.bridge = self.stack.enter_context(tickbridge("run", self.folder, self._bridge_env, exit_code=None))
        return self.bridge

    def kill_bridge(self) -> None:
        """Gone without a word."""
        self.bridge.send_signal(signal.SIGKILL)
        self.bridge.wait()

    def start_dashboard(self) -> None:
        self.dashboard_stack.enter_context(tickbridge("dashboard", self.folder, self.env, exit_code=None))

    def close(self) -> None:
        self.stack.close()
        self.dashboard_stack.close()

    # --- what is going on ---------------------------------------------------------------------------
    async def health(self) -> dict[str, Any]:
        """What the dashboard tells; nothing while it is away."""
        with suppress(aiohttp.ClientError):
            async with (
                aiohttp.ClientSession() as http,
                http.get(f"http://127.0.0.1:{self.page_port}/api/v1/health") as answer,
            ):
                return dict(await answer.json())
        return {}

    async def until(self, condition: Callable[[dict[str, Any]], object], what: str, within_s: float = 60.0) -> None:
        """Wait for a health that fulfils a condition."""
        deadline = monotonic() + within_s
        while not ((told := await self.health()) and condition(told)):
            assert monotonic() < deadline, f"not within {within_s} s: {what}: {told} {self.log('run')}"
            await asyncio.sleep(0.2)

    def log(self, verb: str) -> str:
        return (self.folder / f"{verb}.log").read_text()[-3000:]

    async def stored(self) -> int:
        """Rows in the store's bucket of prices by now."""
        counted = await self.ask(f"{_rows('prices', 'n')} |> count() |> group() |> sum()")
        return sum(int(row["_value"]) for row in counted)

    async def published(self) -> int:
        """Stream messages of both feeds by now."""
        told = (await self.health()).get("health", {})
        return sum(told.get(name, {}).get("published", 0) for name in EXCHANGES)

    async def storing(self, more: int = 1000, within_s: float = 90.0) -> None:
        """Wait until so many more prices are stored."""
        before, deadline = await self.stored(), monotonic() + within_s
        while await self.stored() < before + more:
            assert monotonic() < deadline, f"{before} prices stored, and no {more} more within {within_s} s"
            await asyncio.sleep(0.5)

    async def proven(self, until_ns: int, within_s: float = 180.0) -> None:
        """Wait until the continuous audit has proven all that was published before this time."""
        await self.until(
            lambda told: told.get("proof", {}).get("complete_until_ns", 0) >= until_ns, "that is proven", within_s
        )

    # --- the end ------------------------------------------------------------------------------------
    async def settle(self) -> None:
        """The exchanges fall silent, and all that was published is with the broker."""
        for name in EXCHANGES:
            self.sim.faults[name].stalled = True
        stalled_ns = time_ns()
        await self.until(lambda told: _all_sent(told, stalled_ns), "the bridge has handed on everything")

    async def audit(self, *options: str) -> Audited:
        """What `tickbridge audit` says right now."""
        command = [sys.executable, "-m", "bridge.cli", "audit", "--json", *options]
        child = await asyncio.create_subprocess_exec(
            *command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = await asyncio.wait_for(child.communicate(), 120)
        code = child.returncode
        assert code in (COMPLETE, MISSING, UNPROVEN), f"audit ended with {code}: {err.decode()}"
        return Audited(code, json.loads(out))

    async def audited(self, code: int, within_s: float = 120.0) -> dict[str, Any]:
        """Wait for an audit that ends with this code; what it told."""
        deadline = monotonic() + within_s
        while (audited := await self.audit()).code != code:
            assert monotonic() < deadline, f"the audit still says {audited}: {self.log('dashboard')}"
            await asyncio.sleep(1)
        return audited.told

    async def check(self) -> None:
        """Every tick and trade that the exchanges told is a row, by a query of our own against their truth."""
        quotes, trades = self.told()
        for measurement, field, told in (("prices", "seq", quotes), ("trades", "id", trades)):
            rows = await self.values(measurement, field)
            for key, expected in told.items():
                missing = expected - rows[key]
                assert not missing, f"{measurement} of {key}: {len(missing)} of {len(expected)}: {sorted(missing)[:5]}"

    def told(self) -> tuple[dict[tuple[str, str], set[int]], dict[tuple[str, str], set[int]]]:
        """Sequence numbers of quotes and ids of trades that each exchange told, by exchange and symbol."""
        quotes, trades = {}, {}
        for symbol in SYMBOLS:
            native = symbol.replace("-", "")
            quotes["kucoin", symbol] = {one.seq for one in self.sim.kucoin.truth.quotes(symbol)}
            quotes["binance", symbol] = {one.seq for one in self.sim.binance.truth.quotes(native)}
            trades["kucoin", symbol] = {trade_id(deal) for deal in self.sim.kucoin.truth.trades(symbol).values()}
            trades["binance", symbol] = set(self.sim.binance.truth.trades(native))
        return quotes, trades

    async def values(self, measurement: str, field: str) -> dict[tuple[str, str], set[int]]:
        """All values of one field that the store has, by exchange and symbol (none: empty)."""
        found: dict[tuple[str, str], set[int]] = defaultdict(set)
        for row in await self.ask(f'{_rows(measurement, field)} |> keep(columns: ["exchange", "symbol", "_value"])'):
            found[row["exchange"], row.get("symbol", "")].add(int(row["_value"]))
        return found

    async def holes(self) -> dict[str, set[int]]:
        """Numbers that are in no row, though a greater one of their topic is; one run only."""
        found = {}
        for root in ("prices", "trades", "gaps"):
            for parts, numbers in (await self.values(root, "n")).items():
                if gone := set(range(1, max(numbers) + 1)) - numbers:
                    found["/".join(filter(None, (root, *parts)))] = gone
        return found

    async def ask(self, flux: str) -> list[dict[str, str]]:
        """A query by plain HTTP, past our own code."""
        url = f"{self.influx.url}/api/v2/query?org={self.influx.org}"
        headers = {"Authorization": f"Token {self._token}", "Content-Type": "application/vnd.flux"}
        async with (
            aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(60)) as http,
            http.post(url, data=flux) as answer,
        ):
            text = await answer.text()
            assert answer.status == 200, text
        tables = text.replace("\r", "").split("\n\n")
        return [row for table in tables for row in csv.DictReader(io.StringIO(table))]


def _rows(measurement: str, field: str) -> str:
    return (
        f'from(bucket: "{measurement}") |> range(start: -1d, stop: 1d) '
        f'|> filter(fn: (r) => r._measurement == "{measurement}" and r._field == "{field}")'
    )


def _all_sent(told: dict[str, Any], since_ns: int) -> bool:
    bridge = told.get("health", {}).get("bridge", {})
    return bool(bridge.get("time_ns", 0) > since_ns and bridge["unacknowledged"] == 0)


@asynccontextmanager
async def world(
    broker: Broker, folder: Path, *, rate: float = RATE, bridge_port: int | None = None, **more: object
) -> AsyncIterator[World]:
    """A world that stores its first rows; `more`: settings. The bridge meets the broker at `bridge_port`."""
    with Influx(fresh=True) as influx:
        async with Simulator(seed=5, rate=rate / 2, invented=0, symbols=SYMBOLS, remembered=2_000_000) as sim:
            made = await asyncio.to_thread(World, sim, broker, influx, folder, bridge_port, more)
            try:
                await made.storing()
                yield made
            finally:
                await asyncio.to_thread(made.close)
