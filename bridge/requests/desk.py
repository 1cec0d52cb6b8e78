"""What each request does and answers. Pure: the client around it talks MQTT and reads the ledger's file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol

from msgspec import Struct

from bridge import topics
from bridge.entries import Entry
from bridge.fills import Backfill, Backfills, Unwilling
from bridge.gap_book import Kind
from bridge.gaps import Gaps, Loss
from bridge.ledger import Published, Query, Run, Tally
from bridge.lost import Lost, LostRanges, Mark
from bridge.requests.wanted import (
    BackfillWanted,
    BadRequest,
    CancelWanted,
    GapsWanted,
    LedgerWanted,
    RangeWanted,
    Wanted,
)
from bridge.topics import LISTED, Gap, Missing, Topics

PAGE_ROWS = 200
Answer = dict[str, Any]
Found = tuple[Sequence[Published], Sequence[Run]]


class Log(Protocol):
    """What the desk needs of the outbox."""

    def find(self, topic: str, run: Mark, from_n: int, to_n: int) -> list[Entry]: ...
    def resend(self, entries: Sequence[Entry]) -> int: ...
    def cramped_s(self, now_ns: int) -> float | None: ...


class Past(Protocol):
    """What the desk needs of the ledger's file."""

    def rows(self, query: Query) -> list[Published]: ...
    def runs(self) -> list[Run]: ...


class Desk(Struct):
    """Answers requests. `refresh` brings the tally up to date, `tell` publishes a gap, `sent` wakes the publisher.

    `run` is the one that is being published, None before the first.
    """

    names: Topics
    tally: Tally
    gaps: Gaps
    log: Log
    now_ns: Callable[[], int]
    refresh: Callable[[], None]
    tell: Callable[[Gap], None]
    sent: Callable[[], None]
    run: Callable[[], int | None]
    backfills: Backfills
    uncover: Callable[[str, int, int], None]

    def look_up(self, wanted: Wanted, past: Past) -> Found:
        """What the answer needs of the ledger's file: nothing, mostly. May block. Raises StoreError."""
        query = wanted.query
        if query is None or (query.mark is not None and self.tally.holds(query.mark)):
            return [], []
        if query.mark is not None:
            return past.rows(query), []
        return [], ([] if query.since is not None else past.runs())

    def answer(self, what: str, wanted: Wanted, found: Found = ((), ())) -> list[Answer]:
        """The pages of the answer; `found` is what `look_up` gave. Raises BadRequest."""
        past, runs = found
        match wanted:
            case LedgerWanted():
                return self._ledger(wanted, past, runs)
            case GapsWanted():
                return self._listed(wanted)
            case BackfillWanted():
                return [self._backfill(wanted)]
            case CancelWanted():
                return [self._cancel(wanted)]
            case RangeWanted():
                row = self._published(wanted, past)
                answers: Mapping[str, Callable[[RangeWanted, Published], Answer]]
                answers = {"resend": self._resend, "lost": self._lost, "found": self._found}
                return [{"ok": True, **answers[what](wanted, row)}]

    # --- lists --------------------------------------------------------------------------------------
    def _ledger(self, wanted: LedgerWanted, past: Sequence[Published], runs: Sequence[Run]) -> list[Answer]:
        self.refresh()
        if not past and wanted.query.mark is not None and not self.tally.holds(wanted.query.mark):
            raise BadRequest(f"ledger: nothing is known of {wanted.query.mark!r}; {{}} lists this process and all runs")
        rows = past or self.tally.rows(wanted.query)
        now_ns = self.now_ns()
        now: Answer = {"run": self.run(), "time_ns": now_ns, "version": self.tally.version}
        reach = {"cramped_s": self.log.cramped_s(now_ns)}
        return _pages((row.told() for row in rows), {"runs": [run.told() for run in runs] or None, **now, **reach})

    def _listed(self, wanted: GapsWanted) -> list[Answer]:
        if wanted.id is not None:
            gap = self.gaps.get(wanted.id)
            if gap is None:
                raise BadRequest(f"gaps: there is no gap {wanted.id!r}; without id all are listed")
            return _pages(iter(gap.lost or ()), {"gap": gap_told(gap)})
        found = self.gaps.select(wanted.exchange, wanted.state, wanted.from_ns, wanted.to_ns)
        return _pages((gap_told(gap) for gap in found), {"forgotten": self.gaps.forgotten or None})

    # --- backfills ----------------------------------------------------------------------------------
    def _backfill(self, wanted: BackfillWanted) -> Answer:
        """Taken in, its job's state is told on `jobs/`."""
        symbols = tuple(sorted(set(wanted.symbols)))
        asked = Backfill(wanted.exchange, wanted.interval, wanted.from_ns, wanted.to_ns, symbols, wanted.again)
        try:
            job = self.backfills.start(asked)
        except Unwilling as error:
            raise BadRequest(f"backfill: {error}") from error
        return {"ok": True, "job": job.id, "state": job.state, "total": job.total}

    def _cancel(self, wanted: CancelWanted) -> Answer:
        try:
            job = self.backfills.cancel(wanted.job)
        except Unwilling as error:
            raise BadRequest(f"cancel: {error}") from error
        return {"ok": True, "job": job.id, "state": job.state}

    # --- ranges -------------------------------------------------------------------------------------
    def _resend(self, wanted: RangeWanted, row: Published) -> Answer:
        """Send again what the log still holds, as far as there is room: live messages go first."""
        asked = wanted.lost
        held = self.log.find(asked.topic, asked.mark, asked.from_n, asked.to_n)
        sent = self.log.resend(held)
        if sent:
            self.sent()
        gone = LostRanges([asked])
        for entry in held:
            gone.remove(Lost(asked.topic, asked.mark, entry[3], entry[3]))
        listed = [one.told() for one in islice(gone, LISTED)]
        return {"found": len(held), "resent": sent, "later": len(held) - sent, "gone": listed, "gone_count": gone.count}

    def _lost(self, wanted: RangeWanted, row: Published) -> Answer:
        """What is beyond repair becomes a gap."""
        channel, exchange, symbol = self._parts(wanted)
        kind = Kind(exchange, channel, "lost", None if symbol is None else frozenset({symbol}))
        from_ns = row.first_ns if wanted.from_ns is None else wanted.from_ns
        to_ns = row.last_ns if wanted.to_ns is None else wanted.to_ns
        places: tuple[Missing, ...] = ()
        if channel == "trades" and symbol is not None and None not in (wanted.from_ns, wanted.to_ns):
            places = (Missing(symbol, from_ns, to_ns),)
        loss = Loss(kind, from_ns, max(from_ns, to_ns), (wanted.lost,), wanted.reason, places)
        gap = self.gaps.lose(loss, self.now_ns())
        if gap is None:
            return {"known": True}
        if channel == "candles":
            self.uncover(wanted.topic, from_ns, max(from_ns, to_ns) + 1)
        self.tell(gap)
        return {"gap": gap.id}

    def _found(self, wanted: RangeWanted, row: Published) -> Answer:
        """What came late after all closes its gap."""
        count, changed = self.gaps.found(wanted.lost)
        for gap in changed:
            self.tell(gap)
        return {"found": count, "gaps": [gap.id for gap in changed[:LISTED]]}

    def _published(self, wanted: RangeWanted, past: Sequence[Published]) -> Published:
        """What was published under this topic and mark, if it reaches that far. Raises BadRequest."""
        asked = wanted.lost
        self._parts(wanted)
        row = next(iter(past or self.tally.rows(wanted.query)), None)
        if row is None or asked.to_n > row.n:
            self.refresh()  # it counts everything that is published: not once for each of many ranges
            row = next(iter(past or self.tally.rows(wanted.query)), None)
        if row is None:
            raise BadRequest(
                f"nothing was published on {asked.topic} in {asked.mark!r}; the ledger request lists what was"
            )
        if asked.to_n > row.n:
            raise BadRequest(f"{asked.topic} of {asked.mark!r} ends at {row.n}, not at {asked.to_n}")
        return row

    def _parts(self, wanted: RangeWanted) -> tuple[str, str, str | None]:
        parts = self.names.parts(wanted.topic)
        if parts is None:
            example = self.names.price("kucoin", "BTC-USDT")
            raise BadRequest(f"{wanted.topic[:80]!r} is no stream topic of this bridge, such as {example}")
        return parts


def gap_told(gap: Gap) -> Answer:
    """A gap in an answer: as on `gaps/`, its lists cut likewise, with its exchange."""
    return {"exchange": gap.exchange, **topics.gap_fields(gap), "lost_count": len(gap.lost) if gap.lost else None}


def _pages(rows: Iterator[Answer], first: Answer) -> list[Answer]:
    """At most `PAGE_ROWS` rows a page; what is said once stands on the first."""
    parts = []
    while part := list(islice(rows, PAGE_ROWS)):
        parts.append(part)
    parts = parts or [[]]
    pages = [{"ok": True, "page": k, "pages": len(parts), "rows": part} for k, part in enumerate(parts, 1)]
    pages[0].update({key: value for key, value in first.items() if value is not None})
    return pages
