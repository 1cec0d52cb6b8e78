"""Rows in memory: what waits for its commit, and what was committed but not yet folded into a segment.

A reader looks where rows wait first and where they go last: one that moves meanwhile is seen twice (and merged),
never missed.
"""

from collections.abc import Iterator

from dashboard.history.columns import UNNUMBERED, Column
from dashboard.history.heard import Heard
from dashboard.history.rows import KINDS, Instruments, Publication, Row, Series

ROW_BYTES = 68
"""What a row costs in memory beside its payload."""


class Memory:
    """Rows of one kind, by series."""

    def __init__(self) -> None:
        self.columns: dict[int, Column] = {}
        self.rows = 0
        self.bytes = 0
        self.oldest_ns = 0
        """The least time of all rows; 0 if there are none."""

    def add(self, series: int, time_ns: int, payload: bytes, publication: Publication = UNNUMBERED) -> None:
        column = self.columns.get(series)
        if column is None:
            column = self.columns[series] = Column()
        column.append(time_ns, payload, publication)
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
        self.instruments: Instruments = {}
        """Those that are new or have changed."""
        self.rows = 0
        self.bytes = 0

    def add(self, series: Series, time_ns: int, payload: bytes, publication: Publication) -> None:
        """A published row."""
        self.put(series.kind, series.number, time_ns, payload, publication)
        if publication is not UNNUMBERED:
            heard = self.heard.get(series.kind)
            if heard is None:
                heard = self.heard[series.kind] = Heard()
            heard.add(series.number, *publication)

    def put(self, kind: str, series: int, time_ns: int, payload: bytes, publication: Publication = UNNUMBERED) -> None:
        """A row; without a publication one of our own making (a bar)."""
        memory = self.kinds.get(kind)
        if memory is None:
            memory = self.kinds[kind] = Memory()
        memory.add(series, time_ns, payload, publication)
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
        return [row for memory in self._all(kind) for row in memory.of(series)]

    def columns(self, kind: str) -> dict[int, list[Column]]:
        """All columns of a kind, by series."""
        found: dict[int, list[Column]] = {}
        for memory in self._all(kind):
            for series, column in list(memory.columns.items()):
                found.setdefault(series, []).append(column)
        return found

    def _all(self, kind: str) -> list[Memory]:
        """The memories that hold a kind now, older rows first. Who looks here looks before the file (see above)."""
        while True:
            memory, folding = self.kinds[kind], self._folding.get(kind)
            # a fold that failed meanwhile has made one of both
            if self.kinds[kind] is memory:
                return [memory] if folding in (None, memory) else [folding, memory]

    def sizes(self) -> Iterator[tuple[str, Memory]]:
        yield from self.kinds.items()
