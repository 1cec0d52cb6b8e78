"""Sets of numbers as rising ranges, both ends included, apart from each other. Pure."""

from collections.abc import Iterable

Pair = tuple[int, int]


def joined(pairs: Iterable[Pair]) -> list[Pair]:
    """Ranges in any order, that may touch and overlap, as a set."""
    found: list[Pair] = []
    for first, last in sorted(pairs):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def missing(there: Iterable[Pair], least: int, greatest: int) -> list[Pair]:
    """What of `least` to `greatest` is not there."""
    return without([(least, greatest)] if least <= greatest else [], there)


def without(pairs: Iterable[Pair], gone: Iterable[Pair]) -> list[Pair]:
    """The first set without the numbers of the second."""
    taken = joined(gone)
    left: list[Pair] = []
    for first, last in joined(pairs):
        start = first
        for begin, end in taken:
            if end >= start and begin <= last:
                if begin > start:
                    left.append((start, begin - 1))
                start = end + 1
        if start <= last:
            left.append((start, last))
    return left


def common(pairs: Iterable[Pair], others: Iterable[Pair]) -> list[Pair]:
    """The numbers that are in both sets."""
    mine = joined(pairs)
    return without(mine, without(mine, others))


def size(pairs: Iterable[Pair]) -> int:
    """How many numbers they hold."""
    return sum(last - first + 1 for first, last in pairs)
