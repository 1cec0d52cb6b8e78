"""Asks a store about claims: counts first, rows only where these differ from the ledger."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Iterable, Sequence
from typing import TypeVar

from dashboard.audit.claims import MS_NS, SLACK_NS, Claim, Keeps
from dashboard.audit.ranges import missing
from dashboard.audit.verdicts import Verdict, at_once, bounds, judge
from dashboard.history.base import END_OF_TIME_NS, History, Numbered, Span

MOST_AT_ONCE = 8
"""Questions that a store is asked at the same time."""
MOST_N = 2**63 - 1
T = TypeVar("T")


class Checker:
    """`keeps`: since when the store keeps each root."""

    def __init__(self, history: History, keeps: Keeps) -> None:
        self._history = history
        self._keeps = keeps
        self._runs: list[int] = []
        self._gate = asyncio.Semaphore(MOST_AT_ONCE)

    async def check(self, claims: Iterable[Claim]) -> list[Verdict]:
        """A verdict for every claim. Raises StoreError."""
        claims = list(claims)
        self._runs = sorted({claim.sequence.run for claim in claims if claim.sequence.run is not None})
        groups: dict[tuple[str, int | None, str | None], list[Claim]] = defaultdict(list)
        for claim in claims:
            groups[claim.kind, claim.sequence.run, claim.sequence.fill].append(claim)
        verdicts: list[Verdict] = []
        for (kind, run, fill), group in groups.items():
            has = {one.sequence: one for one in await self._counted(kind, run, fill, group)}
            proven = [at_once(claim, has.get(claim.sequence)) for claim in group]
            verdicts += [one for one in proven if one is not None]
            open_ones = [claim for claim, one in zip(group, proven, strict=True) if one is None]
            verdicts += await self._all([self._examine(claim) for claim in open_ones])
        return verdicts

    async def _counted(self, kind: str, run: int | None, fill: str | None, group: Sequence[Claim]) -> list[Numbered]:
        slack_ns = SLACK_NS.get(kind, 0)
        from_ns = min(claim.span.from_ns or 0 for claim in group)
        if all(claim.from_start for claim in group):
            from_ns = max(from_ns, min(claim.first_ns for claim in group) - slack_ns)
        to_ns = min(max(claim.span.to_ns for claim in group), self._next_run_ns(run) + slack_ns)
        span = Span(1, max(0, from_ns), to_ns)
        if fill is not None:
            return await self._history.fill_numbered(kind, fill, span)
        assert run is not None
        return await self._history.numbered(kind, run, span)

    def _next_run_ns(self, run: int | None) -> int:
        """When the next run began: a run is its beginning in ms."""
        later = next((one for one in self._runs if run is not None and one > run), None)
        return END_OF_TIME_NS // 2 if later is None else later * MS_NS

    async def _examine(self, claim: Claim) -> Verdict:
        """Look at a claim's rows."""
        async with self._gate:
            edges = await self._edges(claim)
            there = await self._history.numbers(claim.sequence, 1, MOST_N, claim.span)
            least, greatest = bounds(claim, edges, there, keeps_start=self._keeps_start(claim))
            for span in (claim.wide, claim.widest):
                if claim.kind in SLACK_NS and missing(there, least, greatest):
                    there = await self._history.numbers(claim.sequence, least, greatest, span)
        return judge(claim, least, greatest, there, open_end=claim.to_end or edges[1] is None)

    async def _edges(self, claim: Claim) -> tuple[int | None, int | None]:
        run = claim.sequence.run
        if run is None or (claim.from_start and claim.to_end):
            return None, None
        return await self._history.edges(claim.sequence.topic, run, claim.span)

    def _keeps_start(self, claim: Claim) -> bool:
        return not claim.pruned and claim.first_ns >= self._keeps.since_ns(claim.kind)

    async def _all(self, works: Sequence[Awaitable[T]]) -> list[T]:
        return list(await asyncio.gather(*works))
