from msgspec.structs import replace

from bridge.candles import GRACE_NS, Candles, Closed
from bridge.events import Candle

M = 60_000_000_000


def candle(minute: int, close: str = "1", *, closed: bool | None = None) -> Candle:
    return Candle("A-B", 0, "1m", minute * M, "1", "2", "0.5", close, "3", None, closed)


def test_a_later_candle_closes_the_one_before() -> None:
    candles = Candles()
    assert candles.receive(candle(10), 0) == []
    assert candles.receive(candle(10, "2"), 0) == []
    assert candles.receive(candle(11), 0) == [Closed(candle(10, "2"))]
    assert candles.forming("A-B", "1m") == candle(11)


def test_the_exchanges_own_flag_closes_at_once() -> None:
    candles = Candles()
    done = candle(10, closed=True)
    assert candles.receive(done, 0) == [Closed(done)]
    assert candles.forming("A-B", "1m") is None


def test_the_clock_closes_what_nobody_closes() -> None:
    candles = Candles()
    candles.receive(candle(10), 0)
    assert candles.due(["A-B"], 11 * M + GRACE_NS - 1, 99 * M) == []
    assert candles.due(["A-B"], 11 * M + GRACE_NS, 99 * M) == [Closed(candle(10))]
    assert candles.due(["A-B"], 20 * M, 99 * M) == []


def test_the_clock_leaves_exchanges_alone_that_say_so_themselves() -> None:
    candles = Candles()
    candles.receive(candle(10, closed=False), 0)
    assert candles.due(["A-B"], 20 * M, 99 * M) == []


def test_the_same_candle_again_is_a_repeat() -> None:
    candles = Candles()
    candles.receive(candle(10, closed=True), 0)
    assert candles.receive(replace(candle(10, closed=True), received_ns=9), 0) == []
    assert candles.repeats == 1


def test_a_changed_candle_goes_out_as_a_correction() -> None:
    candles = Candles()
    candles.receive(candle(10), 0)
    candles.due(["A-B"], 12 * M, 99 * M)
    assert candles.receive(candle(10, "2"), 0) == [Closed(candle(10, "2"), "correction")]


def test_what_ended_before_the_line_is_its_snapshot() -> None:
    candles = Candles()
    candles.receive(candle(10), 12 * M)
    assert candles.receive(candle(12), 12 * M) == [Closed(candle(10), "snapshot")]


def test_a_candle_that_forms_while_its_line_is_lost_is_never_told() -> None:
    candles = Candles()
    candles.receive(candle(10), 0)
    assert candles.lost(frozenset({"A-B"})) == 10 * M
    assert candles.due(["A-B"], 20 * M, 99 * M) == []
    assert candles.receive(candle(12), 11 * M) == []


def test_the_clock_closes_nothing_that_ends_after_the_lines_last_proof() -> None:
    candles = Candles()
    candles.receive(candle(10), 0)
    assert candles.due(["A-B"], 20 * M, 11 * M - 1) == []
    assert candles.due(["C-D"], 20 * M, 99 * M) == []
    assert candles.due(["A-B"], 20 * M, 11 * M) == [Closed(candle(10))]
