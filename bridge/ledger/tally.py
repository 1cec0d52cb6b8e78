"""What this process has published, counted per topic and run or fill. Pure; the requests are answered from here."""

from collections.abc import Iterable

from msgspec import structs

from bridge.entries import Entry
from bridge.ledger.rows import Published, Query
from bridge.lost import Mark
from bridge.streams import Stream
from bridge.topics import Topics

MAX_MARKS = 256
"""Runs and fills remembered; of older ones the ledger answers from the disk."""


class Tally:
    """`update` before it is asked or saved. `known_ns`: until then everything published was with the broker."""

    def __init__(self, names: Topics) -> None:
        self.known_ns = 0
        self.version = 0
        """Grows with every change, so that somebody can ask for what has changed since."""
        self._names = names
        self._rows: dict[Mark, dict[str, Published]] = {}
        self._runs: dict[Mark, int] = {}
        self._unsaved: dict[tuple[Mark, str], Published] = {}
        self._versions: dict[tuple[Mark, str], int] = {}
        self._behind: dict[tuple[Mark, str], None] = {}
        """Rows of which the broker lacks some: those of a run before are counted by nobody any more."""

    def update(self, run: int, counted: Iterable[tuple[Mark, Stream]], waiting: Iterable[Entry], now_ns: int) -> None:
        """Take what the streams have counted; `waiting`: everything in the outbox that is not acknowledged."""
        self.version += 1
        lowest: dict[tuple[Mark, str], int] = {}
        known_ns = now_ns
        for topic, _, mark, n, at_ns, _ in waiting:
            if topic:  # a parked message leaves an empty place
                lowest[mark, topic] = min(n, lowest.get((mark, topic), n))
                known_ns = min(known_ns, at_ns)
        self.known_ns = known_ns
        for mark, stream in counted:
            acknowledged = lowest.get((mark, stream.topic), stream.n + 1) - 1
            self._take(self._runs.setdefault(mark, run), mark, stream, acknowledged)
        for mark, topic in list(self._behind):
            row = self._rows[mark][topic]
            self._note(structs.replace(row, acknowledged=lowest.get((mark, topic), row.n + 1) - 1))
        self._forget(run)

    def holds(self, mark: Mark) -> bool:
        """Whether all of a run or fill is here, and the disk need not be asked."""
        return mark in self._rows

    def rows(self, query: Query) -> list[Published]:
        """By run and topic, as they were first published."""
        marks = list(self._rows) if query.mark is None else [query.mark]
        if query.fills:
            marks += [mark for mark, run in self._runs.items() if run == query.run and mark != run and self.holds(mark)]
        found = (row for mark in marks for row in self._rows.get(mark, {}).values())
        return [row for row in found if self._matches(row, query)]

    def unsaved(self) -> list[Published]:
        """What changed since the last call, for the ledger."""
        changed, self._unsaved = self._unsaved, {}
        return list(changed.values())

    def unsave(self, rows: Iterable[Published]) -> None:
        """The ledger could not take these: they are handed out again, unless newer ones are."""
        for row in rows:
            self._unsaved.setdefault((row.mark, row.topic), row)

    def _take(self, run: int, mark: Mark, stream: Stream, acknowledged: int) -> None:
        fill = mark if isinstance(mark, str) else None
        self._note(Published(stream.topic, run, fill, stream.n, acknowledged, stream.first_ns, stream.time_ns))

    def _note(self, row: Published) -> None:
        """Take a row in, if it has changed."""
        rows, key = self._rows.setdefault(row.mark, {}), (row.mark, row.topic)
        if rows.get(row.topic) == row:
            return
        rows[row.topic] = self._unsaved[key] = row
        self._versions[key] = self.version
        if row.acknowledged < row.n:
            self._behind[key] = None
        else:
            self._behind.pop(key, None)

    def _matches(self, row: Published, query: Query) -> bool:
        if query.topic not in (None, row.topic):
            return False
        if query.since is not None and self._versions.get((row.mark, row.topic), 0) <= query.since:
            return False
        if query.exchange is None:
            return True
        parts = self._names.parts(row.topic)
        return parts is not None and parts[1] == query.exchange

    def _forget(self, run: int) -> None:
        """The oldest runs and fills go; what of them is unsaved is saved all the same."""
        while len(self._rows) > MAX_MARKS:
            oldest = next(mark for mark in self._rows if mark != run)
            for topic in self._rows.pop(oldest):
                self._versions.pop((oldest, topic), None)
                self._behind.pop((oldest, topic), None)
