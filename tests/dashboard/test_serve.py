"""The dashboard as a process of its own, beside a real Mosquitto."""

import asyncio
import logging
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge import aside
from bridge.aside import asides
from bridge.errors import Damaged
from bridge.settings import Broker as BrokerSettings
from bridge.settings import Dashboard, Settings
from bridge.settings import History as Keep
from dashboard import serve
from dashboard.history.sqlite import SqliteHistory
from dashboard.serve import TASK_DIED, supervise
from tests.broker import Broker, free_ports
from tests.dashboard.history.conftest import KEEP_ALL
from tests.dashboard.history.test_recorder import holds
from tests.dashboard.live_market import Market, until

PROGRAM = """
import logging, sys
from bridge.settings import Settings
from dashboard.serve import run
logging.basicConfig(format="%(message)s", level=logging.INFO)
sys.exit(run(Settings.model_validate_json(sys.argv[1])))
"""


class Process:
    """One dashboard process."""

    def __init__(self, settings: Settings) -> None:
        self.url = f"http://127.0.0.1:{settings.dashboard.port}"
        command = [sys.executable, "-c", PROGRAM, settings.model_dump_json()]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def answers(self) -> bool:
        try:
            async with httpx.AsyncClient() as client:
                health = await client.get(f"{self.url}/api/v1/health")
        except httpx.TransportError:
            return False
        return bool(health.json()["recorder"]["broker"] == "ok")

    def end(self, number: signal.Signals, seconds: float = 10.0) -> tuple[int, str]:
        """Send a signal; the exit code and what was said."""
        self._process.send_signal(number)
        return self.wait(seconds)

    def wait(self, seconds: float = 10.0) -> tuple[int, str]:
        _, said = self._process.communicate(timeout=seconds)
        return self._process.returncode, said

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@contextmanager
def started(settings: Settings) -> Iterator[Process]:
    process = Process(settings)
    try:
        yield process
    finally:
        process.close()


def settings_for(tmp_path: Path, broker_port: int, *, commit_s: float = 0.2) -> Settings:
    return Settings(
        data_dir=tmp_path,
        broker=BrokerSettings(port=broker_port),
        dashboard=Dashboard(port=free_ports(1)[0]),
        history=Keep(commit_s=commit_s, prices_days=0),
    )


@pytest.mark.real
async def test_rows_are_exact_after_the_process_was_killed_under_load(broker: Broker, tmp_path: Path) -> None:
    settings, market = settings_for(tmp_path, broker.port), Market(broker)
    with started(settings) as process:
        await until(process.answers, "it runs")
        load = asyncio.create_task(market.publish(4000))
        await until(lambda: (tmp_path / "history.sqlite").stat().st_size > 60_000, "some of it is on disk")
        process.end(signal.SIGKILL)
    await load
    with started(settings) as process:
        await until(process.answers, "it runs again")
        await until(lambda: _stored(process, market), "every row is there")
        code, _ = process.end(signal.SIGTERM)
    assert code == 0
    store = SqliteHistory(tmp_path / "history.sqlite", KEEP_ALL)
    assert await holds(store, market)
    store.close()


@pytest.mark.real
async def test_a_stop_commits_what_is_in_memory_within_three_seconds(broker: Broker, tmp_path: Path) -> None:
    settings, market = settings_for(tmp_path, broker.port, commit_s=1000), Market(broker)
    with started(settings) as process:
        await until(process.answers, "it runs")
        await until((tmp_path / "recorder-session").exists, "the broker knows the recorder")
        await market.publish(1000)
        await until(lambda: _stored(process, market), "all heard")
        began = time.monotonic()
        code, said = process.end(signal.SIGTERM)
    assert (code, time.monotonic() - began < 3) == (0, True), said
    store = SqliteHistory(tmp_path / "history.sqlite", KEEP_ALL)
    assert await holds(store, market)
    store.close()


@pytest.mark.real
async def test_a_broker_that_hangs_does_not_hold_up_a_stop(broker: Broker, tmp_path: Path) -> None:
    with started(settings_for(tmp_path, broker.port)) as process:
        await until(process.answers, "it runs")
        broker.stop_process()
        began = time.monotonic()
        code, said = process.end(signal.SIGINT)
        assert (code, time.monotonic() - began < 4) == (0, True), said


@pytest.mark.real
def test_a_port_in_use_is_one_line_and_exit_1_as_it_may_get_free(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, 1)
    with socket.create_server(("127.0.0.1", settings.dashboard.port)), started(settings) as process:
        code, said = process.wait()
    assert code == 1
    (line,) = said.splitlines()
    assert "dashboard.port" in line
    assert "set another port" in line


@pytest.mark.real
def test_a_later_version_s_history_is_one_line_and_exit_2_and_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite"
    SqliteHistory(file, KEEP_ALL).close()
    db = sqlite3.connect(file)
    db.execute("PRAGMA user_version = 9")
    db.close()
    before = file.read_bytes()
    with started(settings_for(tmp_path, 1)) as process:
        code, said = process.wait()
    assert code == 2
    (line,) = said.splitlines()
    assert "upgrade Tickbridge" in line
    assert file.read_bytes() == before
    assert asides(tmp_path) == []


@pytest.mark.real
async def test_a_damaged_history_is_put_aside_at_the_start_and_while_it_is_used(broker: Broker, tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite"
    file.write_text("half of a history" * 100)
    settings, market = settings_for(tmp_path, broker.port), Market(broker)
    with started(settings) as process:
        await until(process.answers, "it runs")
        (kept,) = await _put_aside(process)
        assert kept["bytes"] == 1700
        assert (await asyncio.to_thread(httpx.get, f"{process.url}/healthz")).json()["put_aside"] == [kept["file"]]
        assert (tmp_path / kept["file"]).read_text() == "half of a history" * 100
        await market.publish(500)
        await until(lambda: _stored(process, market), "every row is there")
        with file.open("r+b") as opened:
            opened.write(bytes(file.stat().st_size))

        async def two() -> bool:
            await market.publish(10)
            return await process.answers() and len(await _put_aside(process)) == 2

        await until(two, "the history is put aside again, by the same process")
        code, said = process.end(signal.SIGTERM)
    assert code == 0
    assert said.count("is kept as") == 2
    store = SqliteHistory(file, KEEP_ALL)
    born_ns = (await store.heard_since())["prices"]
    store.close()
    assert born_ns > (tmp_path / asides(tmp_path)[0]).stat().st_mtime_ns, "it claims nothing of the lost ones"


def test_a_card_that_damages_every_history_is_not_written_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pauses: list[float] = []

    async def damaged(settings: Settings, door: object, listener: object, history: SqliteHistory) -> int:
        history.damage = Damaged("zeros")
        await history.aclose()
        return serve.DAMAGED

    monkeypatch.setattr(serve, "serve", damaged)
    monkeypatch.setattr(serve.time, "sleep", pauses.append)
    assert serve.run(settings_for(tmp_path, 1)) == serve.FAILED
    assert pauses == list(serve.PAUSES_S)
    assert len(asides(tmp_path)) == aside.KEPT
    assert "check the disk or card" in caplog.records[-1].getMessage()


async def _put_aside(process: Process) -> list[dict[str, Any]]:
    async with httpx.AsyncClient() as client:
        told = (await client.get(f"{process.url}/api/v1/health")).json()["history"]
    return list(told.get("put_aside", []))


@pytest.mark.real
def test_a_history_that_is_held_is_one_line_and_exit_1_so_that_it_is_tried_again(tmp_path: Path) -> None:
    store = SqliteHistory(tmp_path / "history.sqlite", KEEP_ALL)
    with started(settings_for(tmp_path, 1)) as process:
        code, said = process.wait()
    store.close()
    assert code == 1
    (line,) = said.splitlines()
    assert "in use" in line


async def test_a_part_that_dies_ends_everything_and_is_named(caplog: pytest.LogCaptureFixture) -> None:
    finished, cancelled = asyncio.Event(), asyncio.Event()

    async def dies() -> None:
        raise ValueError("a bug")

    async def lives() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def finish() -> None:
        finished.set()

    with caplog.at_level(logging.CRITICAL):
        code = await supervise({"recorder": dies, "page": lives}, asyncio.Event(), finish)
    assert code == TASK_DIED
    assert finished.is_set()
    assert cancelled.is_set()
    assert "the recorder died" in caplog.text


async def _stored(process: Process, market: Market) -> bool:
    async with httpx.AsyncClient() as client:
        for symbol, payloads in market.truth.items():
            query = {"from": "0", "limit": "10000"}
            answer = await client.get(f"{process.url}/api/v1/history/kucoin/{symbol}", params=query)
            if answer.status_code != 200 or answer.content != b'{"rows":[' + b",".join(payloads) + b"]}":
                return False
    return True
