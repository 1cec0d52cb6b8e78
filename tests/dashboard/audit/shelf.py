"""A small history in memory, for the audit's pure tests: rows are times and numbers."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from dashboard.history.base import History, Numbered, Page, Sequence, Span, Stored
from dashboard.history.ranges import cut, paired

S = 1_000_000_000
RUN = 1743147000123


class Shelf(History):
    """`put` rows, `take` them away. `since`: what is older is pruned."""

    def __init__(self, since: Mapping[str, int] | None = None) -> None:
        self.since = dict.fromkeys(("prices", "trades", "candles", "gaps", "errors"), 0) | dict(since or {})
        self.rows_of: dict[Sequence, dict[int, int]] = defaultdict(dict)
        self.looks = 0

    def put(self, topic: str, number: int, time_ns: int, run: int | None = RUN, fill: str | None = None) -> None:
        self.rows_of[Sequence(topic, None if fill else run, fill)][number] = time_ns

    def take(self, topic: str, *numbers: int, run: int = RUN) -> None:
        for number in numbers:
            del self.rows_of[Sequence(topic, run)][number]

    def _within(self, sequence: Sequence, span: Span) -> list[int]:
        since_ns = self.since.get(sequence.topic.partition("/")[0], 0)
        from_ns = max(span.from_ns or 0, since_ns)
        return [number for number, at in self.rows_of.get(sequence, {}).items() if from_ns <= at < span.to_ns]

    async def holds(self) -> Mapping[str, int]:
        return self.since

    async def numbered(self, kind: str, run: int, span: Span, exchange: str | None = None) -> list[Numbered]:
        return self._numbered(kind, span, lambda one: one.run == run)

    async def fill_numbered(self, kind: str, fill: str, span: Span) -> list[Numbered]:
        return self._numbered(kind, span, lambda one: one.fill == fill)

    def _numbered(self, kind: str, span: Span, chosen: Any) -> list[Numbered]:
        told = []
        for sequence in self.rows_of:
            if sequence.topic.partition("/")[0] == kind and chosen(sequence):
                numbers = self._within(sequence, span)
                if numbers:
                    told.append(Numbered(sequence, len(numbers), min(numbers), max(numbers)))
        return told

    async def numbers(self, sequence: Sequence, least: int, greatest: int, span: Span) -> list[tuple[int, int]]:
        self.looks += 1
        return cut(paired(self._within(sequence, span)), least, greatest)

    async def edges(self, topic: str, run: int, span: Span) -> tuple[int | None, int | None]:
        since_ns = self.since.get(topic.partition("/")[0], 0)
        rows = [(at, n) for n, at in self.rows_of.get(Sequence(topic, run), {}).items() if at >= since_ns]
        before = max((row for row in rows if row[0] < (span.from_ns or 0)), default=None)
        after = min((row for row in rows if row[0] >= span.to_ns), default=None)
        return before[1] if before else None, after[1] if after else None

    # --- what the audit does not ask ----------------------------------------------------------------
    async def rows(self, kind: str, exchange: str, symbol: str, span: Span) -> Page:
        return Page([])

    async def candles(self, exchange: str, symbol: str, interval: str, span: Span) -> Page:
        return Page([])

    async def latest(self) -> list[tuple[str, str, bytes]]:
        return []

    async def gaps(self, exchange: str | None, symbol: str | None, span: Span) -> Page:
        return Page([])

    def symbols(self) -> list[Stored]:
        return []

    def status(self) -> dict[str, Any]:
        return {}

    async def aclose(self) -> None:
        return None

    async def errors(self, exchange: str | None, kind: str | None, symbol: str | None, span: Span) -> Page:
        return Page([])

    async def catalogue(self) -> list[tuple[str, bytes]]:
        return []
