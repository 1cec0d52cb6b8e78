"""Watches that all parts move, and tells systemd so: WATCHDOG=1 stands for real progress, never for a timer alone.

In a thread of its own, which sees an event loop that stands still, too.
"""

import logging
import time
from threading import Event, Thread
from types import TracebackType
from typing import Self

from bridge.notify import Notifier
from bridge.vitals import S, Vitals, told

log = logging.getLogger(__name__)

LOOK_S = 5.0
STARTING_S = 0.05
"""How often is looked whether the start is over."""


class Watchdog:
    """A context manager around the life of a process' parts."""

    def __init__(self, vitals: Vitals, notifier: Notifier | None = None, look_s: float = LOOK_S) -> None:
        self._vitals = vitals
        self._notifier = notifier or Notifier()
        self._look_s = min(look_s, (self._notifier.watchdog_s or 2 * look_s) / 2)
        self._over = Event()
        self._thread = Thread(target=self._run, name="watchdog", daemon=True)
        self._looked_ns = vitals.monotonic_ns()
        self._told = ""
        self._names: list[str] = []
        self._stopping = False
        self._ready_told = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(LOOK_S)

    def stopping(self) -> None:
        """The goodbye begins: nobody has to move any more."""
        self._stopping = True
        self._notifier.say("STOPPING=1", "STATUS=stopping")

    def reloading(self) -> None:
        """The settings are read anew; followed by `reloaded`."""
        self._notifier.say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", "STATUS=reading settings")

    def reloaded(self) -> None:
        self._told = ""
        self._ready_told = self._notifier.say("READY=1")

    def _run(self) -> None:
        while not self._vitals.ready:
            if self._over.wait(STARTING_S):
                return
        self._looked_ns = self._vitals.monotonic_ns()
        while not self._stopping:
            self._look()
            if self._over.wait(self._look_s):
                return

    def _look(self) -> None:
        now_ns = self._vitals.monotonic_ns()
        overslept_s = (now_ns - self._looked_ns) / S - self._look_s
        self._looked_ns = now_ns
        if overslept_s > self._look_s:  # stopped, suspended or starved, and every other part with us
            self._vitals.excuse(overslept_s)
        stuck = self._vitals.stuck()
        names = sorted(one.who for one in stuck)
        if names != self._names:
            self._names = self._vitals.found = names
            if stuck:
                log.critical("%s", told(stuck))
            else:
                log.warning("all parts move again")
        status = told(stuck) or self._vitals.status
        lines = [] if self._ready_told else ["READY=1"]  # until it is taken: a start that is not told ends in a kill
        if status != self._told:
            lines.append(f"STATUS={status}")
        if not stuck and self._notifier.watchdog_s is not None:
            lines.append("WATCHDOG=1")
        if lines and self._notifier.say(*lines):
            self._told, self._ready_told = status, True
