"""Which numbered messages are lost, as ranges of `n` per topic and run (or of `fill_n` per topic and job). Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

Mark = int | str
"""A run, or a fill's id: then the numbers are `fill_n`."""
Span = tuple[int, int]
MAX_SPANS = 10_000
"""Ranges kept of one gap; beyond, a new one is stretched to its nearest neighbour: rather too much told lost than too
little, since rows that exist after all are found again."""


class Lost(Struct, frozen=True):
    """Messages of one topic, from and to both included."""

    topic: str
    mark: Mark
    from_n: int
    to_n: int

    def told(self) -> dict[str, Any]:
        """As it stands in a gap's payload."""
        if isinstance(self.mark, int):
            return {"topic": self.topic, "run": self.mark, "from_n": self.from_n, "to_n": self.to_n}
        return {"topic": self.topic, "fill": self.mark, "from_fill_n": self.from_n, "to_fill_n": self.to_n}


def from_told(told: Mapping[str, Any]) -> Lost:
    """The reverse of `told`. Raises KeyError for what is none."""
    if "run" in told:
        return Lost(told["topic"], told["run"], told["from_n"], told["to_n"])
    return Lost(told["topic"], told["fill"], told["from_fill_n"], told["to_fill_n"])


class LostRanges:
    """A set of lost messages. `count` is how many, `len()` how many ranges. `unlisted`: counted beyond the bound."""

    def __init__(self, lost: Iterable[Lost] = ()) -> None:
        self.count = self.unlisted = 0
        self._spans: dict[tuple[str, Mark], list[Span]] = {}
        self._len = 0
        for one in lost:
            self.add(one)

    def __len__(self) -> int:
        return self._len

    def __iter__(self) -> Iterator[Lost]:
        for (topic, mark), spans in self._spans.items():
            for first, last in spans:
                yield Lost(topic, mark, first, last)

    def add(self, lost: Lost) -> int:
        """Enter a range. Returns how many of its messages were not in here."""
        key = (lost.topic, lost.mark)
        spans = self._spans.get(key, [])
        if not spans and self._len >= MAX_SPANS:
            self.unlisted += lost.to_n - lost.from_n + 1
            return lost.to_n - lost.from_n + 1
        joined = _joined([*spans, (lost.from_n, lost.to_n)])
        if self._len + len(joined) - len(spans) > MAX_SPANS:
            joined = _nearest_joined(joined)
        return self._put(key, spans, joined)

    def remove(self, lost: Lost) -> int:
        """Take a range out. Returns how many of its messages were in here."""
        key = (lost.topic, lost.mark)
        spans = self._spans.get(key, [])
        return -self._put(key, spans, _without(spans, lost.from_n, lost.to_n))

    def missing(self, lost: Lost) -> list[Lost]:
        """Those of these messages that are not in here."""
        rest = [(lost.from_n, lost.to_n)]
        for first, last in self._spans.get((lost.topic, lost.mark), ()):
            rest = _without(rest, first, last)
        return [Lost(lost.topic, lost.mark, first, last) for first, last in rest]

    def _put(self, key: tuple[str, Mark], before: list[Span], after: list[Span]) -> int:
        """Replace the spans of one topic and run. Returns by how many messages they grew."""
        if after:
            self._spans[key] = after
        else:
            self._spans.pop(key, None)
        grown = _size(after) - _size(before)
        self.count += grown
        self._len += len(after) - len(before)
        return grown


def _size(spans: Iterable[Span]) -> int:
    return sum(last - first + 1 for first, last in spans)


def _joined(spans: list[Span]) -> list[Span]:
    """Sorted, and apart by at least one."""
    joined: list[Span] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


def _nearest_joined(spans: list[Span]) -> list[Span]:
    """One less: the two that lie nearest become one."""
    at = min(range(1, len(spans)), key=lambda place: spans[place][0] - spans[place - 1][1])
    return [*spans[: at - 1], (spans[at - 1][0], spans[at][1]), *spans[at + 1 :]]


def _without(spans: Iterable[Span], from_n: int, to_n: int) -> list[Span]:
    rest = []
    for first, last in spans:
        if first < from_n:
            rest.append((first, min(last, from_n - 1)))
        if last > to_n:
            rest.append((max(first, to_n + 1), last))
    return rest
