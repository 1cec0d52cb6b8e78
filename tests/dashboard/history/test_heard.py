from hypothesis import given
from hypothesis import strategies as st

from dashboard.history import heard as module
from dashboard.history.heard import Heard, Ranges

numbers = st.lists(st.integers(0, 40))


@given(numbers)
def test_ranges_hold_exactly_what_was_added_and_say_what_is_new(added: list[int]) -> None:
    ranges, seen = Ranges(), set()
    for number in added:
        assert ranges.add(number) == (number not in seen)
        seen.add(number)
    assert _members(ranges) == seen
    assert _apart(ranges)


@given(numbers, numbers)
def test_an_update_is_the_union(one: list[int], other: list[int]) -> None:
    first, second = Ranges(), Ranges()
    for number in one:
        first.add(number)
    for number in other:
        second.add(number)
    first.update(second)
    assert _members(first) == {*one, *other}
    assert _apart(first)


def test_a_late_number_fills_its_hole_and_joins_its_neighbours() -> None:
    heard = Heard()
    for number in (1, 2, 4):
        assert heard.add(7, "run", number)
    assert heard.intervals(7, "run") == [(1, 2), (4, 4)]
    assert heard.add(7, "run", 3)
    assert heard.intervals(7, "run") == [(1, 4)]
    assert not heard.add(7, "run", 3)


def test_runs_and_series_are_kept_apart_and_survive_encoding() -> None:
    heard = Heard()
    heard.add(1, "100", 5)
    heard.add(2, "100", 6)
    heard.add(1, "fill-a", 5)
    again = Heard.decode(heard.encode())
    assert again.intervals(1, "100") == [(5, 5)]
    assert again.intervals(2, "100") == [(6, 6)]
    assert not again.add(1, "fill-a", 5)
    assert again.add(2, "fill-a", 5)


def test_the_oldest_runs_are_forgotten_and_the_number_of_holes_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_HOLES", 3)
    heard = Heard()
    for run in range(module.RUNS_REMEMBERED + 1):
        heard.add(1, str(run), 1)
    assert heard.add(1, "0", 1)
    assert not heard.add(1, str(module.RUNS_REMEMBERED), 1)
    for number in range(0, 20, 2):
        heard.add(2, "run", number)
    assert heard.intervals(2, "run") == [(14, 14), (16, 16), (18, 18)]


def _members(ranges: Ranges) -> set[int]:
    return {n for first, last in zip(ranges.firsts, ranges.lasts, strict=True) for n in range(first, last + 1)}


def _apart(ranges: Ranges) -> bool:
    return all(last + 1 < first for last, first in zip(ranges.lasts, ranges.firsts[1:], strict=False))
