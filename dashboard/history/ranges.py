"""Sets of numbers as rising ranges, both ends included. Pure."""

from collections.abc import Collection, Iterable

Pair = tuple[int, int]


def paired(numbers: Collection[int]) -> list[Pair]:
    """Numbers in any order as ranges."""
    different = set(numbers)
    if not different:
        return []
    least, greatest = min(different), max(different)
    if greatest - least + 1 == len(different):
        return [(least, greatest)]
    return joined((number, number) for number in different)


def joined(pairs: Iterable[Pair]) -> list[Pair]:
    """Ranges in any order, that may touch and overlap, as ranges that are apart."""
    found: list[Pair] = []
    for first, last in sorted(pairs):
        if found and first <= found[-1][1] + 1:
            if last > found[-1][1]:
                found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def cut(pairs: Iterable[Pair], least: int, greatest: int) -> list[Pair]:
    """What lies between two numbers, both included."""
    inside = ((max(first, least), min(last, greatest)) for first, last in pairs)
    return [(first, last) for first, last in inside if first <= last]


def size(pairs: Iterable[Pair]) -> int:
    """How many numbers they hold."""
    return sum(last - first + 1 for first, last in pairs)
