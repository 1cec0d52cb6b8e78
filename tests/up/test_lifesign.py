"""A child that hangs is killed and started again; one that stood still together with us is not."""

import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from bridge.up import child as children
from bridge.up import lifesign
from bridge.up.child import Recipe
from bridge.up.lifesign import LOOK_S, START_S, WATCHDOG_S, Expected, LifeSign
from bridge.up.supervisor import Supervisor
from tests.up.test_child import until

TELLING = """
import os, socket, time
line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
while True:
    line.sendto(b"READY=1\\nWATCHDOG=1", os.environ["NOTIFY_SOCKET"])
    print("said", flush=True)
    time.sleep(0.02)
"""


def test_child_is_silent_for_too_long_after_the_watchdogs_time() -> None:
    expected = Expected(100.0)
    expected.heard(100.0)
    times = [100.0 + LOOK_S * number for number in range(1, 14)]
    found = [expected.silent_s(now_s) for now_s in times]
    assert [now_s - 100.0 for now_s, silent in zip(times, found, strict=True) if silent] == [WATCHDOG_S + LOOK_S]


def test_start_may_take_longer_than_a_sign() -> None:
    expected = Expected(0.0)
    looks = [expected.silent_s(LOOK_S * number) for number in range(1, 26)]
    assert looks[: int(START_S / LOOK_S)] == [None] * int(START_S / LOOK_S)
    assert looks[-1] == START_S + LOOK_S


def test_time_in_which_we_stood_still_is_held_against_nobody() -> None:
    expected = Expected(0.0)
    expected.heard(0.0)
    assert expected.silent_s(LOOK_S) is None
    assert expected.silent_s(3600.0) is None
    assert expected.silent_s(3600.0 + LOOK_S) is None


def test_after_a_goodbye_nothing_is_expected() -> None:
    expected = Expected(0.0)
    expected.heard(0.0, goodbye=True)
    assert [expected.silent_s(LOOK_S * number) for number in range(1, 200)] == [None] * 199


def test_folder_with_a_long_name_has_its_socket_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    sign = LifeSign(folder, "kid")
    path = Path(sign.environment["NOTIFY_SOCKET"])
    assert path.is_socket()
    assert path.parent != folder
    sign.close()
    assert not path.parent.exists()


def test_socket_that_a_killed_up_has_left_is_taken_over(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as old:
        old.bind(str(tmp_path / "kid.notify"))
    sign = LifeSign(tmp_path, "kid")
    assert sign.environment["NOTIFY_SOCKET"] == str(tmp_path / "kid.notify")
    sign.close()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
async def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Supervisor]:
    monkeypatch.setattr(lifesign, "LOOK_S", 0.1)
    monkeypatch.setattr(lifesign, "WATCHDOG_S", 0.5)
    monkeypatch.setattr(children, "FIRST_PAUSE_S", 0.05)
    made = Supervisor(tmp_path)
    yield made
    await made.stop_all(list(made.children))


@pytest.mark.real
async def test_child_that_is_stopped_is_killed_and_started_again(
    supervisor: Supervisor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    kid = supervisor.start(Recipe("kid", (sys.executable, "-c", TELLING), watched=True))
    await until(lambda: kid.last_words)
    first = kid.pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)
    await until(lambda: kid.pid not in (None, first))
    assert (kid.hangs, kid.restarts, kid.last_exit) == (1, 1, -signal.SIGKILL)
    assert "kid hangs (no sign of life for" in caplog.text
    assert '"hangs": 1' in (tmp_path / "children.json").read_text()


@pytest.mark.real
async def test_child_that_tells_how_it_is_lives_on(supervisor: Supervisor) -> None:
    kid = supervisor.start(Recipe("kid", (sys.executable, "-c", TELLING), watched=True))
    await until(lambda: kid.pid)
    first = kid.pid
    with pytest.raises(TimeoutError):
        await until(lambda: kid.pid != first, 1.5)
    assert kid.hangs == 0


@pytest.mark.real
async def test_child_that_says_only_that_it_is_stuck_is_killed(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifesign, "START_S", 0.5)
    stuck = TELLING.replace("READY=1\\nWATCHDOG=1", "STATUS=stuck: tend")
    kid = supervisor.start(Recipe("kid", (sys.executable, "-c", stuck), watched=True))
    await until(lambda: kid.hangs)


class Blind:
    """A sign whose own code is at fault."""

    environment: Mapping[str, str] = {}

    async def lost(self) -> float:
        raise ValueError("unforeseen")

    def close(self) -> None:
        pass


@pytest.mark.real
async def test_a_child_that_cannot_be_watched_lives_on_and_that_is_said(
    supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    kid = supervisor.start(Recipe("kid", (sys.executable, "-c", TELLING)), Blind())
    await until(lambda: "kid: nobody sees any more whether it hangs" in caplog.text)
    assert "unforeseen" in caplog.text
    assert (kid.hangs, kid.restarts) == (0, 0)
