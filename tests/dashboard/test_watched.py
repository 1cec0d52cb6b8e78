"""The dashboard's watchdog: ready when the page listens, fed while the recorder's thread writes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from threading import Event

import httpx
import pytest

from bridge.settings import Settings
from dashboard.door.door import Door
from dashboard.history import recorder
from dashboard.history.schema import FILE
from dashboard.history.sqlite import SqliteHistory
from dashboard.serve import bind, serve
from tests.broker import Broker
from tests.manager import Manager, manager

pytestmark = pytest.mark.real

WATCHDOG_S = 0.2


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Manager]:
    with manager(tmp_path, WATCHDOG_S) as one:
        for name, value in one.environ.items():
            monkeypatch.setenv(name, value)
        yield one


async def test_a_stuck_writer_stops_the_watchdog_and_a_broker_that_is_away_does_not(
    tmp_path: Path, systemd: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "STORED_S", 0.2)
    broker = Broker(tmp_path / "broker")
    given = {"broker": {"port": broker.port}, "history": {"commit_s": 0.2}, "watchdog": {"grace_s": 1}}
    settings = Settings.model_validate({**given, "data_dir": tmp_path / "data"})
    listener = bind("127.0.0.1", 0)
    history = SqliteHistory(settings.data_dir / FILE, settings.history)
    release = Event()
    task = asyncio.create_task(serve(settings, Door(settings), listener, history))
    try:
        await systemd.until(lambda: "READY=1" in systemd.lines)
        async with httpx.AsyncClient() as http:
            answer = await http.get(f"http://127.0.0.1:{listener.getsockname()[1]}/healthz")
        assert answer.json()["broker"] != "ok"
        await systemd.until(lambda: systemd.lines.count("WATCHDOG=1") > 15)  # longer than any promise
        assert "broker away" in systemd.status
        with broker:
            await systemd.until(lambda: "broker ok, store ok" in systemd.status)
            history._write_thread.submit(release.wait)
            await systemd.until(lambda: "stuck: recorder's commits" in systemd.status)
            await asyncio.sleep(4 * WATCHDOG_S)
            assert "WATCHDOG=1" not in systemd.since(systemd.status)
            release.set()
            await systemd.until(lambda: "WATCHDOG=1" in systemd.since("STATUS=the page is served; broker ok, store ok"))
    finally:
        release.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        listener.close()
