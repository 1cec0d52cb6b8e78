"""What was told of a topic, as stretches of time."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridge import coverage
from bridge.coverage import Coverage

T = "candles/kucoin/BTC-USDT/1m"
edge = st.integers(0, 60)
step = st.tuples(st.sampled_from(["add", "remove"]), edge, edge)


def test_what_was_never_told_is_missing() -> None:
    assert Coverage().missing(T, 5, 9) == [(5, 9)]


def test_stretches_that_touch_are_one() -> None:
    told = Coverage()
    told.add(T, 0, 5)
    told.add(T, 5, 9)
    told.add(T, 20, 30)
    assert told.unsaved() == {T: [(0, 9), (20, 30)]}
    assert told.missing(T, 3, 40) == [(9, 20), (30, 40)]
    assert told.unsaved() == {}


def test_what_the_ledger_could_not_take_is_handed_out_again() -> None:
    told = Coverage({T: [(1, 2)]})
    told.remove(T, 0, 9)
    told.unsave(told.unsaved())
    assert told.unsaved() == {T: []}


def test_the_oldest_stretch_is_forgotten_beyond_the_bound() -> None:
    told = Coverage()
    for k in range(coverage.MAX_SPANS + 5):
        told.add(T, 10 * k, 10 * k + 1)
    assert len(told.unsaved()[T]) == coverage.MAX_SPANS
    assert told.missing(T, 0, 1) == [(0, 1)]
    assert told.missing(T, 50, 51) == []


@given(st.lists(step, max_size=30), edge, edge)
def test_it_says_what_a_set_of_single_points_says(steps: list[tuple[str, int, int]], since: int, until: int) -> None:
    told, points = Coverage(), set[int]()
    for what, first, last in steps:
        getattr(told, what)(T, first, last)
        span = set(range(first, last))
        points = points | span if what == "add" else points - span
    missing = told.missing(T, since, until)
    assert {at for first, last in missing for at in range(first, last)} == set(range(since, until)) - points
    assert all(one[1] < other[0] for one, other in pairwise(missing))


def test_what_waits_is_left_out_of_what_is_handed_out_and_stays_known_here() -> None:
    coverage = Coverage({"t": [(0, 100)]})
    assert coverage.without("t", [(50, 60), (60, 70), (90, 200)]) == [(0, 50), (70, 90)]
    assert coverage.without("other", [(0, 5)]) == []
    assert coverage.missing("t", 0, 100) == []
    coverage.unsave(["t", "never told"])
    assert coverage.unsaved() == {"t": [(0, 100)], "never told": []}
