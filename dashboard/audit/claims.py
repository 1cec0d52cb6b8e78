"""What a ledger claims to have published, cut to what was asked and what the store holds. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from dashboard.audit.values import Book, Published, RunTold, Window, parts
from dashboard.history.base import BIRTH_MARGIN_NS, EDGE_NS, END_OF_TIME_NS, MINUTE_NS, Sequence, Span

SLACK_NS: Mapping[str, int] = {"trades": 15 * MINUTE_NS, "candles": 15 * MINUTE_NS}
"""How far the times of told rows may lie apart from the order of their numbers. Observed rows stand in order."""
TOLD_LATE_NS: Mapping[str, int] = {"trades": 15 * MINUTE_NS, "candles": 5 * MINUTE_NS}
"""A row of this time was published so much later at most (a candle stands at its open time)."""
MS_NS = 1_000_000
LONGEST_RUN = 14
"""Digits of a run."""


class Keeps(Struct, frozen=True):
    """What a store keeps, ns: rows from `holds` on, by root, of what was published from `heard` on (absent: ever)."""

    holds: Mapping[str, int]
    heard: Mapping[str, int] = {}

    def since_ns(self, kind: str) -> int:
        """From then on every row of a run must be there; 0: all of them."""
        held_ns, heard_ns = self.holds.get(kind, 0), self.heard.get(kind, 0)
        # rows that stand near the edge may be gone or untold, if they are told out of order
        slack_ns = SLACK_NS.get(kind, 0)
        return max(held_ns + EDGE_NS + slack_ns if held_ns else 0, heard_ns + slack_ns if heard_ns else 0)

    def missed_start(self, kind: str, began_ns: int) -> bool:
        """Whether something that was published from then on came before the store."""
        return began_ns + BIRTH_MARGIN_NS < self.heard.get(kind, 0)


class Claim(Struct, frozen=True):
    """One sequence: `n` messages are said to be in the store, as far as they stand within the span.

    `from_start`, `to_end`: the span holds its beginning, its end. `pruned`: it begins where the store begins to hold,
    or the store is younger. `by_ns`: all was published by then.
    """

    sequence: Sequence
    kind: str
    n: int
    first_ns: int
    last_ns: int
    by_ns: int
    span: Span
    from_start: bool = True
    to_end: bool = True
    pruned: bool = False

    @property
    def wide(self) -> Span:
        """Where its rows stand, whatever the order of their times."""
        slack_ns = SLACK_NS.get(self.kind, 0)
        return Span(1, max(0, (self.span.from_ns or 0) - slack_ns), min(END_OF_TIME_NS, self.span.to_ns + slack_ns))

    @property
    def widest(self) -> Span:
        """Everywhere where the sequence has rows."""
        slack_ns = 4 * SLACK_NS.get(self.kind, 0)
        least_ns = min(self.first_ns - slack_ns, self.wide.from_ns or 0)
        greatest_ns = max(self.last_ns + slack_ns + 1, self.wide.to_ns)
        return Span(1, max(0, least_ns), min(END_OF_TIME_NS, greatest_ns))


def claims(book: Book, window: Window, keeps: Keeps) -> tuple[list[Claim], int]:
    """Everything that the window asks about, and how many of the ledger's topics the store does not keep."""
    ends = {run.run: _end_ns(book, run) for run in book.runs}
    last_ns = book.at_ns or max((end_ns for end_ns in ends.values() if end_ns is not None), default=None)
    found: list[Claim] = []
    skipped = 0
    for row in _chosen(book.rows, window):
        kind = row.topic.partition("/")[0]
        if kind not in keeps.holds:
            skipped += 1
        elif (claim := _claim(row, kind, window, keeps, ends.get(row.run or 0, last_ns))) is not None:
            found.append(claim)
    return found, skipped


def _chosen(rows: Iterable[Published], window: Window) -> Iterator[Published]:
    for row in rows:
        named = parts(row.topic)
        if named is None or not row.acknowledged:
            continue
        if window.exchange in (None, named[1]) and window.symbol in (None, named[2]):
            yield row


def _claim(row: Published, kind: str, window: Window, keeps: Keeps, end_ns: int | None) -> Claim | None:
    slack_ns = SLACK_NS.get(kind, 0)
    if row.fill is not None:
        return _whole_fill(row, kind, window, keeps, end_ns)
    heard_all = not keeps.missed_start(kind, row.first_ns)
    held_ns = Keeps(keeps.holds).since_ns(kind) if heard_all else keeps.since_ns(kind)
    from_ns = max(window.from_ns, held_ns)
    if row.last_ns + slack_ns < from_ns or row.first_ns - slack_ns >= window.to_ns:
        return None
    from_start = row.first_ns - slack_ns >= from_ns or not from_ns
    pruned = not from_start and held_ns > window.from_ns
    to_end = row.last_ns + slack_ns < window.to_ns
    latest_ns = row.last_ns + TOLD_LATE_NS.get(kind, 0)
    by_ns = latest_ns if end_ns is None else max(row.last_ns, min(latest_ns, end_ns))
    span = Span(1, max(0, from_ns), window.to_ns)
    times = row.first_ns, row.last_ns, by_ns
    return Claim(row.sequence, kind, row.acknowledged, *times, span, from_start, to_end, pruned)


def _whole_fill(row: Published, kind: str, window: Window, keeps: Keeps, end_ns: int | None) -> Claim | None:
    """A fill is audited as a whole or not at all: its numbers do not follow time, its rows stand long before it."""
    held_ns = Keeps(keeps.holds).since_ns(kind)
    if row.last_ns < window.from_ns or row.first_ns >= window.to_ns or row.first_ns < held_ns:
        return None
    by_ns = END_OF_TIME_NS if end_ns is None else end_ns
    span = Span(1, row.first_ns, row.last_ns + 1)
    young = keeps.missed_start(kind, fill_began_ns(row.fill or ""))
    return Claim(row.sequence, kind, row.acknowledged, row.first_ns, row.last_ns, by_ns, span, not young, pruned=young)


def fill_began_ns(fill: str) -> int:
    """Not before this was it published: a fill's id begins with its run, which is its beginning in ms; else 0."""
    run, _, _ = fill.partition("-")
    return int(run) * MS_NS if run.isascii() and run.isdigit() and len(run) < LONGEST_RUN else 0


def _end_ns(book: Book, run: RunTold) -> int | None:
    """Until when a run can have published what the ledger tells of it."""
    if run.run == book.living:
        return book.at_ns
    return run.ended_ns if run.ended_ns is not None else run.known_ns


def unproven_runs(book: Book, window: Window) -> list[tuple[int, int]]:
    """Runs that were killed within the window, and until when each is known."""
    return [
        (run.run, run.known_ns)
        for run in book.runs
        if run.run != book.living and run.ended_ns is None and window.from_ns <= run.known_ns < window.to_ns
    ]
