"""What is proven and what is still to be proven, from one look to the next: for the continuous audit. Pure.

Each look at the ledger is a mark per topic: so many messages had been appended by then. Messages reach a store in the
order in which they were appended, so as soon as it has one that came after a mark, everything before that mark is there
or lost. Times are the bridge's wall clock, ns.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from dashboard.audit.claims import Keeps
from dashboard.audit.ranges import Pair, missing
from dashboard.audit.values import Published
from dashboard.audit.verdicts import PATIENCE
from dashboard.history.base import Numbered
from dashboard.history.base import Sequence as Numbers

MOST_TRACKS = 100_000
MOST_MARKS = 32
"""Marks of one topic; beyond, every second one goes: what lay between is judged by the next later one."""
S = 1_000_000_000
MARGIN_NS: Mapping[str, int] = {"trades": 60 * S, "candles": 180 * S}
"""How long before its publication a row's time may lie, mostly: what lies further is looked for by its number."""
OBSERVED_MARGIN_NS = 6 * S


class Mark(NamedTuple):
    """Between two looks at the ledger the topic came to `n` messages."""

    before_ns: int
    at_ns: int
    n: int


class Track:
    """One sequence. All up to `proven` is settled: there, or lost for good. None: unknown where to begin.

    `young_ns`: the store came while it ran, and must have every row from then on; 0: it was always there.
    """

    __slots__ = ("first_ns", "kind", "last_ns", "marks", "n", "proven", "sequence", "young_ns")

    def __init__(self, sequence: Numbers, proven: int | None, young_ns: int = 0) -> None:
        self.sequence = sequence
        self.young_ns = young_ns
        self.kind = sequence.topic.partition("/")[0]
        self.proven = proven
        self.n = self.first_ns = self.last_ns = 0
        self.marks: list[Mark] = []

    @property
    def is_proven(self) -> bool:
        return self.proven is not None and self.proven >= self.n

    def advance(self, number: int) -> None:
        self.proven = max(self.proven or 0, number)
        while len(self.marks) > 1 and self.marks[1].n <= self.proven:
            del self.marks[0]

    def begin(self, before: int | None, after: int | None) -> None:
        """Take the numbers of the rows around the time where it begins to be audited."""
        if before is not None or not self.young_ns:
            self.proven = before or 0
        elif after is not None:
            self.proven = after - 1
        else:
            is_due = self.last_ns >= self.young_ns
            self.proven = self.marks[0].n - is_due

    def first_open(self) -> Mark | None:
        """The first mark that is not proven."""
        return next((mark for mark in self.marks if self.proven is None or mark.n > self.proven), None)

    def between(self, pair: Pair) -> tuple[int, int]:
        """The times between which these numbers were appended."""
        first = next((mark for mark in self.marks if mark.n >= pair[0]), self.marks[-1])
        last = next((mark for mark in self.marks if mark.n >= pair[1]), self.marks[-1])
        return first.before_ns, last.at_ns


class Trail:
    """`settle_ns`: a store may take so long even for what it got in order. `reach_ns`: how far back a start looks."""

    def __init__(self, settle_ns: int, reach_ns: int) -> None:
        self.at_ns = 0
        self.forgotten = 0
        self._settle_ns = settle_ns
        self._reach_ns = reach_ns
        self._kept: dict[str, int] = {}
        self._tracks: dict[Numbers, Track] = {}
        self._seen: dict[str, int] = {}
        self._unclear: dict[str, Track] = {}

    # --- the ledger's side --------------------------------------------------------------------------
    def meets(self, keeps: Keeps) -> bool:
        """Whether the store keeps a root that it did not keep before: then the whole ledger is needed."""
        return any(kind not in self._kept for kind in keeps.holds)

    def note(self, rows: Iterable[Published], at_ns: int, keeps: Keeps) -> None:
        """A look at the ledger: what has changed since the last one. What the store does not keep is left out."""
        self._drop(keeps)
        new = {kind for kind in keeps.holds if self._kept.setdefault(kind, at_ns) == at_ns}
        before_ns = self.at_ns or max(0, at_ns - self._reach_ns)
        for row in rows:
            track = self._tracks.get(row.sequence)
            if track is None:
                if not _is_kept(row, keeps.holds):
                    continue
                track = self._tracks[row.sequence] = self._begin(row, at_ns, keeps, new)
            if row.n > track.n:
                track.n, track.first_ns, track.last_ns = row.n, row.first_ns, row.last_ns
                track.marks.append(Mark(before_ns, max(at_ns, before_ns), row.n))
                if len(track.marks) > MOST_MARKS:
                    track.marks = _thinned(track.marks)
        self.at_ns = max(self.at_ns, at_ns)
        self._forget()

    def _begin(self, row: Published, at_ns: int, keeps: Keeps, new: Collection[str]) -> Track:
        """What was published long before we came, or before the store did, is not ours to prove."""
        kind = row.topic.partition("/")[0]
        young_ns = keeps.since_ns(kind) if keeps.missed_start(kind, row.first_ns) else 0
        if row.fill is not None:
            return Track(row.sequence, row.n if kind in new else 0)
        if kind not in new:
            return Track(row.sequence, None if young_ns else 0, young_ns)
        if row.last_ns < max(at_ns - self._reach_ns, young_ns):
            return Track(row.sequence, row.n)
        return Track(row.sequence, 0 if row.first_ns >= at_ns - self._reach_ns and not young_ns else None, young_ns)

    def _drop(self, keeps: Keeps) -> None:
        """What the store keeps no more, nobody asks of it."""
        gone = {kind for kind in self._kept if kind not in keeps.holds}
        if gone:
            self._kept = {kind: at_ns for kind, at_ns in self._kept.items() if kind not in gone}
            self._tracks = {one: track for one, track in self._tracks.items() if track.kind not in gone}

    # --- the store's side ---------------------------------------------------------------------------
    def open_runs(self) -> dict[tuple[str, int], int]:
        """Root and run of what is not proven, and since when its rows stand."""
        found: dict[tuple[str, int], int] = {}
        for track in self._open():
            mark, run = track.first_open(), track.sequence.run
            if mark is not None and run is not None:
                from_ns = mark.before_ns - MARGIN_NS.get(track.kind, OBSERVED_MARGIN_NS)
                found[track.kind, run] = max(0, min(from_ns, found.get((track.kind, run), from_ns)))
        return found

    def due_fills(self, now_ns: int) -> dict[tuple[str, str], tuple[int, int]]:
        """Root and id of the fills that may be there by now, and between which times their rows stand.

        To be there proves it at once; that it is missing is judged only where it is suspect.
        """
        found: dict[tuple[str, str], tuple[int, int]] = {}
        for track in self._open():
            mark = track.first_open()
            if track.sequence.fill is not None and mark is not None and mark.at_ns <= now_ns - self._settle_ns:
                key = track.kind, track.sequence.fill
                first_ns, last_ns = found.get(key, (track.first_ns, track.last_ns))
                found[key] = min(first_ns, track.first_ns), max(last_ns, track.last_ns)
        return found

    def is_overwritten(self, track: Track) -> bool:
        """Whether another fill told rows of the same times: a store may keep one fill's number only."""
        return track.sequence.fill is not None and any(
            other.sequence.topic == track.sequence.topic
            and other.sequence.fill not in (None, track.sequence.fill)
            and other.first_ns <= track.last_ns
            and other.last_ns >= track.first_ns
            for other in self._tracks.values()
        )

    def compare(self, counted: Iterable[Numbered]) -> int:
        """Take counts of a span that begins before what is open. How many messages they prove.

        Only what joins on to what is proven, without a hole, proves anything.
        """
        proven = 0
        for one in counted:
            track = self._tracks.get(one.sequence)
            if track is None:
                continue
            before = one.least - 1 if track.proven is None else track.proven
            if one.least <= before + 1 and one.count == one.greatest - one.least + 1:
                proven += max(0, one.greatest - before)
                self._stored(track, one.greatest)
                track.advance(max(before, one.greatest))
            elif not track.is_proven:
                known = self._unclear.get(track.kind)
                if known is None or known.marks[-1].at_ns <= track.marks[-1].at_ns:
                    self._unclear[track.kind] = track
        return proven

    def unclear(self) -> list[Track]:
        """One topic of each root that has holes: how far the store has come there must be looked up by number."""
        found, self._unclear = self._unclear, {}
        return list(found.values())

    def seen(self, track: Track, there: Sequence[Pair]) -> None:
        """Take which numbers behind the proven ones are there."""
        if there:
            self._stored(track, there[-1][1])

    def suspects(self, now_ns: int) -> list[tuple[Track, int]]:
        """What should be there by now, up to which number, and is not proven."""
        found = []
        for track in self._open():
            due = self._due(track, now_ns)
            if due > (track.proven or 0):
                found.append((track, due))
        return found

    def settle(self, track: Track, there: Sequence[Pair], due: int) -> list[Pair]:
        """Take which numbers are there: all up to `due` is settled by that. Returns what is missing of it."""
        self.seen(track, there)
        holes = missing(there, (track.proven or 0) + 1, due)
        track.advance(due)
        return holes

    def has_passed(self, kind: str, at_ns: int, now_ns: int) -> bool:
        """Whether the store has something of a root that was appended after a look at the ledger later than this."""
        return self._watermark(kind) > at_ns and now_ns >= at_ns + self._settle_ns

    def complete_until_ns(self) -> int:
        """Everything appended before this time is settled."""
        marks = (track.first_open() for track in self._open())
        return min((mark.before_ns for mark in marks if mark is not None), default=self.at_ns)

    # --- inside -------------------------------------------------------------------------------------
    def _open(self) -> Iterator[Track]:
        return (track for track in self._tracks.values() if not track.is_proven)

    def _due(self, track: Track, now_ns: int) -> int:
        until_ns = min(self._watermark(track.kind), now_ns - self._settle_ns)
        return next((mark.n for mark in reversed(track.marks) if mark.at_ns <= until_ns), 0)

    def _watermark(self, kind: str) -> int:
        """The latest look that the store has something from after."""
        anything_ns = max(self._seen.values(), default=0) - PATIENCE * self._settle_ns
        return max(self._seen.get(kind, 0), anything_ns)

    def _stored(self, track: Track, number: int) -> None:
        passed = next((mark.at_ns for mark in reversed(track.marks) if mark.n < number), 0)
        self._seen[track.kind] = max(self._seen.get(track.kind, 0), passed)

    def _forget(self) -> None:
        """The oldest go first, what is proven before all."""
        excess = len(self._tracks) - MOST_TRACKS
        if excess > 0:
            order = sorted(self._tracks.values(), key=lambda track: not track.is_proven)
            for track in order[:excess]:
                del self._tracks[track.sequence]
            self.forgotten += excess


def _is_kept(row: Published, holds: Mapping[str, int]) -> bool:
    since_ns = holds.get(row.topic.partition("/")[0])
    return since_ns is not None and row.n > 0 and (row.fill is None or row.first_ns >= since_ns)


def _thinned(marks: list[Mark]) -> list[Mark]:
    """Every second mark, the newest among them; what went is within the next one's times."""
    kept: list[Mark] = []
    for earlier, later in zip(marks[0::2], marks[1::2], strict=False):
        kept.append(Mark(earlier.before_ns, later.at_ns, later.n))
    return kept if len(marks) % 2 == 0 else [*kept, marks[-1]]
