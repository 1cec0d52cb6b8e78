"""Which stretches of time of each candle topic were told, live or by REST: what lies between is missing. Pure.

Candles say nothing of what lies between two of them (a minute without trades has none), so told is a stretch of time,
not a count: a living line tells all of its time, and so does an answer of REST to what it was asked for.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping

Span = tuple[int, int]
"""From and to in ns, the second one excluded."""
MAX_SPANS = 1000
"""Stretches kept of a topic; beyond, the oldest is forgotten: rather something told twice (it has the same keys) than
something never told."""


class Coverage:
    """Stretches by topic, apart and in order. `known` are the ledger's."""

    def __init__(self, known: Mapping[str, Iterable[Span]] | None = None) -> None:
        self._spans = {topic: [(first, last) for first, last in spans] for topic, spans in (known or {}).items()}
        self._unsaved: set[str] = set()

    def add(self, topic: str, from_ns: int, to_ns: int) -> None:
        """This stretch was told."""
        if from_ns >= to_ns:
            return
        spans = self._spans.setdefault(topic, [])
        first = bisect_left(spans, from_ns, key=lambda span: span[1])
        last = bisect_right(spans, to_ns, key=lambda span: span[0])
        joined = spans[first:last]
        if joined:
            from_ns, to_ns = min(from_ns, joined[0][0]), max(to_ns, joined[-1][1])
        spans[first:last] = [(from_ns, to_ns)]
        del spans[: max(0, len(spans) - MAX_SPANS)]
        self._unsaved.add(topic)

    def remove(self, topic: str, from_ns: int, to_ns: int) -> None:
        """What was told of this stretch is lost."""
        spans = self._spans.get(topic, [])
        kept = _cut(spans, from_ns, to_ns)
        if kept != spans:
            self._spans[topic] = kept
            self._unsaved.add(topic)

    def missing(self, topic: str, from_ns: int, to_ns: int) -> list[Span]:
        """What of this stretch was not told."""
        found = []
        for first, last in self._spans.get(topic, ()):
            if last <= from_ns:
                continue
            if first >= to_ns:
                break
            if first > from_ns:
                found.append((from_ns, first))
            from_ns = last
        return [*found, (from_ns, to_ns)] if from_ns < to_ns else found

    def topics(self) -> list[str]:
        """Every topic of which something was told."""
        return list(self._spans)

    # --- for the ledger -----------------------------------------------------------------------------
    def unsaved(self) -> dict[str, list[Span]]:
        """What changed since the last call."""
        changed, self._unsaved = self._unsaved, set()
        return {topic: list(self._spans.get(topic, ())) for topic in changed}

    def without(self, topic: str, spans: Iterable[Span]) -> list[Span]:
        """What was told of a topic but for these stretches; what is kept here stays as it is."""
        kept = self._spans.get(topic, [])
        for first, last in _joined(spans):
            kept = _cut(kept, first, last)
        return list(kept)

    def unsave(self, topics: Iterable[str]) -> None:
        """The ledger could not take these: they are handed out again."""
        self._unsaved.update(topics)


def _cut(spans: Iterable[Span], from_ns: int, to_ns: int) -> list[Span]:
    """These stretches without what lies between two times."""
    spans = list(spans)
    kept = [(first, min(last, from_ns)) for first, last in spans if first < from_ns]
    return kept + [(max(first, to_ns), last) for first, last in spans if last > to_ns]


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Sorted, and those that touch made one."""
    joined: list[Span] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined
