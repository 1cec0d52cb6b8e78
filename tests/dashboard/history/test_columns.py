from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dashboard.history.columns import Column
from dashboard.history.ranges import cut, joined, paired, size

rows = st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["", "1", "2", ":fill"]), st.integers(1, 40)))


@given(rows, st.integers(0, 20), st.integers(0, 30), st.integers(0, 30))
def test_a_column_knows_the_numbers_of_every_run_and_span(
    told: list[tuple[int, str, int]], parted: int, from_ns: int, to_ns: int
) -> None:
    column, later = Column(), Column()
    for place, (time_ns, key, number) in enumerate(told):
        (column if place < parted else later).append(time_ns, b"", (key, number))
    column.extend(later)
    assert [row[0] for row in column.rows()] == [row[0] for row in told]
    for key in ("1", "2", ":fill"):
        assert list(column.dated(key)) == [(time_ns, number) for time_ns, of, number in told if of == key]
        expected = {number for time_ns, of, number in told if of == key and from_ns <= time_ns < to_ns}
        assert _members(joined(column.within(key, from_ns, to_ns))) == expected
        assert _members(column.by_key().get(key, [])) == {number for _, of, number in told if of == key}
    assert "" not in column.by_key()


@given(st.lists(st.integers(-5, 30)), st.integers(-5, 30), st.integers(-5, 30))
def test_ranges_are_apart_and_hold_exactly_their_numbers(numbers: list[int], least: int, greatest: int) -> None:
    pairs = paired(numbers)
    assert _members(pairs) == set(numbers)
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(pairs))
    assert size(pairs) == len(set(numbers))
    assert _members(cut(pairs, least, greatest)) == {n for n in numbers if least <= n <= greatest}


def _members(pairs: list[tuple[int, int]]) -> set[int]:
    return {number for first, last in pairs for number in range(first, last + 1)}
