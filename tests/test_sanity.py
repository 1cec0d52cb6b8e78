import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bridge.events import Candle, Tick, Trade
from bridge.sanity import candle_problem, is_sound, tick_problem, trade_problem
from bridge.topics import normal

S = 1_000_000_000
NOW = 1_800_000_000 * S
TICK = Tick("BTC-USDT", NOW, "10", "1", NOW - 558 * S, "9", "1", "11", "0", 5)
TRADE = Trade("BTC-USDT", NOW, "1", "buy", "10", "1", NOW, 1)
CANDLE = Candle("BTC-USDT", NOW, "1m", NOW - 60 * S, "2", "3", "1", "2", "0")


@pytest.mark.parametrize(
    "change",
    [
        {"price": "0"}, {"price": "-1"}, {"price": "nan"}, {"price": "1e999"}, {"price": "ten"}, {"bid": "12"},
        {"bid": "0"}, {"ask": "-1"}, {"size": "-1"}, {"bid_size": "-0.1"}, {"price_time_ns": NOW + 11 * S},
        {"exchange_time_ns": NOW + 11 * S}, {"exchange_time_ns": NOW - 25 * 3600 * S}, {"bid": None, "ask": "0"},
    ],
)  # fmt: skip
def test_a_tick_that_cannot_be_true_is_parked(change: dict[str, object]) -> None:
    tick = replace(TICK, **change)
    assert not is_sound(tick)
    assert tick_problem(tick)


@pytest.mark.parametrize(
    "change", [{}, {"price_time_ns": NOW - 9 * 24 * 3600 * S}, {"bid": "11"}, {"size": None}, {"exchange_time_ns": NOW}]
)
def test_a_true_tick_is_believed_however_old_its_price(change: dict[str, object]) -> None:
    tick = replace(TICK, **change)
    assert is_sound(tick)
    assert tick_problem(tick) is None


def test_a_one_sided_market_is_no_problem() -> None:
    assert tick_problem(replace(TICK, bid=None, bid_size=None)) is None


@given(
    st.lists(
        st.sampled_from(["0", "1", "-1", "nan", ".5", "2", "1e400", "x", "", "1,2", "9" * 25]), min_size=6, max_size=6
    )
)
def test_the_quick_look_believes_nothing_that_the_closer_look_refuses(texts: list[str]) -> None:
    price, size, bid, bid_size, ask, ask_size = texts
    tick = replace(TICK, price=price, size=size, bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size)
    if is_sound(tick):
        assert tick_problem(tick) is None
        assert normal(tick) == tick


@pytest.mark.parametrize("change", [{"price": "0"}, {"size": "0"}, {"exchange_time_ns": NOW + 11 * S}, {"size": "x"}])
def test_a_trade_that_cannot_be_true_is_parked(change: dict[str, object]) -> None:
    assert trade_problem(TRADE) is None
    assert trade_problem(replace(TRADE, **change))


@pytest.mark.parametrize("change", [{"low": "2.5"}, {"high": "1.5"}, {"low": "0"}, {"volume": "-1"}, {"open": "x"}])
def test_a_candle_out_of_order_is_parked(change: dict[str, object]) -> None:
    assert candle_problem(CANDLE) is None
    assert candle_problem(replace(CANDLE, **change))


def test_an_old_candle_is_believed_from_a_fill_only() -> None:
    old = replace(CANDLE, open_ns=NOW - 48 * 3600 * S)
    assert candle_problem(old)
    assert candle_problem(old, filled=True) is None
    assert candle_problem(replace(CANDLE, open_ns=NOW + 60 * S), filled=True)
