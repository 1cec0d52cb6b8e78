"""The warning that the log is too small for the pace."""

from bridge.cramped import Cramped

MIB = 2**20


def test_a_log_that_is_too_small_for_the_pace_is_told_once_with_the_size_that_it_needs() -> None:
    cramped = Cramped(60.0, 64 * MIB)
    told = cramped.look(40.0)
    assert told is not None
    assert "last 40 s" in told
    assert "some 96 MiB" in told
    assert f"TICKBRIDGE_OUTBOX__BYTES={96 * MIB}" in told
    assert cramped.look(30.0) is None


def test_it_is_told_again_only_after_the_log_reached_back_far_enough() -> None:
    cramped = Cramped(60.0, 64 * MIB)
    assert cramped.look(None) is None
    assert cramped.look(59.0) is not None
    assert cramped.look(61.0) is None
    assert cramped.look(59.0) is None
    assert cramped.look(75.0) is None
    assert cramped.look(59.0) is not None
