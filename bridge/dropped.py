"""What was dropped, merged into ranges of numbers. Pure."""

from msgspec import Struct

MAX_RANGES = 10_000
"""Ranges kept until they are fetched; beyond, a range is stretched over what lies between: rather too much told lost
than too little (rows that exist after all close the gap again)."""


class Dropped(Struct):
    """Messages of one topic that are lost to the log: both numbers included. Times: appended at, wall clock ns.

    `run` is an int for live messages, a job's id for a fill (then the numbers are `fill_n`). `first` and `last` are the
    payloads of the lowest and the highest number.
    """

    topic: str
    run: int | str
    from_n: int
    to_n: int
    from_ns: int
    to_ns: int
    cause: str
    first: bytes = b""
    last: bytes = b""


class Ranges:
    """Collects dropped messages; `count` is their number since the start."""

    def __init__(self) -> None:
        self.count = 0
        self._ranges: list[Dropped] = []
        self._last: dict[tuple[str, int | str, str], Dropped] = {}

    def add(self, entry: tuple[str, bytes, int | str, int, int, bool], cause: str) -> None:
        """One message more is lost: an entry of the outbox."""
        topic, payload, run, n, at_ns, _ = entry
        self.count += 1
        last = self._last.get((topic, run, cause))
        if last is not None and (last.to_n + 1 == n or len(self._ranges) >= MAX_RANGES):
            if n < last.from_n:
                last.from_n, last.first = n, payload
            if n > last.to_n:
                last.to_n, last.last = n, payload
            last.from_ns, last.to_ns = min(last.from_ns, at_ns), max(last.to_ns, at_ns)
            return
        self._last[topic, run, cause] = made = Dropped(topic, run, n, n, at_ns, at_ns, cause, payload, payload)
        self._ranges.append(made)

    def fetch(self) -> list[Dropped]:
        """The ranges since the last call."""
        fetched, self._ranges = self._ranges, []
        self._last.clear()
        return fetched
