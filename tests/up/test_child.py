"""Children: restarted with a growing pause, stopped in time, heard, and never left behind."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bridge.up import child as children
from bridge.up.child import Child, Recipe, ending
from bridge.up.plan import LOOPBACK
from bridge.up.supervisor import Supervisor
from tests.broker import free_ports
from tests.up.processes import gone

pytestmark = pytest.mark.real

SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def recipe(code: str, name: str = "kid", *, final: frozenset[int] = frozenset(), level: int = logging.INFO) -> Recipe:
    return Recipe(name, (sys.executable, "-c", code), {"PYTHONUNBUFFERED": "1"}, level, final_codes=final)


async def until(condition: Callable[[], object], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    made = Supervisor(tmp_path)
    yield made
    await made.stop_all(list(made.children))


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "FIRST_PAUSE_S", 0.05)


@pytest.mark.usefixtures("_quick")
async def test_child_that_dies_is_started_again(supervisor: Supervisor, tmp_path: Path) -> None:
    kid = supervisor.start(recipe(SLEEPER))
    await until(lambda: kid.pid and kid.last_words)
    first = kid.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: kid.pid not in (None, first))
    assert (kid.restarts, kid.last_exit) == (1, -signal.SIGKILL)
    told = (tmp_path / "children.json").read_text()
    assert '"restarts": 1' in told
    assert f'"pid": {kid.pid}' in told


@pytest.mark.usefixtures("_quick")
async def test_pause_grows_while_the_child_keeps_dying(
    supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    kid = supervisor.start(recipe("raise SystemExit(7)"))
    began = time.monotonic()
    await until(lambda: kid.restarts >= 3)
    assert time.monotonic() - began >= 0.05 + 0.1 + 0.2
    assert "kid ended (exit code 7): started again in" in caplog.text


async def test_wrong_settings_end_the_house_without_a_restart(supervisor: Supervisor) -> None:
    kid = supervisor.start(recipe("print('tickbridge: no'); raise SystemExit(2)", final=frozenset({2})))
    assert await asyncio.wait_for(supervisor.watch(), 10) == 2
    assert kid.restarts == 0
    assert list(kid.last_words) == ["tickbridge: no"]


async def test_children_stop_in_order_and_the_stubborn_are_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.up.supervisor.STOP_S", 1.5)
    supervisor = Supervisor(tmp_path)
    stubborn, sleeper = supervisor.start(recipe(STUBBORN, "stubborn")), supervisor.start(recipe(SLEEPER, "sleeper"))
    await until(lambda: stubborn.last_words and sleeper.last_words)
    began = time.monotonic()
    await supervisor.stop_all(["stubborn", "absent", "sleeper"])
    assert 0.9 <= time.monotonic() - began <= 3.0
    assert (stubborn.last_exit, sleeper.last_exit) == (-signal.SIGKILL, -signal.SIGTERM)


async def test_lines_carry_their_level_into_the_log(supervisor: Supervisor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    lines = "<3>bad\\n<6>good\\n<7>deep\\nplain\\n1: Error: address in use\\n\\nlast"
    kid = supervisor.start(recipe(f"print('{lines}', end=''); raise SystemExit(2)", final=frozenset({2})))
    await asyncio.wait_for(kid.exited.wait(), 10)
    levels = {record.message: record.levelno for record in caplog.records if record.name == "kid"}
    assert levels == {
        "bad": logging.ERROR,
        "good": logging.INFO,
        "deep": logging.DEBUG,
        "plain": logging.INFO,
        "1: Error: address in use": logging.ERROR,
        "last": logging.INFO,
    }


async def test_time_that_a_child_tells_itself_is_left_out(
    supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kid")
    lines = "2026-11-30T03:01:33: Warning: root\\n1796007693: Error: no\\nat 2026-11-30T03:01:33: said"
    kid = supervisor.start(recipe(f"print('{lines}'); raise SystemExit(2)", final=frozenset({2})))
    await asyncio.wait_for(kid.exited.wait(), 10)
    told = [record.message for record in caplog.records if record.name == "kid"]
    assert told == ["Warning: root", "Error: no", "at 2026-11-30T03:01:33: said"]
    assert kid.last_words[-1] == "at 2026-11-30T03:01:33: said"


async def test_line_without_an_end_is_cut_and_not_kept(supervisor: Supervisor) -> None:
    kid = supervisor.start(recipe("print('x' * 1_000_000); print('after'); raise SystemExit(2)", final=frozenset({2})))
    await asyncio.wait_for(kid.exited.wait(), 10)
    assert kid.last_words[-1] == "after"
    assert max(len(word) for word in kid.last_words) <= 2 * children.MAX_LINE


async def test_program_that_is_missing_ends_the_house(supervisor: Supervisor, caplog: pytest.LogCaptureFixture) -> None:
    supervisor.start(Recipe("ghost", ("/nowhere/ghost",)))
    assert await asyncio.wait_for(supervisor.watch(), 10) == 1
    assert "ghost cannot be started" in caplog.text


@pytest.mark.usefixtures("_quick")
async def test_child_that_cannot_be_started_again_for_the_moment_is_tried_again(
    supervisor: Supervisor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program, away = tmp_path / "kid.sh", tmp_path / "away.sh"
    program.write_text(f"#!/bin/sh\necho up\nmv {program} {away}\n")
    program.chmod(0o755)
    kid = supervisor.start(Recipe("kid", (str(program),)))
    await until(lambda: "kid cannot be started" in caplog.text)
    assert not supervisor.stop.is_set()
    kid.last_words.clear()
    away.rename(program)
    await until(lambda: list(kid.last_words) == ["up"])


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
async def test_child_that_is_just_being_started_stops_too(supervisor: Supervisor, turns: int) -> None:
    kid = supervisor.start(recipe(STUBBORN))
    for _ in range(turns):
        await asyncio.sleep(0)
    await asyncio.wait_for(supervisor.stop_all(["kid"]), 3)
    assert kid.pid is None


async def test_child_listens_when_it_answers_on_all_its_ports(supervisor: Supervisor) -> None:
    (first, second) = free_ports(2)
    kid = supervisor.start(recipe(SLEEPER))
    async with await asyncio.start_server(lambda _, writer: writer.close(), LOOPBACK, first):
        assert await supervisor.listening(kid, LOOPBACK, (first,), 5)
        assert not await supervisor.listening(kid, LOOPBACK, (first, second), 0.2)


async def test_another_program_on_the_port_is_not_taken_for_the_child(supervisor: Supervisor) -> None:
    async with await asyncio.start_server(lambda _, writer: writer.close(), LOOPBACK, 0) as other:
        port = other.sockets[0].getsockname()[1]
        kid = supervisor.start(recipe("raise SystemExit(1)"))
        assert not await supervisor.listening(kid, LOOPBACK, (port,), 5)


async def test_child_is_in_a_process_group_of_its_own(supervisor: Supervisor) -> None:
    kid = supervisor.start(recipe(SLEEPER))
    await until(lambda: kid.last_words)
    assert kid.pid is not None
    assert os.getpgid(kid.pid) == kid.pid != os.getpgid(0)


PARENT = f"""
import asyncio, sys
from bridge.up.child import Child, Recipe
async def main():
    child = Child(Recipe("kid", (sys.executable, "-c", {SLEEPER!r})), lambda: None)
    task = asyncio.create_task(child.keep())
    while not child.last_words:
        await asyncio.sleep(0.01)
    print(child.pid, flush=True)
    await task
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
async def test_children_die_with_a_parent_that_is_killed() -> None:
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    kid = int(await asyncio.wait_for(parent.stdout.readline(), 10))
    assert not gone(kid)
    parent.kill()
    await parent.wait()
    await until(lambda: gone(kid))


def test_ending_is_told_in_words() -> None:
    assert ending(3) == "exit code 3"
    assert ending(-9) == "signal SIGKILL"
    assert ending(-200) == "signal 200"


def test_child_that_never_ran_stops_at_once() -> None:
    async def stop() -> None:
        await Child(recipe(SLEEPER), lambda: None).stop(0.1)

    asyncio.run(stop())
