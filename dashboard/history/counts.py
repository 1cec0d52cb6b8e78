"""What the audit asks: which publication numbers are on disk. Runs in the reader's thread.

Counted is what can be read back: rows of committed journal entries (in memory again, see memory.py), and pieces of
segments, each of which is read and must agree with the check sum of its tally. What only waits for its commit, what
was pruned and what is damaged does not count.
"""

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

from dashboard.history import tally
from dashboard.history.base import END_OF_TIME_NS, Numbered, Sequence, Span, StoreAway
from dashboard.history.columns import Dated, Marks
from dashboard.history.memory import Committed
from dashboard.history.ranges import Pair, joined, size
from dashboard.history.reader import Counted, Reader, Segment
from dashboard.history.remembered import Remembered
from dashboard.history.rows import Series

PIECES_KEPT = 10_000
ROWS_KEPT = 300_000
"""Remembered for the audit of the last minutes, which asks for the same ones again and again: some 10 MB in all."""
TRIES = 10
T = TypeVar("T")
log = logging.getLogger(__name__)


class Gone(Exception):
    """A segment was merged or pruned while we looked: its rows must be looked for anew."""


class Counts:
    """`committed` is looked at before the file: what is folded meanwhile is met twice, never missed."""

    def __init__(self, reader: Reader, committed: Committed) -> None:
        self._reader = reader
        self._committed = committed
        self._segments: Remembered[Segment, list[Counted]] = Remembered(PIECES_KEPT)
        self._marks: Remembered[tuple[Segment, int], Marks] = Remembered(ROWS_KEPT)
        self._damaged: set[tuple[int, int]] = set()

    @property
    def damaged(self) -> int:
        """Pieces that could be read, but not as they were written."""
        return len(self._damaged)

    def numbered(self, kind: str, key: str, span: Span, topics: dict[int, str], sequence: Sequence) -> list[Numbered]:
        """Of every series of a kind (`topics` by number): what is there of one run or fill."""
        found = _steadily(lambda: self._of_kind(kind, key, span))
        told = []
        for series, topic in topics.items():
            if pairs := joined(found.get(series, ())):
                named = Sequence(topic, sequence.run, sequence.fill)
                told.append(Numbered(named, size(pairs), pairs[0][0], pairs[-1][1]))
        return told

    def numbers(self, series: Series, key: str, span: Span) -> list[Pair]:
        """The numbers of one series' run or fill."""
        return joined(_steadily(lambda: self._of_series(series, key, span)))

    def edges(self, series: Series, key: str, span: Span) -> tuple[int | None, int | None]:
        """The numbers of the rows nearest to a span of time: before it, and at its end or after it."""
        return _steadily(lambda: (self._before(series, key, span.from_ns or 0), self._after(series, key, span.to_ns)))

    # --- ranges -------------------------------------------------------------------------------------
    def _of_kind(self, kind: str, key: str, span: Span) -> dict[int, list[Pair]]:
        from_ns = span.from_ns or 0
        found: dict[int, list[Pair]] = {}
        for series, columns in self._committed.columns(kind).items():
            for column in columns:
                found.setdefault(series, []).extend(column.within(key, from_ns, span.to_ns))
        for segment in self._reader.segments(kind, from_ns, span.to_ns):
            for piece in self._pieces(segment):
                pairs = self._in_piece(segment, piece, key, from_ns, span.to_ns)
                found.setdefault(piece.series, []).extend(pairs)
        return found

    def _of_series(self, series: Series, key: str, span: Span) -> list[Pair]:
        from_ns = span.from_ns or 0
        columns = self._committed.columns(series.kind).get(series.number, [])
        found = [pair for column in columns for pair in column.within(key, from_ns, span.to_ns)]
        for segment in self._reader.segments(series.kind, from_ns, span.to_ns):
            if (piece := self._piece(segment, series.number)) is not None:
                found += self._in_piece(segment, piece, key, from_ns, span.to_ns)
        return found

    def _in_piece(self, segment: Segment, piece: Counted, key: str, from_ns: int, to_ns: int) -> list[Pair]:
        told = piece.tally
        if told is not None:
            if key not in told.numbers or told.last_ns < from_ns or told.first_ns >= to_ns:
                return []
            if from_ns <= told.first_ns and told.last_ns < to_ns:
                return told.numbers[key]
        return self._rows(segment, piece.series).within(key, from_ns, to_ns)

    # --- edges --------------------------------------------------------------------------------------
    def _before(self, series: Series, key: str, from_ns: int) -> int | None:
        """Segments from the newest back, until none can have a nearer row."""
        best = max((row for row in self._in_memory(series, key) if row[0] < from_ns), default=None)
        segments = self._reader.segments(series.kind, 0, from_ns)
        for segment in sorted(segments, key=lambda one: one.last_ns, reverse=True):
            if best is not None and segment.last_ns < best[0]:
                break
            rows = (row for row in self._in_segment(segment, series, key) if row[0] < from_ns)
            best = max([*rows, *([best] if best else [])], default=None)
        return None if best is None else best[1]

    def _after(self, series: Series, key: str, to_ns: int) -> int | None:
        best = min((row for row in self._in_memory(series, key) if row[0] >= to_ns), default=None)
        segments = self._reader.segments(series.kind, to_ns, END_OF_TIME_NS)
        for segment in sorted(segments, key=lambda one: one.first_ns):
            if best is not None and segment.first_ns > best[0]:
                break
            rows = (row for row in self._in_segment(segment, series, key) if row[0] >= to_ns)
            best = min([*rows, *([best] if best else [])], default=None)
        return None if best is None else best[1]

    def _in_memory(self, series: Series, key: str) -> Iterator[Dated]:
        for column in self._committed.columns(series.kind).get(series.number, []):
            yield from column.dated(key)

    def _in_segment(self, segment: Segment, series: Series, key: str) -> Iterator[Dated]:
        piece = self._piece(segment, series.number)
        if piece is not None and (piece.tally is None or key in piece.tally.numbers):
            yield from self._rows(segment, series.number).dated(key)

    # --- the file -----------------------------------------------------------------------------------
    def _pieces(self, segment: Segment) -> list[Counted]:
        """All pieces of a segment that are as they were written."""
        known = self._segments.get(segment)
        if known is None:
            found = self._sound(segment, self._reader.counted(segment))
            known = self._segments.put(segment, found, len(found))
        return known

    def _piece(self, segment: Segment, series: int) -> Counted | None:
        return next(iter(self._sound(segment, self._reader.counted(segment, series))), None)

    def _sound(self, segment: Segment, pieces: list[Counted] | None) -> list[Counted]:
        if pieces is None:
            raise Gone
        damaged = {(segment.number, piece.series) for piece in pieces if not piece.sound} - self._damaged
        if damaged:
            self._damaged |= damaged
            log.error("history: %d pieces on disk are damaged: restore the file from a backup", len(damaged))
        return [piece for piece in pieces if piece.sound]

    def _rows(self, segment: Segment, series: int) -> Marks:
        known = self._marks.get((segment, series))
        if known is None:
            payloads = self._reader.payloads(segment, series)
            if payloads is None:
                raise Gone
            known = self._marks.put((segment, series), tally.read_marks(payloads), len(payloads))
        return known


def _steadily(look: Callable[[], T]) -> T:
    """Look again while segments change under our eyes, which they do at most once in many seconds."""
    for _ in range(TRIES):
        try:
            return look()
        except Gone:
            continue
    raise StoreAway("the history changes faster than it can be counted: ask again")
