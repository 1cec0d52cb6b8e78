from bridge.events import Trade
from bridge.told import REMEMBERED, Sequence, ToldTrades, trade_key

S = 1_000_000_000


def trade(trade_id: str, time_ns: int = 5 * S, number: int = 7) -> Trade:
    return Trade("A-B", 0, trade_id, "buy", "1", "1", time_ns, number)


def test_the_key_is_the_exchanges_millisecond_and_the_shared_number() -> None:
    assert trade_key(trade("1", 1619136144377527161, 1612795985463)) == 1619136144377_985463


def test_the_same_trade_again_is_a_repeat() -> None:
    told = ToldTrades()
    assert told.place(trade("1")) is not None
    assert told.place(trade("1")) is None


def test_two_ids_on_one_key_stand_side_by_side_and_are_counted() -> None:
    told = ToldTrades()
    assert told.place(trade("2")) == told.place(trade("1")) - 1
    assert told.collisions == 1
    assert told.place(trade("1")) is None


def test_the_memory_is_bounded() -> None:
    told = ToldTrades()
    for k in range(3 * REMEMBERED):
        told.place(trade(str(k), number=k))
    assert told.place(trade("0", number=0)) is not None


def test_a_number_left_out_is_a_hole_after_some_patience() -> None:
    sequence = Sequence()
    sequence.seen(1, 10, 0)
    sequence.seen(5, 20, 0)
    assert sequence.holes(S) == []
    assert sequence.holes(2 * S) == [(3, 10, 20, 2)]
    assert sequence.holes(9 * S) == []


def test_a_number_that_comes_late_is_no_hole() -> None:
    sequence = Sequence()
    for number in (1, 3, 2):
        sequence.seen(number, number, 0)
    assert sequence.holes(9 * S) == []


def test_a_new_line_begins_anew() -> None:
    sequence = Sequence()
    sequence.seen(1, 1, 0)
    sequence.restart()
    sequence.seen(100, 2, 0)
    assert sequence.holes(9 * S) == []
