import json
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from dashboard.history.bars import Bars, merge_bars
from dashboard.history.candles import gathered, told_first
from tests.dashboard.payloads import MINUTE, NOON, SECOND, candle

ticks = st.lists(st.tuples(st.integers(0, 59), st.integers(1, 99)), min_size=1, unique_by=lambda one: one[0])


@given(ticks, st.integers(0, 30))
def test_parts_of_a_minute_merge_to_the_whole_in_any_order(told: list[tuple[int, int]], cut: int) -> None:
    whole, halves = _bar(sorted(told)), [part for part in (told[:cut], told[cut:]) if part]
    for parts in permutations([*map(_bar, map(sorted, halves)), _bar(sorted(halves[0]))]):
        merged = parts[0]
        for part in parts[1:]:
            merged = merge_bars(merged, part)
        assert json.loads(merged) == json.loads(whole)


def test_the_tick_of_a_new_minute_completes_the_bar_before_with_its_digits() -> None:
    bars = Bars()
    for second, price in ((0, b"1.50"), (1, b"1.70"), (2, b"1.10"), (3, b"1.20")):
        assert bars.add(1, NOON + second * SECOND, price) is None
    minute_ns, payload = bars.add(1, NOON + MINUTE, b"9") or (0, b"")
    assert minute_ns == NOON
    assert b'"open":1.50,"high":1.70,"low":1.10,"close":1.20,"built":true' in payload
    assert bars.of(1)


def test_bars_of_silent_symbols_close_when_another_one_shows_that_time_has_passed() -> None:
    bars = Bars()
    bars.add(1, NOON, b"1")
    bars.add(2, NOON + MINUTE, b"2")
    assert [(series, minute) for series, minute, _ in bars.close()] == [(1, NOON)]
    assert bars.close() == []
    assert bars.of(1) == []


def test_a_late_tick_of_an_earlier_minute_is_a_part_of_that_minute() -> None:
    bars = Bars()
    bars.add(1, NOON + MINUTE, b"2")
    assert bars.add(1, NOON + SECOND, b"7.0") is None
    assert [minute_ns for minute_ns, _ in bars.of(1)] == [NOON, NOON + MINUTE]
    ((_, minute_ns, payload),) = bars.close()
    assert minute_ns == NOON
    assert b'"close":7.0' in payload
    assert [minute_ns for minute_ns, _ in bars.of(1)] == [NOON + MINUTE]


def test_after_a_clock_went_back_there_is_one_bar_a_minute() -> None:
    bars = Bars()
    bars.add(1, NOON + 60 * MINUTE, b"9")
    done = [bars.add(1, NOON + n * SECOND // 10, b"%d" % n) for n in range(1000)]
    assert [bar[0] for bar in done if bar] == [NOON]
    assert [minute_ns for _, minute_ns, _ in bars.close()] == [NOON + MINUTE]


def test_candles_of_longer_intervals_keep_digits_and_sum_volumes_exactly() -> None:
    minutes = [
        (NOON, candle(NOON, ("1.10", "1.20", "1.00", "1.15"), 1, "0.1")),
        (NOON + MINUTE, candle(NOON + MINUTE, ("1.15", "1.90", "1.10", "1.80"), 2, "0.2")),
        (NOON + 5 * MINUTE, candle(NOON + 5 * MINUTE, ("3", "3", "3", "3.00"), 3, "7")),
    ]
    (first_ns, first), (second_ns, _) = gathered(minutes, 5 * MINUTE)
    assert (first_ns, second_ns) == (NOON, NOON + 5 * MINUTE)
    assert first == b'{"open":1.10,"high":1.90,"low":1.00,"close":1.80,"volume":0.3,"time_ns":%d}' % NOON


def test_the_exchange_s_candle_wins_over_the_bar_and_a_bar_says_that_it_was_built() -> None:
    bar = _bar([(1, 5)])
    told = candle(NOON, ("1", "2", "1", "2"), 1)
    later = (NOON + MINUTE, bar.replace(b"%d" % NOON, b"%d" % (NOON + MINUTE)))
    rows = gathered(told_first([(NOON, told)], [(NOON, bar), later]), MINUTE)
    assert rows[0] == (NOON, told)
    assert json.loads(rows[1][1]) == {
        "open": 5,
        "high": 5,
        "low": 5,
        "close": 5,
        "time_ns": NOON + MINUTE,
        "built": True,
    }


def _bar(told: list[tuple[int, int]]) -> bytes:
    bars = Bars()
    for second, price in told:
        bars.add(1, NOON + second * SECOND, b"%d" % price)
    ((_, payload),) = bars.of(1)
    return payload
