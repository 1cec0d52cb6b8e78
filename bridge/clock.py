"""The bridge's only clock: monotonic time plus an offset, so that no step of the system's clock moves a row unseen.

Streams wait until the system says that its clock is right. One that never says so (no NTP client, or a service that may
not ask the kernel) is believed after a while, if an exchange's clock agrees; where there is no systemd, at once.
"""

import ctypes
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

STEP_NS = 1_000_000_000
"""A difference up to this is how far clocks wander; a larger one is a step, and adopted."""
READ_TRIES = 5
READ_WITHIN_NS = 1_000_000
"""Wall and monotonic time count as read together if no more than this lies between: no stop of the process did."""
SYSTEMD = Path("/run/systemd/system")
"""Exists where systemd runs; elsewhere (containers) the kernel's flag says nothing of who keeps the clock."""
SYNCHRONISED_ONCE = Path("/run/systemd/timesync/synchronized")
"""Made by systemd-timesyncd when it first set the clock since the boot: it stays true while the network is away."""
BELIEVE_AFTER_S = 60.0
"""How long the system may take to say that its clock is right, before those of the exchanges are asked."""
TIME_ERROR = 5
STA_UNSYNC = 0x40


class ClockChange(Struct, frozen=True):
    """What happened to the clock. `step_ns`: how far it was moved, negative is backward."""

    kind: Literal["step", "synchronised", "believed"]
    step_ns: int
    because: str = ""

    @property
    def reason(self) -> str:
        """One sentence for `errors/bridge`."""
        moved = f"{abs(self.step_ns) / 1e9:.3f} s {'backward' if self.step_ns < 0 else 'forward'}"
        if self.kind == "believed":
            return f"{self.because}, but an exchange's clock agrees with it, so it is believed"
        if self.kind == "synchronised":
            return f"the system's clock is synchronised; adopted {moved}"
        return f"the system's clock was stepped {moved}"


def _monotonic() -> Callable[[], int]:
    """The monotonic clock that counts suspended time, too. On macOS that is CLOCK_MONOTONIC, on Linux BOOTTIME."""
    if sys.platform == "win32":
        return time.monotonic_ns
    return partial(time.clock_gettime_ns, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class _Timex(ctypes.Structure):
    """The head of Linux' `struct timex` (adjtimex(2)); `modes` 0 only reads. The kernel writes into the rest, too."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


def kernel_synchronised() -> bool | None:
    """What Linux' adjtimex says; None where there is none or it may not be asked."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (AttributeError, OSError):
        return None
    timex = _Timex()
    state: int = adjtimex(ctypes.byref(timex))
    if state < 0:
        return None
    return state != TIME_ERROR and not timex.status & STA_UNSYNC


def system_synchronised(kernel: Callable[[], bool | None] = kernel_synchronised) -> bool:
    """Whether the system says that its clock is right; True where there is no systemd."""
    if not sys.platform.startswith("linux") or not SYSTEMD.exists() or SYNCHRONISED_ONCE.exists():
        return True
    return kernel() is True


def unsynchronised(kernel: Callable[[], bool | None] = kernel_synchronised) -> str:
    """Why the system's clock is not taken to be right, in words."""
    timesyncd = SYNCHRONISED_ONCE.parent.is_dir()
    client = "systemd-timesyncd has not set it yet" if timesyncd else "systemd-timesyncd does not run"
    asked = "the kernel may not be asked (adjtimex)" if kernel() is None else "the kernel says so"
    return f"the system's clock is not known to be synchronised: {asked}, and {client}"


class Clock:
    """`monotonic_ns()` for durations, `now_ns()` for what is published. The readers are arguments for tests.

    Once synchronised it stays so: the kernel takes its word back after hours without a network, though the clock
    still runs well, and an edge bridge must outlive its network.
    """

    def __init__(
        self,
        sync: Literal["auto", "trust"] = "auto",
        *,
        monotonic_ns: Callable[[], int] | None = None,
        wall_ns: Callable[[], int] = time.time_ns,
        synchronised: Callable[[], bool] = system_synchronised,
        why: Callable[[], str] = unsynchronised,
    ) -> None:
        # the bare function, not a method around it: it is read for every frame
        self.monotonic_ns: Final = monotonic_ns or _monotonic()
        self._wall_ns = wall_ns
        self._synchronised = synchronised
        self.offset_ns = self._read_offset()
        self._why = why
        self.synced = sync == "trust" or synchronised()
        self._since_ns = self.monotonic_ns()

    def now_ns(self) -> int:
        """Wall time in ns since the epoch, UTC."""
        return self.monotonic_ns() + self.offset_ns

    def check(self) -> list[ClockChange]:
        """Once a second: what has changed since the last check, and is adopted by now."""
        step_ns = self._read_offset() - self.offset_ns
        if not self.synced and self._synchronised():
            self.synced = True
            self.offset_ns += step_ns
            return [ClockChange("synchronised", step_ns)]
        if abs(step_ns) > STEP_NS:
            self.offset_ns += step_ns
            return [ClockChange("step", step_ns)]
        return []

    def waits(self) -> str | None:
        """Why streams wait for the clock; None if they do not."""
        return None if self.synced else self._why()

    def believe(self) -> list[ClockChange]:
        """An exchange's clock agrees with it: from some time on that is enough."""
        if self.synced or self.monotonic_ns() - self._since_ns < BELIEVE_AFTER_S * 1e9:
            return []
        self.synced = True
        return [ClockChange("believed", 0, self._why())]

    def _read_offset(self) -> int:
        """Wall minus monotonic time; the best of some tries, because a process may be stopped between two reads."""
        best: tuple[int, int] | None = None
        for _ in range(READ_TRIES):
            before = self.monotonic_ns()
            wall = self._wall_ns()
            apart = self.monotonic_ns() - before
            if best is None or apart < best[0]:
                best = (apart, wall - before - apart // 2)
            if apart <= READ_WITHIN_NS:
                break
        assert best is not None
        return best[1]
