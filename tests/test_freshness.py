import pytest

from bridge.freshness import Budget, LineLife, SymbolLife

S = 1_000_000_000


def line(now: int = 0) -> LineLife:
    return LineLife(proof_s=20, silence_s=30, pong_s=8, now_ns=now)


def test_a_line_without_proof_of_life_is_lost_after_20_s() -> None:
    life = line()
    assert life.lost(20 * S) is None
    assert "no proof" in (life.lost(20 * S + 1) or "")


def test_an_unanswered_ping_loses_the_line_after_8_s() -> None:
    life = line()
    life.pinged(10 * S)
    assert life.lost(18 * S) is None
    assert "ping" in (life.lost(18 * S + 1) or "")


def test_an_answer_proves_the_line_but_is_no_data() -> None:
    life = line()
    for second in (10, 20, 30):
        life.pinged(second * S)
        life.answered(second * S + 1)
    assert life.lost(30 * S) is None
    assert "silent" in (life.lost(31 * S) or "")


def test_a_slow_feed_may_be_silent_ten_times_its_longest_pause() -> None:
    life = line()
    for second in (1, 11):
        life.data(second * S)
    life.answered(100 * S)
    assert life.lost(100 * S) is None
    life.answered(112 * S)
    assert life.lost(112 * S) is not None


def test_a_line_is_quiet_beyond_its_own_rhythm() -> None:
    life = line()
    life.data(S)
    assert not life.is_quiet(2 * S)
    assert life.is_quiet(17 * S)


def test_a_symbol_is_suspect_after_a_minute_or_four_times_its_longest_silence() -> None:
    life = SymbolLife(0)
    life.heard(0)
    assert not life.is_suspect(60 * S)
    life.heard(60 * S)
    assert not life.is_suspect(290 * S)
    assert life.is_suspect(301 * S)


def test_a_symbol_unheard_on_a_new_line_is_looked_at_soon() -> None:
    life = SymbolLife(0)
    life.heard(0)
    life.line_up(100 * S)
    assert not life.is_suspect(110 * S)
    assert life.is_suspect(111 * S)


def test_a_look_without_an_answer_makes_it_stale() -> None:
    life = SymbolLife(0)
    life.looked(100 * S)
    assert not life.unanswered(115 * S)
    assert life.unanswered(116 * S)
    life.vindicated(117 * S)
    assert not life.unanswered(200 * S)


def test_a_suspicion_that_no_look_could_clear_makes_it_stale() -> None:
    life = SymbolLife(0)
    life.heard(0)
    assert life.is_suspect(100 * S)
    assert not life.unanswered(400 * S)
    assert life.unanswered(401 * S)


@pytest.mark.parametrize("pause_s", [1, 4, 6, 30, 59])
def test_speaking_clears_every_suspicion(pause_s: int) -> None:
    life = SymbolLife(0)
    life.heard(0)
    assert life.is_suspect(1000 * S)
    life.heard(1000 * S)
    life.heard((1000 + pause_s) * S)
    assert not life.unanswered(5000 * S)


def test_looks_keep_their_budget_a_minute() -> None:
    budget = Budget(2)
    assert [budget.spend(61 * S) for _ in range(3)] == [True, True, False]
    assert budget.spend(121 * S)
