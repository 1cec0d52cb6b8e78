"""What was stored already, by series, run and number: a repeat is known, and a late one fills its hole. Pure."""

from bisect import bisect_left
from itertools import islice

import msgspec

RUNS_REMEMBERED = 16
"""Runs and fills of one series. What is forgotten can only be stored twice under one key, which is one row."""
MOST_HOLES = 5000


class Ranges:
    """A set of integers as intervals: `firsts[i]` to `lasts[i]`, both included, apart and ascending."""

    __slots__ = ("firsts", "lasts")

    def __init__(self, firsts: list[int] | None = None, lasts: list[int] | None = None) -> None:
        self.firsts = firsts if firsts is not None else []
        self.lasts = lasts if lasts is not None else []

    def add(self, number: int) -> bool:
        """Add a number; False if it was there."""
        lasts = self.lasts
        if lasts and number == lasts[-1] + 1:
            lasts[-1] = number
            return True
        at = bisect_left(lasts, number)
        if at < len(lasts) and self.firsts[at] <= number:
            return False
        self._insert(at, number)
        return True

    def _insert(self, at: int, number: int) -> None:
        firsts, lasts = self.firsts, self.lasts
        after = at < len(lasts) and firsts[at] == number + 1
        before = at > 0 and lasts[at - 1] == number - 1
        if after and before:
            lasts[at - 1] = lasts.pop(at)
            del firsts[at]
        elif after:
            firsts[at] = number
        elif before:
            lasts[at - 1] = number
        else:
            firsts.insert(at, number)
            lasts.insert(at, number)
            if len(lasts) > MOST_HOLES:
                del firsts[0], lasts[0]

    def update(self, other: "Ranges") -> None:
        """Add every number of another set."""
        for first, last in zip(other.firsts, other.lasts, strict=True):
            self._add_range(first, last)

    def _add_range(self, first: int, last: int) -> None:
        low = bisect_left(self.lasts, first - 1)
        high = low
        while high < len(self.firsts) and self.firsts[high] <= last + 1:
            high += 1
        if low < high:
            first, last = min(first, self.firsts[low]), max(last, self.lasts[high - 1])
        self.firsts[low:high] = [first]
        self.lasts[low:high] = [last]
        excess = max(0, len(self.lasts) - MOST_HOLES)
        del self.firsts[:excess], self.lasts[:excess]


Packed = dict[int, dict[str, tuple[list[int], list[int]]]]
_decode = msgspec.json.Decoder(Packed).decode


class Heard:
    """The numbers that were heard of the series of one kind."""

    def __init__(self) -> None:
        self._runs: dict[int, dict[str, Ranges]] = {}

    def add(self, series: int, run: str, number: int) -> bool:
        """Note a publication; False if it was heard before."""
        return self._ranges(series, run).add(number)

    def _ranges(self, series: int, run: str) -> Ranges:
        runs = self._runs.get(series)
        if runs is None:
            runs = self._runs[series] = {}
        ranges = runs.get(run)
        if ranges is None:
            ranges = runs[run] = Ranges()
            for old in list(islice(runs, max(0, len(runs) - RUNS_REMEMBERED))):
                del runs[old]
        return ranges

    def update(self, other: "Heard") -> None:
        """Add what another has heard later."""
        for series, runs in other._runs.items():
            for run, ranges in runs.items():
                self._ranges(series, run).update(ranges)

    def intervals(self, series: int, run: str) -> list[tuple[int, int]]:
        """What was heard of one run: intervals, both ends included."""
        ranges = self._runs.get(series, {}).get(run, Ranges())
        return list(zip(ranges.firsts, ranges.lasts, strict=True))

    def encode(self) -> bytes:
        return msgspec.json.encode(
            {
                series: {run: (ranges.firsts, ranges.lasts) for run, ranges in runs.items()}
                for series, runs in self._runs.items()
            }
        )

    @classmethod
    def decode(cls, text: bytes) -> "Heard":
        heard = cls()
        for series, runs in _decode(text).items():
            heard._runs[series] = {run: Ranges(firsts, lasts) for run, (firsts, lasts) in runs.items()}
        return heard
