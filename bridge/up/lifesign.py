"""A child's signs of life: `up` is to its children what systemd is to a service ($NOTIFY_SOCKET, WATCHDOG=1)."""

import asyncio
import socket
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

WATCHDOG_S = 60.0
"""Who says nothing for so long hangs; the same as on the Pi."""
START_S = 120.0
"""So long a start may take, until the first word."""
LOOK_S = 5.0
MOST_BYTES = 4096
LONGEST_PATH = 100
"""In bytes: what every system takes as the name of a socket."""
GOODBYE = "STOPPING=1"
SIGNS = frozenset({"READY=1", "WATCHDOG=1", GOODBYE})
"""A STATUS= alone is none: so speaks who is stuck."""


class Expected:
    """By when the next sign is due. Pure: times are monotonic, in seconds, and stand still while the machine does."""

    def __init__(self, now_s: float, within_s: float = WATCHDOG_S) -> None:
        self._heard_s = self._looked_s = now_s
        self._due_s, self._within_s = within_s, max(within_s, START_S)

    def heard(self, now_s: float, *, goodbye: bool = False) -> None:
        """A sign. After a goodbye none is expected: whoever stops the child sees to its end."""
        self._heard_s = now_s
        self._within_s = float("inf") if goodbye else self._due_s

    def silent_s(self, now_s: float) -> float | None:
        """How long nothing was heard, if that is too long. To be asked every LOOK_S.

        Who asks late stood still, and the child perhaps with it (a frozen container, Ctrl-Z): that time does not count.
        """
        overslept_s = now_s - self._looked_s - LOOK_S
        self._looked_s = now_s
        if overslept_s > LOOK_S:
            self._heard_s += overslept_s
        silent_s = now_s - self._heard_s
        return silent_s if silent_s > self._within_s else None


class Sign(Protocol):
    """What tells `up` that a child lives: `environment` is what the child must know for it."""

    @property
    def environment(self) -> Mapping[str, str]: ...

    async def lost(self) -> float:
        """Waits until the child that starts now has given no sign for too long; returns for how many seconds."""

    def close(self) -> None: ...


class LifeSign:
    """The socket that one child tells how it is. Raises OSError if there is no place for it."""

    def __init__(self, folder: Path, name: str) -> None:
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ear.setblocking(False)
        self._elsewhere: tempfile.TemporaryDirectory[str] | None = None
        self._path = folder / f"{name}.notify"
        try:
            self._bind()
        except OSError:  # a name that is too long, or a disk that has no sockets
            self._elsewhere = tempfile.TemporaryDirectory(prefix="tickbridge-")
            self._path = Path(self._elsewhere.name) / name
            self._bind()

    @property
    def environment(self) -> Mapping[str, str]:
        """What the child must know."""
        return {"NOTIFY_SOCKET": str(self._path), "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6))}

    async def lost(self) -> float:
        """Waits until the child that starts now has said nothing for too long; returns for how many seconds."""
        self._signs()  # of the one before it
        expected = Expected(time.monotonic(), WATCHDOG_S)
        while True:
            await asyncio.sleep(LOOK_S)
            now_s = time.monotonic()
            if signs := self._signs():
                expected.heard(now_s, goodbye=GOODBYE in signs)
            if (silent_s := expected.silent_s(now_s)) is not None:
                return silent_s

    def close(self) -> None:
        """Nobody is listened to any more."""
        self._ear.close()
        self._path.unlink(missing_ok=True)
        if self._elsewhere is not None:
            self._elsewhere.cleanup()

    def _bind(self) -> None:
        self._path.unlink(missing_ok=True)  # of an `up` that was killed
        if len(bytes(self._path)) > LONGEST_PATH:
            raise OSError(f"{self._path} is too long")
        self._ear.bind(str(self._path))
        self._path.chmod(0o600)

    def _signs(self) -> set[str]:
        """All that came since the last look."""
        told: set[str] = set()
        while True:
            try:
                told.update(self._ear.recv(MOST_BYTES).decode("utf-8", "replace").split("\n"))
            except BlockingIOError:
                return told & SIGNS
