"""The rows of one series in memory, and which publications they are. One thread appends, any may look. Pure."""

from array import array
from collections.abc import Iterator

from dashboard.history.ranges import Pair, joined, paired
from dashboard.history.rows import Publication, Row

UNNUMBERED: Publication = ("", 0)
Dated = tuple[int, int]
"""A row's time and its number."""


class Marks:
    """When each row stands, and the run or fill it came with; in the order of arrival."""

    __slots__ = ("changes", "key", "numbers", "times")

    def __init__(self) -> None:
        self.key = ""
        self.changes: list[tuple[int, str]] = []
        """From which row on they are of which run or fill."""
        self.numbers = array("q")
        self.times = array("q")

    def mark(self, time_ns: int, publication: Publication) -> None:
        key, number = publication
        if key != self.key or not self.changes:
            self._change(key)
        self.numbers.append(number)
        self.times.append(time_ns)

    def _change(self, key: str) -> None:
        self.key = key
        self.changes.append((len(self.times), key))

    def dated(self, key: str) -> Iterator[Dated]:
        """Time and number of every row of one run or fill."""
        for of, times, numbers in self._stretches():
            if of == key:
                yield from zip(times, numbers, strict=True)

    def within(self, key: str, from_ns: int, to_ns: int) -> list[Pair]:
        """The numbers of one run or fill among the rows of a span of time."""
        found: list[Pair] = []
        for of, times, numbers in self._stretches():
            if of != key or not times:
                continue
            if from_ns <= min(times) and max(times) < to_ns:
                found += paired(numbers)
            else:
                rows = zip(times, numbers, strict=True)
                found += paired([number for time_ns, number in rows if from_ns <= time_ns < to_ns])
        return found

    def by_key(self) -> dict[str, list[Pair]]:
        """All numbers of every run and fill."""
        found: dict[str, list[Pair]] = {}
        for key, _, numbers in self._stretches():
            if key:
                found.setdefault(key, []).extend(paired(numbers))
        return {key: joined(pairs) for key, pairs in found.items()}

    def _stretches(self) -> Iterator[tuple[str, "array[int]", "array[int]"]]:
        """Neighbours of one run or fill, as copies; a row that is half there is left out."""
        whole = len(self.times)
        changes = list(self.changes)
        ends = [min(begin, whole) for begin, _ in changes[1:]] + [whole]
        for (begin, key), end in zip(changes, ends, strict=False):
            if begin < end:
                yield key, self.times[begin:end], self.numbers[begin:end]


class Column(Marks):
    """The same with the rows themselves."""

    __slots__ = ("payloads",)

    def __init__(self) -> None:
        super().__init__()
        self.payloads: list[bytes] = []

    def append(self, time_ns: int, payload: bytes, publication: Publication = UNNUMBERED) -> None:
        # as `mark`, without the call: the recorder's hottest line
        key, number = publication
        if key != self.key or not self.changes:
            self._change(key)
        self.numbers.append(number)
        self.times.append(time_ns)
        self.payloads.append(payload)

    def extend(self, other: "Column") -> None:
        before = len(self.times)
        for begin, key in other.changes:
            if key != self.key or not self.changes:
                self.key = key
                self.changes.append((before + begin, key))
        self.numbers.extend(other.numbers)
        self.times.extend(other.times)
        self.payloads.extend(other.payloads)

    def rows(self) -> list[Row]:
        """A copy. Appending takes several steps, so a row that is half there is left out."""
        whole = len(self.payloads)
        return list(zip(self.times[:whole], self.payloads[:whole], strict=False))
