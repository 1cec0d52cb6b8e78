"""Who is to blame when lines break."""

import pytest

from bridge.mqtt.suspects import Key, Suspects

MALFORMED, SHUTTING_DOWN = 0x81, 0x8B
KEY: Key = ("prices/x/A-B", 1, 7)


def test_two_breaks_without_an_acknowledgement_make_suspects() -> None:
    suspects = Suspects()
    for _ in range(2):
        assert suspects.span is None
        suspects.broke((3, 9), 0, None, born=True)
    assert suspects.span == (3, 9)
    assert suspects.states


def test_what_was_never_acknowledged_before_clears_everybody() -> None:
    suspects = Suspects()
    for furthest in (0, 3, 3):
        suspects.broke((3, 9), furthest, None, born=True)
    assert suspects.span is None


def test_what_is_only_acknowledged_again_clears_nobody() -> None:
    suspects = Suspects()
    for acknowledged in (50, 0, 30):
        suspects.broke((acknowledged, 101), 50, None, born=True)
    assert suspects.span == (30, 101)


@pytest.mark.parametrize(("born", "suspected"), [(True, False), (False, True)])
def test_an_idle_line_that_breaks_has_nobody_to_blame_once_the_states_are_answered(born: bool, suspected: bool) -> None:
    suspects = Suspects()
    for _ in range(5):
        suspects.broke((9, 9), 9, None, born=born)
    assert suspects.active is suspected


def test_one_break_that_blames_a_packet_is_enough() -> None:
    suspects = Suspects()
    suspects.broke((3, 9), 3, MALFORMED, born=True)
    assert suspects.span == (3, 9)


def test_a_broker_that_shuts_down_blames_nobody() -> None:
    suspects = Suspects()
    for _ in range(5):
        suspects.broke((3, 9), 0, SHUTTING_DOWN, born=True)
    assert suspects.span is None
    assert not suspects.broke_alone(KEY, SHUTTING_DOWN)
    assert not suspects.broke_alone(KEY, SHUTTING_DOWN)
    assert not suspects.active


def test_what_is_alone_twice_when_the_line_breaks_is_parked() -> None:
    suspects = Suspects()
    assert not suspects.broke_alone(KEY, None)
    assert suspects.broke_alone(KEY, None)
    assert not suspects.broke_alone(KEY, None)


def test_what_is_alone_and_blamed_is_parked_at_once() -> None:
    assert Suspects().broke_alone(KEY, MALFORMED)


def test_an_answered_message_begins_anew() -> None:
    suspects = Suspects()
    suspects.broke_alone(KEY, None)
    suspects.innocent(KEY)
    assert not suspects.broke_alone(KEY, None)
