"""Rows in memory: what waits for its commit, and what was committed but not yet folded into a segment.

A reader looks where rows wait first and where they go last: one that moves meanwhile is seen twice (and merged),
never missed.
"""

from collections.abc import Iterator

from dashboard.history.heard import Heard
from dashboard.history.rows import KINDS, Column, Mark, Row, Series

ROW_BYTES = 60
"""What a row costs in memory beside its payload."""


class Memory:
    """Rows of one kind, by series."""

    def __init__(self) -> None:
        self.columns: dict[int, Column] = {}
        self.rows = 0
        self.bytes = 0
        self.oldest_ns = 0
        """The least time of all rows; 0 if there are none."""

    def add(self, series: int, time_ns: int, payload: bytes) -> None:
        column = self.columns.get(series)
        if column is None:
            column = self.columns[series] = Column()
        column.append(time_ns, payload)
        self.rows += 1
        self.bytes += len(payload) + ROW_BYTES
        self.oldest_ns = min(self.oldest_ns or time_ns, time_ns)

    def absorb(self, other: "Memory") -> None:
        """Take over all rows of another, behind our own."""
        for series, column in list(other.columns.items()):
            self.columns.setdefault(series, Column()).extend(column)
        self.rows += other.rows
        self.bytes += other.bytes
        self.oldest_ns = min(self.oldest_ns or other.oldest_ns, other.oldest_ns or self.oldest_ns)

    def of(self, series: int) -> list[Row]:
        column = self.columns.get(series)
        return [] if column is None else column.rows()


class Layer:
    """What came since the last commit: rows by kind, their publication numbers, and topics met for the first time."""

    def __init__(self) -> None:
        self.kinds: dict[str, Memory] = {}
        self.heard: dict[str, Heard] = {}
        self.topics: list[tuple[int, str]] = []
        self.rows = 0
        self.bytes = 0

    def add(self, series: Series, mark: Mark, payload: bytes) -> None:
        """A published row with its publication number."""
        self.put(series.kind, series.number, mark.time_ns, payload)
        if (publication := mark.publication()) is not None:
            self.heard.setdefault(series.kind, Heard()).add(series.number, *publication)

    def put(self, kind: str, series: int, time_ns: int, payload: bytes) -> None:
        """A row of our own making (a bar)."""
        memory = self.kinds.get(kind)
        if memory is None:
            memory = self.kinds[kind] = Memory()
        memory.add(series, time_ns, payload)
        self.rows += 1
        self.bytes += len(payload) + ROW_BYTES

    def of(self, kind: str, series: int) -> list[Row]:
        memory = self.kinds.get(kind)
        return [] if memory is None else memory.of(series)


class Committed:
    """What is in the file's journal, and thereby safe, but not yet in a segment."""

    def __init__(self) -> None:
        self.kinds: dict[str, Memory] = {kind: Memory() for kind in KINDS}
        self.heard: dict[str, Heard] = {kind: Heard() for kind in KINDS}
        self._folding: dict[str, Memory] = {}

    def absorb(self, layer: Layer) -> None:
        for kind, memory in layer.kinds.items():
            self.kinds[kind].absorb(memory)
        for kind, heard in layer.heard.items():
            self.heard[kind].update(heard)

    def take(self, kind: str) -> Memory:
        """All rows of a kind, to be folded: still readable here until `folded`, or again ours by `untake`."""
        memory = self._folding[kind] = self.kinds[kind]
        self.kinds[kind] = Memory()
        return memory

    def folded(self, kind: str) -> None:
        del self._folding[kind]

    def untake(self, kind: str) -> None:
        """The fold failed: its rows are ours again, before those that came meanwhile."""
        memory = self._folding[kind]
        memory.absorb(self.kinds[kind])
        self.kinds[kind] = memory
        del self._folding[kind]

    def of(self, kind: str, series: int) -> list[Row]:
        later = self.kinds[kind].of(series)
        folding = self._folding.get(kind)
        return later if folding is None else folding.of(series) + later

    def sizes(self) -> Iterator[tuple[str, Memory]]:
        yield from self.kinds.items()
