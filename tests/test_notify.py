"""What the service manager is told, on a real datagram socket; and what happens where there is none."""

import os
import socket
from pathlib import Path

import pytest

from bridge.notify import VARIABLES, Notifier, forget
from tests.manager import manager


def test_lines_arrive_as_one_datagram(tmp_path: Path) -> None:
    with manager(tmp_path, 30) as systemd:
        Notifier(systemd.environ).say("READY=1", "STATUS=two\nlines\r\nof one exchange")
        assert systemd.ear.recv(4096) == b"READY=1\nSTATUS=two lines of one exchange"


@pytest.mark.skipif(not os.path.exists("/proc/net/unix"), reason="abstract sockets are Linux'")
def test_an_abstract_socket_is_named_by_an_at() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind("")  # the kernel chooses a free abstract name
        Notifier({"NOTIFY_SOCKET": "@" + ear.getsockname()[1:].decode()}).say("READY=1")
        ear.setblocking(False)
        assert ear.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "x" * 500, "vsock:2:1234"])
def test_nobody_listening_is_no_trouble(address: str) -> None:
    Notifier({"NOTIFY_SOCKET": address}).say("READY=1")
    Notifier({}).say("READY=1")


def test_a_full_socket_is_not_waited_for(tmp_path: Path) -> None:
    with manager(tmp_path, 30) as systemd:
        for _ in range(2000):
            Notifier(systemd.environ).say("WATCHDOG=1")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_ours_only_if_it_says_so(more: dict[str, str], expected: float | None) -> None:
    assert Notifier({"NOTIFY_SOCKET": "/somewhere", **more}).watchdog_s == expected
    assert Notifier(more).watchdog_s is None


def test_children_do_not_inherit_it() -> None:
    environ = {**dict.fromkeys(VARIABLES, "1"), "PATH": "/bin"}
    forget(environ)
    assert environ == {"PATH": "/bin"}
