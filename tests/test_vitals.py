"""Who is late, purely."""

import pytest

from bridge.vitals import S, Stuck, Vitals, told


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> int:
        return int(self.s * S)


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def vitals(hand: Hand) -> Vitals:
    return Vitals(hand, grace_s=10)


def test_a_promise_is_broken_after_its_time_and_the_grace(hand: Hand, vitals: Vitals) -> None:
    vitals.promise("line", 5)
    hand.s += 14.9
    assert vitals.stuck() == []
    hand.s += 1.1
    assert vitals.stuck() == [Stuck("line", pytest.approx(1.0))]
    vitals.promise("line", 5)
    assert vitals.stuck() == []


def test_a_long_wait_that_was_announced_is_no_standstill(hand: Hand, vitals: Vitals) -> None:
    vitals.promise("line", 3600)
    hand.s += 3600
    assert vitals.stuck() == []


def test_who_rests_has_not_to_move(hand: Hand, vitals: Vitals) -> None:
    vitals.promise("requests", 1)
    vitals.rest("requests")
    vitals.rest("never promised")
    hand.s += 1000
    assert vitals.stuck() == []


def test_the_longest_is_named_first_and_the_rest_counted(hand: Hand, vitals: Vitals) -> None:
    for k in range(7):
        vitals.promise(f"line {k}", 10 - k)
    hand.s += 60
    line = told(vitals.stuck())
    assert line.startswith("stuck: line 6 (overdue by 46 s), line 5")
    assert line.endswith("and 2 more")
    assert told([]) == ""


def test_a_process_that_stood_still_is_excused_once(hand: Hand, vitals: Vitals) -> None:
    vitals.promise("tend", 1)
    hand.s += 500
    vitals.excuse(495)
    assert vitals.stuck() == []
    hand.s += 7
    assert [one.who for one in vitals.stuck()] == ["tend"]
    vitals.promise("tend", 1)
    hand.s += 12
    assert [one.who for one in vitals.stuck()] == ["tend"], "later promises get no more time than any"
