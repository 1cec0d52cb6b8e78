"""A service manager's ear: the datagram socket behind $NOTIFY_SOCKET, and what it heard, in order."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic


class Manager:
    """`environ` is what a service would get; `lines` all that came until now."""

    def __init__(self, path: Path, watchdog_s: float = 0.2) -> None:
        self.ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ear.bind(str(path))
        self.ear.setblocking(False)
        usec = str(int(watchdog_s * 1e6))
        self.environ = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": usec, "WATCHDOG_PID": str(os.getpid())}
        self._lines: list[str] = []

    @property
    def lines(self) -> list[str]:
        while True:
            try:
                self._lines += self.ear.recv(4096).decode().split("\n")
            except BlockingIOError:
                return self._lines

    def since(self, line: str) -> list[str]:
        """What came behind this line, the last time it came."""
        lines = self.lines
        return lines[len(lines) - lines[::-1].index(line) :] if line in lines else []

    @property
    def status(self) -> str:
        return next((line for line in reversed(self.lines) if line.startswith("STATUS=")), "")

    async def until(self, condition: Callable[[], object], within_s: float = 15.0) -> None:
        deadline = monotonic() + within_s
        while not condition():
            assert monotonic() < deadline, self.lines[-20:]
            await asyncio.sleep(0.02)


@contextmanager
def manager(folder: Path, watchdog_s: float = 0.2) -> Iterator[Manager]:
    one = Manager(folder / "notify", watchdog_s)
    try:
        yield one
    finally:
        one.ear.close()
