"""Questions to the history: memory first, then the file, merged to one row per key. Runs in the reader's thread."""

import time
from collections.abc import Callable
from operator import itemgetter

from dashboard.history.bars import Bars
from dashboard.history.base import MINUTE_NS, Page, Span
from dashboard.history.candles import gathered, told_first
from dashboard.history.memory import Committed
from dashboard.history.reader import Reader, Want
from dashboard.history.rows import Row, Series, read_mark, settled
from dashboard.history.troubles import Wanted, whole_times, with_exchange
from dashboard.history.writer import MERGE

WINDOW_MINUTES = 4 * 1440
"""How many minutes are held in memory at once while long spans are gathered."""
BUDGET_S = 1.5
"""After this long an answer ends early and says where to go on."""
MOST_LATEST_SEGMENTS = 50
LOOKED_AT = 2_000
"""Entries of the error table that are read at once while those that are wanted are looked for."""
Waiting = Callable[[str, int], list[Row]]


class Queries:
    """`waiting(kind, series)` gives the rows that are not committed yet."""

    def __init__(self, reader: Reader, committed: Committed, waiting: Waiting, bars: Bars) -> None:
        self._reader = reader
        self._committed = committed
        self._waiting = waiting
        self._bars = bars

    def rows(self, series: Series, span: Span) -> Page:
        """One page of a series' rows."""
        want = Want(span.from_ns or 0, span.to_ns, span.limit, newest=span.from_ns is None)
        rows, complete_ns = self._gather(series, want)
        if want.newest:
            return Page([payload for _, payload in rows[-span.limit :]])
        return _page(rows, span.limit, complete_ns)

    def errors(self, series: list[Series], kind: str | None, symbol: str | None, span: Span) -> Page:
        """One page of the error table: entries of all these series, those of one time together."""
        deadline = time.monotonic() + BUDGET_S
        found, edges_ns = [], []
        for one in series:
            rows, edge_ns = self._troubles(one, Wanted(kind, symbol), span, deadline)
            found += rows
            edges_ns += [edge_ns] if edge_ns is not None else []
        found.sort(key=itemgetter(0))
        if span.from_ns is None:
            return Page([payload for _, payload in found[-span.limit :]])
        return whole_times(found, span.limit, min(edges_ns, default=None))

    def _troubles(self, series: Series, wanted: Wanted, span: Span, deadline: float) -> tuple[list[Row], int | None]:
        """Enough entries of one series that are wanted, with their exchange, and how far they are complete."""
        newest = span.from_ns is None
        from_ns, to_ns = span.from_ns or 0, span.to_ns
        found: list[Row] = []
        while from_ns < to_ns:
            rows, edge_ns = self._gather(series, Want(from_ns, to_ns, LOOKED_AT, newest))
            found += [(time_ns, with_exchange(series, row)) for time_ns, row in rows if wanted.takes(row)]
            if edge_ns is None or len(found) > span.limit or time.monotonic() > deadline:
                return found, None if newest else edge_ns
            from_ns, to_ns = (from_ns, edge_ns + 1) if newest else (edge_ns, to_ns)
        return found, None

    def newest(self, series: Series) -> Row | None:
        """The row of a series that stands last in time, if it is not too long ago to be found quickly."""
        rows, _ = self._gather(series, Want(enough=1, newest=True, most_segments=MOST_LATEST_SEGMENTS))
        return rows[-1] if rows else None

    def told_last(self, series: Series) -> Row | None:
        """The row that was published last, by run and number: a clock may have been ahead before."""
        rows = self._reader.last_folded(series.kind, series.number, MOST_LATEST_SEGMENTS)
        return max(rows, key=_place, default=None)

    def candles(self, told: Series | None, built: Series | None, interval_ns: int, span: Span) -> Page:
        """One page of candles of an interval."""
        sources = [series for series in (told, built) if series is not None]
        from_ns = self._beginning(sources, interval_ns, span) if span.from_ns is None else span.from_ns
        start_ns = -(-from_ns // interval_ns) * interval_ns
        deadline = time.monotonic() + BUDGET_S
        candles: list[Row] = []
        while start_ns < span.to_ns and len(candles) <= span.limit:
            begin_ns = self._next_ns(sources, start_ns)
            if begin_ns is None or begin_ns >= span.to_ns:
                return _page(candles, span.limit, None)
            start_ns = max(start_ns, begin_ns - begin_ns % interval_ns)
            if time.monotonic() > deadline:
                return _page(candles, span.limit, start_ns)
            stop_ns = min(start_ns + _window_ns(interval_ns, span.limit), -(-span.to_ns // interval_ns) * interval_ns)
            minutes = [self._all(series, start_ns, stop_ns) if series else [] for series in (told, built)]
            candles += gathered(told_first(*minutes), interval_ns)
            start_ns = stop_ns
        return _page(candles, span.limit, None)

    def _gather(self, series: Series, want: Want) -> tuple[list[Row], int | None]:
        """Rows of a series, one per key, and how far they are complete if not to the end."""
        memory = [row for row in self._memory(series) if want.from_ns <= row[0] < want.to_ns]
        disk, complete_ns = self._reader.scan(series.kind, series.number, want)
        rows = settled(disk + memory, MERGE[series.kind])
        if complete_ns is not None:
            rows = [row for row in rows if (row[0] > complete_ns if want.newest else row[0] < complete_ns)]
        return rows, complete_ns

    def _all(self, series: Series, from_ns: int, to_ns: int) -> list[Row]:
        return self._gather(series, Want(from_ns, to_ns))[0]

    def _memory(self, series: Series) -> list[Row]:
        """Rows in memory by their arrival; looked at in the direction they travel, so that none is missed."""
        forming = self._bars.of(series.number) if series.kind == "bars" else []
        waiting = self._waiting(series.kind, series.number)
        return self._committed.of(series.kind, series.number) + waiting + forming

    def _beginning(self, sources: list[Series], interval_ns: int, span: Span) -> int:
        """Where the newest `limit` candles begin."""
        newest = [row[0] for series in sources if (row := self.newest(series)) is not None]
        end_ns = min(span.to_ns, max(newest, default=0) + 1)
        return max(0, -(-end_ns // interval_ns) - span.limit) * interval_ns

    def _next_ns(self, sources: list[Series], from_ns: int) -> int | None:
        """Where from `from_ns` on there may be rows: emptiness is jumped over."""
        waiting = [row[0] for series in sources for row in self._memory(series) if row[0] >= from_ns]
        stored = [self._reader.next_ns(series.kind, from_ns) for series in sources]
        return min([*waiting, *(time_ns for time_ns in stored if time_ns is not None)], default=None)


def _window_ns(interval_ns: int, limit: int) -> int:
    whole = max(1, WINDOW_MINUTES * MINUTE_NS // interval_ns)
    return min(whole, limit + 1) * interval_ns


def _place(row: Row) -> tuple[int, int, int]:
    mark = read_mark(row[1])
    return mark.run or 0, mark.n or 0, mark.time_ns


def _page(rows: list[Row], limit: int, complete_ns: int | None) -> Page:
    next_ns = rows[limit][0] if len(rows) > limit else complete_ns
    return Page([payload for _, payload in rows[:limit]], next_ns)
