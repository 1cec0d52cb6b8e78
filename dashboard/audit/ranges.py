"""Sets of numbers as rising ranges, both ends included: what is missing of one, and what two have in common. Pure."""

from collections.abc import Iterable

from dashboard.history.ranges import Pair, joined, size

__all__ = ["Pair", "common", "joined", "missing", "size", "without"]


def missing(there: Iterable[Pair], least: int, greatest: int) -> list[Pair]:
    """What of `least` to `greatest` is not there."""
    return without([(least, greatest)] if least <= greatest else [], there)


def without(pairs: Iterable[Pair], gone: Iterable[Pair]) -> list[Pair]:
    """The first set without the numbers of the second. Both are walked through once."""
    taken = joined(gone)
    left: list[Pair] = []
    at = 0
    for first, last in joined(pairs):
        start = first
        while at < len(taken) and taken[at][1] < start:
            at += 1
        place = at
        while place < len(taken) and taken[place][0] <= last:
            if taken[place][0] > start:
                left.append((start, taken[place][0] - 1))
            start = taken[place][1] + 1
            place += 1
        if start <= last:
            left.append((start, last))
    return left


def common(pairs: Iterable[Pair], others: Iterable[Pair]) -> list[Pair]:
    """The numbers that are in both sets."""
    mine = joined(pairs)
    return without(mine, without(mine, others))
