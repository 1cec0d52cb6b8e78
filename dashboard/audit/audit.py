"""One audit from its beginning to its report."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain

from msgspec import structs

from dashboard.audit.check import Checker
from dashboard.audit.claims import Claim, Keeps, claims, unproven_runs
from dashboard.audit.declared import Declared, declarations, explain, likely_cause, overwritten
from dashboard.audit.ranges import size
from dashboard.audit.values import Book, Finding, Report, Unproven, Window
from dashboard.audit.verdicts import Verdict, is_lost, watermarks
from dashboard.history.base import History, Span

POLL_S = 1.0
MOST_DATED = 20
"""Ranges whose place in time is looked for; a range beyond is told without."""
FINE_NS = 1_000_000_000
"""How exactly a range's place in time is looked for."""
Fresh = Callable[[], Awaitable[Book]]


class Audit:
    """`settle_s`: what was published so long ago can be in the store. `fresh` asks a living bridge again.

    `wait_s`: how long the store may take to have what was published until the audit began.
    """

    def __init__(self, history: History, prefix: str, settle_s: float, fresh: Fresh | None, wait_s: float) -> None:
        self._history = history
        self._prefix = prefix
        self._settle_ns = int(settle_s * 1e9)
        self._fresh = fresh
        self._wait_s = wait_s

    async def run(self, book: Book, window: Window) -> Report:
        """Audit a ledger. Raises StoreError if the store cannot answer."""
        began_s = time.monotonic()
        keeps = await self._keeps()
        checker = Checker(self._history, keeps)
        asked, skipped = claims(book, window, keeps)
        verdicts = await checker.check(asked)
        marks = watermarks(verdicts)
        if any(verdict.tail for verdict in verdicts):
            verdicts, marks = await self._waited(checker, book, verdicts, marks)
        findings = self._findings(book, verdicts, marks)
        findings = await self._dated(findings, verdicts)
        unproven = [Unproven(*one) for one in unproven_runs(book, window)]
        return Report(
            ledger=book.source,
            topics=len({claim.sequence.topic for claim in asked}),
            rows=sum(verdict.rows for verdict in verdicts),
            runs=len({claim.sequence.run for claim in asked} - {None}),
            fills=len({claim.sequence.fill for claim in asked} - {None}),
            seconds=round(time.monotonic() - began_s, 3),
            findings=findings,
            unproven=unproven,
            complete_until_ns=_complete_until(unproven, findings, marks),
            skipped=skipped,
        )

    async def _keeps(self) -> Keeps:
        return Keeps(await self._history.holds(), await self._history.heard_since())

    # --- tails --------------------------------------------------------------------------------------
    async def _waited(
        self, checker: Checker, book: Book, verdicts: list[Verdict], marks: dict[str, int]
    ) -> tuple[list[Verdict], dict[str, int]]:
        """Give the store time for what was published just now, as long as a tail is neither there nor lost."""
        if self._fresh is None or book.at_ns is None:
            return verdicts, marks
        deadline_s = time.monotonic() + self._wait_s
        while time.monotonic() < deadline_s and any(self._is_late(one, marks) for one in verdicts):
            await asyncio.sleep(POLL_S)
            verdicts = await self._again(checker, verdicts)
            fresh = await self._fresh()
            since, _ = claims(fresh, Window(from_ns=book.at_ns), await self._keeps())
            for kind, mark_ns in watermarks(await checker.check(since)).items():
                marks[kind] = max(marks.get(kind, 0), mark_ns)
        return verdicts, marks

    def _is_late(self, verdict: Verdict, marks: dict[str, int]) -> bool:
        return verdict.tail is not None and not is_lost(verdict.claim, marks, self._settle_ns)

    async def _again(self, checker: Checker, verdicts: list[Verdict]) -> list[Verdict]:
        open_ones = [verdict for verdict in verdicts if verdict.tail is not None]
        again = {one.claim.sequence: one for one in await checker.check([verdict.claim for verdict in open_ones])}
        return [again.get(verdict.claim.sequence, verdict) for verdict in verdicts]

    # --- findings -----------------------------------------------------------------------------------
    def _findings(self, book: Book, verdicts: Sequence[Verdict], marks: dict[str, int]) -> list[Finding]:
        declared = declarations(book.gaps, self._prefix)
        fills = [verdict.claim for verdict in verdicts if verdict.claim.sequence.fill is not None]
        return list(chain.from_iterable(self._explained(one, marks, declared, fills) for one in verdicts))

    def _explained(
        self, verdict: Verdict, marks: dict[str, int], declared: Declared, fills: list[Claim]
    ) -> Iterable[Finding]:
        claim, gone = verdict.claim, list(verdict.holes)
        late = self._is_late(verdict, marks)
        if verdict.tail is not None and not late:
            gone.append(verdict.tail)
        other = overwritten(claim, size(gone), fills) if gone else None
        for finding in explain(claim.sequence, gone, declared):
            if other is not None and finding.fate == "missing":
                yield structs.replace(finding, fate="overwritten", job=other)
            else:
                yield finding
        if verdict.tail is not None and late:
            for finding in explain(claim.sequence, [verdict.tail], declared):
                yield finding if finding.fate != "missing" else structs.replace(finding, fate="late")

    async def _dated(self, findings: list[Finding], verdicts: Sequence[Verdict]) -> list[Finding]:
        """Say between which times unexplained ranges stand, and their likely cause."""
        by_sequence = {verdict.claim.sequence: verdict.claim for verdict in verdicts}
        looked = 0
        for place, finding in enumerate(findings):
            if finding.fate == "missing" and looked < MOST_DATED:
                looked += 1
                from_ns, to_ns = await self._place(finding, by_sequence[finding.sequence])
                findings[place] = structs.replace(finding, from_ns=from_ns, to_ns=to_ns)
        return [
            structs.replace(one, cause=likely_cause(one, findings)) if one.fate == "missing" else one
            for one in findings
        ]

    async def _place(self, finding: Finding, claim: Claim) -> tuple[int, int]:
        """The times between which a missing range stood: halving the span until the rows around it are near."""
        if claim.sequence.run is None:
            return claim.first_ns, claim.last_ns
        from_ns, to_ns = claim.first_ns, claim.last_ns
        if finding.from_n > 1:
            from_ns, _ = await self._halve(claim, finding.from_n - 2)
        if finding.to_n < claim.n:
            _, to_ns = await self._halve(claim, finding.to_n)
        return from_ns, max(from_ns, to_ns)

    async def _halve(self, claim: Claim, number: int) -> tuple[int, int]:
        """The times around the first row whose number is greater."""
        low, high = claim.first_ns, claim.last_ns + 1
        while high - low > FINE_NS:
            middle = (low + high) // 2
            assert claim.sequence.run is not None
            before, _ = await self._history.edges(claim.sequence.topic, claim.sequence.run, Span(1, middle, middle))
            low, high = (middle, high) if before is None or before <= number else (low, middle)
        return low, high


def _complete_until(unproven: Sequence[Unproven], findings: Sequence[Finding], marks: dict[str, int]) -> int | None:
    """Up to when all is proven; None: all of it."""
    times = [one.after_ns for one in unproven]
    times += [marks.get(one.topic.partition("/")[0], 0) for one in findings if one.fate == "late"]
    return min(times, default=None)
