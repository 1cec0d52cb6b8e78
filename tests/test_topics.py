import json

import pytest

from bridge import topics
from bridge.events import Candle, Instrument, Stats, Tick, Trade
from bridge.topics import Gap, Topics, Trouble

FULL = Tick("BTC-USDT", 5, "85439.99", "0.002", 4, "85439.90", "0.8915", "85440.1", "10.5900853", 23242050174)


def test_a_tick_keeps_its_digits_and_ends_with_its_mark() -> None:
    payload = topics.numbered(topics.tick_body(FULL, 7), 1743147000123, 4711)
    assert payload == (
        b'{"price":85439.99,"size":0.002,"price_time_ns":4,"bid":85439.90,"bid_size":0.8915,"ask":85440.1,'
        b'"ask_size":10.5900853,"seq":23242050174,"time_ns":7,"run":1743147000123,"n":4711}'
    )


def test_what_the_exchange_did_not_tell_is_absent() -> None:
    told = json.loads(topics.plain(topics.tick_body(Tick("A-B", 1, bid="1", bid_size="2", exchange_time_ns=9), 3)))
    assert told == {"bid": 1, "bid_size": 2, "exchange_time_ns": 9, "time_ns": 3}


def test_latest_tells_its_age_and_that_it_is_fresh() -> None:
    told = json.loads(topics.latest(topics.tick_body(FULL, 1_000_000), 1_000_000, 121_000_000, stale=None))
    assert (told["stale"], told["age_ms"], "run" in told) == (False, 120, False)


def test_latest_tells_why_it_is_stale() -> None:
    told = json.loads(topics.latest(topics.tick_body(FULL, 7), 7, 7, stale='kucoin: "reconnecting"'))
    assert (told["stale"], told["reason"]) == (True, 'kucoin: "reconnecting"')


def test_without_a_synchronised_clock_a_state_has_no_time_of_ours() -> None:
    told = json.loads(topics.latest(topics.tick_body(FULL, 7), 7, 7, stale=None, synced=False))
    assert "time_ns" not in told
    assert told["clock"] == "unsynced"


def test_a_fill_carries_its_job_instead_of_a_number() -> None:
    body = topics.candle_body(Candle("A-B", 9, "1m", 60, "1", "3", "0.5", "2", "10"))
    assert json.loads(topics.filled(body, "job-1", 2, "rest")) == {
        "open": 1, "high": 3, "low": 0.5, "close": 2, "volume": 10, "time_ns": 60, "received_ns": 9,
        "fill": "job-1", "fill_n": 2, "source": "rest",
    }  # fmt: skip


def test_a_trade_tells_three_times_apart() -> None:
    trade = Trade("A-B", 30, 'x"1', "buy", "1", "2", 20, 5)
    told = json.loads(topics.numbered(topics.trade_body(trade, 25), 1, 1))
    assert (told["time_ns"], told["exchange_time_ns"], told["received_ns"], told["id"]) == (25, 20, 30, 'x"1')


def test_a_side_that_is_neither_is_refused() -> None:
    with pytest.raises(ValueError, match="neither buy nor sell"):
        topics.trade_body(Trade("A-B", 1, "1", "long", "1", "1", 1, 1), 1)


def test_stats_leave_out_what_was_not_told() -> None:
    assert json.loads(topics.stats(Stats("A-B", 3, last="1.50", change="-0.0030"))) == {
        "last": 1.5,
        "change": -0.003,
        "time_ns": 3,
    }


def test_a_gap_lists_at_most_fifty_symbols_and_counts_them_all() -> None:
    gap = Gap("g", "kucoin", "trades", 1, "line lost", "open", symbols=[f"S{k}-USDT" for k in range(60)])
    told = json.loads(topics.plain(topics.gap_body(gap, 9)))
    assert (len(told["symbols"]), told["symbol_count"], "to_ns" in told, "exchange" in told) == (50, 60, False, False)


def test_a_frame_is_shown_as_printable_text_of_200_bytes() -> None:
    assert topics.shown(b"\x00\xff" + b"a" * 500) == "\ufffd\ufffd" + "a" * 198


def test_trouble_is_json_without_absent_fields() -> None:
    assert json.loads(topics.plain(topics.trouble_body(Trouble("frame", "odd", frame="{"), 4))) == {
        "kind": "frame", "reason": "odd", "frame": "{", "time_ns": 4,
    }  # fmt: skip


def test_the_catalogue_keeps_the_steps_digits() -> None:
    one = Instrument("BTC-USDT", "BTC", "USDT", "BTCUSDT", "0.00000100", None)
    assert b'"price_step":0.00000100,"status":"trading"' in topics.catalogue([one], 5)
    assert topics.catalogue([], None) == b'{"clock":"unsynced","instruments":[]}'


@pytest.mark.parametrize(
    "symbol", ["A/B-USDT", "A+-USDT", "#-USDT", "A\x00-USDT", "A\ufffe-USDT", "", "A B-USDT", "é" * 300]
)
def test_a_symbol_that_mqtt_cannot_carry_has_a_reason(symbol: str) -> None:
    assert topics.symbol_problem(symbol)


@pytest.mark.parametrize("symbol", ["BTC-USDT", "币安人生-USDT", "1INCH-BTC", "A.B_C-D"])
def test_letters_of_any_script_are_fine(symbol: str) -> None:
    assert topics.symbol_problem(symbol) is None


def test_prefix_and_shard_stand_where_the_contract_says() -> None:
    names = Topics("home/", "2/3")
    assert names.price("kucoin", "BTC-USDT") == "home/prices/kucoin/BTC-USDT"
    assert names.health("kucoin") == "home/health/kucoin/2"
    assert names.request("ledger") == "home/tickbridge/request/ledger/2"
