"""Both stores with the same recorded input, asked the same questions."""

import re
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from bridge.numbers import number
from dashboard.history import History, Page, Span
from dashboard.history.influx import InfluxHistory
from dashboard.history.sqlite import SqliteHistory
from tests.lines import Lines, lines_of

T = TypeVar("T")
Question = Callable[[History], Awaitable[T]]
_NUMBER = re.compile(rb"(?<=[:\[,])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?=[,}\]])")


class Both:
    """`put` records a message in both; `same` asks both and gives the answer on which they agree, digit by digit."""

    def __init__(self, sqlite: SqliteHistory, influx: InfluxHistory, lines: Lines) -> None:
        self.sqlite, self.influx, self.lines = sqlite, influx, lines
        self._waiting: list[tuple[str, str]] = []

    def put(self, topic: str, *payloads: bytes) -> None:
        for payload in payloads:
            self.sqlite.append(topic, payload)
            self._waiting += lines_of(topic, payload, arrival_ns=1_763_726_400_000_000_000)

    async def settle(self) -> None:
        """Have in both what was put."""
        if not self._waiting:
            return
        self.lines.write(self._waiting)
        self._waiting = []
        await self.sqlite.commit()
        await self.influx.look()

    async def same(self, question: Question[T]) -> T:
        await self.settle()
        told, other = await question(self.sqlite), await question(self.influx)
        assert short(other) == short(told), f"InfluxDB: {other!r}\nSQLite: {told!r}"
        return told

    async def pages(
        self, question: Callable[[History, Span], Awaitable[Page]], limit: int, from_ns: int
    ) -> list[bytes]:
        """All rows from a time on, page by page, each page the same from both."""
        found: list[bytes] = []
        next_ns: int | None = from_ns
        while next_ns is not None:
            span = Span(limit, next_ns)
            page = await self.same(lambda store: question(store, span))  # noqa: B023 - asked at once
            found += page.rows
            assert page.next_ns is None or page.next_ns > next_ns
            next_ns = page.next_ns
        return found


def short(told: Any) -> Any:
    """An answer with its numbers in their shortest form: InfluxDB stores values, which have no trailing zeros."""
    if isinstance(told, bytes):
        return _NUMBER.sub(lambda found: shortest(found[0].decode()).encode(), told)
    if isinstance(told, Page):
        return [short(row) for row in told.rows], told.next_ns
    if isinstance(told, (list, tuple)):
        return [short(one) for one in told]
    return told


def shortest(text: str) -> str:
    """`1.50` is 1.5, `67523.0` is 67523, `1e-7` is 0.0000001."""
    if re.fullmatch(r"-?\d+", text):
        return text
    plain = format(Decimal(number(text)), "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def fields(row: bytes) -> dict[str, Any]:
    return msgspec.json.decode(row, type=dict[str, Any])
