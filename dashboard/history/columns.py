"""The rows of one series in memory, and which publications they are. One thread appends, any may look. Pure."""

from array import array
from collections.abc import Iterator

from dashboard.history.ranges import Pair, paired
from dashboard.history.rows import Publication, Row

UNNUMBERED: Publication = ("", 0)
Dated = tuple[int, int]
"""A row's time and its number."""


class Marks:
    """When each row stands, and the run or fill it came with; in the order of arrival."""

    __slots__ = ("keys", "numbers", "times")

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.numbers = array("q")
        self.times = array("q")

    def mark(self, time_ns: int, publication: Publication) -> None:
        key, number = publication
        # one text for all of a run: a copy beside each row would be most of what the row costs
        self.keys.append(self.keys[-1] if self.keys and self.keys[-1] == key else key)
        self.numbers.append(number)
        self.times.append(time_ns)

    def dated(self, key: str) -> Iterator[Dated]:
        """Time and number of every row of one run or fill."""
        rows = zip(self.times, self.keys, self.numbers, strict=False)
        return ((time_ns, number) for time_ns, of, number in rows if of == key)

    def within(self, key: str, from_ns: int, to_ns: int) -> list[Pair]:
        """The numbers of one run or fill among the rows of a span of time."""
        return paired([number for time_ns, number in self.dated(key) if from_ns <= time_ns < to_ns])

    def by_key(self) -> dict[str, list[Pair]]:
        """All numbers of every run and fill."""
        found: dict[str, list[int]] = {}
        for key, number in zip(self.keys, self.numbers, strict=False):
            if key:
                found.setdefault(key, []).append(number)
        return {key: paired(numbers) for key, numbers in found.items()}


class Column(Marks):
    """The same with the rows themselves."""

    __slots__ = ("payloads",)

    def __init__(self) -> None:
        super().__init__()
        self.payloads: list[bytes] = []

    def append(self, time_ns: int, payload: bytes, publication: Publication = UNNUMBERED) -> None:
        # as `mark`, without the call: the recorder's hottest line
        key, number = publication
        keys = self.keys
        keys.append(keys[-1] if keys and keys[-1] == key else key)
        self.numbers.append(number)
        self.times.append(time_ns)
        self.payloads.append(payload)

    def extend(self, other: "Column") -> None:
        self.keys.extend(other.keys)
        self.numbers.extend(other.numbers)
        self.times.extend(other.times)
        self.payloads.extend(other.payloads)

    def rows(self) -> list[Row]:
        """A copy. Appending takes several steps, so a row that is half there is left out."""
        whole = len(self.payloads)
        return list(zip(self.times[:whole], self.payloads[:whole], strict=False))
