"""What must move, and by when: each part promises its next sign of life, and who breaks a promise is stuck. Pure.

A part that waits for others is no part that is stuck: it promises for as long as it means to wait (a backoff, a
time-out), or rests where nothing of its own has to happen.
"""

from collections.abc import Callable

from msgspec import Struct

S = 1_000_000_000
SHOWN = 5


class Stuck(Struct, frozen=True):
    """A part that did not move in time, and for how long it is overdue."""

    who: str
    overdue_s: float


class Vitals:
    """One process' promises. `grace_s` comes on top of each: what a slow disk or a busy machine may take."""

    def __init__(self, monotonic_ns: Callable[[], int], grace_s: float) -> None:
        self.monotonic_ns = monotonic_ns
        self._grace_s = grace_s
        self._excused_ns = 0
        self._due_ns: dict[str, int] = {}
        self.ready = False
        """All parts are at work: what was promised at the start was kept once."""
        self.found: list[str] = []
        """Who was stuck when the watchdog looked last: it knows of a suspended machine."""
        self.status = "starting"
        """How it goes, in one line for a person."""

    def promise(self, who: str, within_s: float) -> None:
        """`who` moves again within so many seconds. Cheap, for loops that turn several times a second."""
        self._due_ns[who] = self._now_ns() + int((within_s + self._grace_s) * S)

    def rest(self, who: str) -> None:
        """Nothing of this part has to happen by itself until it promises again."""
        self._due_ns.pop(who, None)

    def excuse(self, seconds: float) -> None:
        """The whole process stood still for so long: nobody could keep a promise."""
        self._excused_ns += int(seconds * S)

    def stuck(self) -> list[Stuck]:
        """Who broke a promise, the longest first. May be asked by any thread."""
        now_ns = self._now_ns()
        late = [Stuck(who, (now_ns - due_ns) / S) for who, due_ns in self._due_ns.copy().items() if due_ns < now_ns]
        return sorted(late, key=lambda one: -one.overdue_s)

    def _now_ns(self) -> int:
        return self.monotonic_ns() - self._excused_ns


def told(stuck: list[Stuck]) -> str:
    """Who is stuck, in one line."""
    named = ", ".join(f"{one.who} (overdue by {one.overdue_s:.0f} s)" for one in stuck[:SHOWN])
    more = f" and {len(stuck) - SHOWN} more" if len(stuck) > SHOWN else ""
    return f"stuck: {named}{more}" if stuck else ""
