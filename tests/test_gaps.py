import pytest

from bridge import gap_book
from bridge.dropped import Dropped
from bridge.gap_book import Kind
from bridge.gaps import Filled, Gaps, Loss, Stopped
from bridge.lost import Lost
from bridge.topics import Gap, Topics

S = 1_000_000_000
BTC = "prices/kucoin/BTC-USDT"
RUN = 1743147000123


def opened(gaps: Gaps, channel: str = "prices", from_s: int = 10, symbols: list[str] | None = None, **more: str) -> Gap:
    cause = more.get("cause", "line lost")
    return gaps.open("kucoin", channel, from_s * S, cause, symbols, more.get("reason"), 1000 * S)


def loss(*lost: Lost, channel: str = "prices", cause: str = "lost", from_s: int = 10, to_s: int = 20) -> Loss:
    kind = Kind("kucoin", channel, cause, frozenset({"BTC-USDT"}))
    return Loss(kind, from_s * S, to_s * S, lost)


def test_a_gap_runs_until_data_flows_again() -> None:
    gaps = Gaps("7")
    gap = opened(gaps, reason="kucoin: reconnecting")
    assert (gap.id, gap.state, gap.to_ns, gap.reason) == ("7-1", "open", None, "kucoin: reconnecting")
    ended = gaps.close(gap.id, 30 * S, 31 * S)
    assert ended is not None
    assert (ended.id, ended.from_ns, ended.to_ns) == (gap.id, 10 * S, 30 * S)
    assert gap.to_ns is None, "what was handed out does not change"


def test_an_ended_gap_of_prices_is_unfillable_and_says_why() -> None:
    gaps = Gaps("7")
    ended = gaps.close(opened(gaps).id, 30 * S, 31 * S)
    assert ended is not None
    assert ended.state == "unfillable"
    assert ended.reason


@pytest.mark.parametrize("channel", ["trades", "candles"])
def test_an_ended_gap_of_trades_or_candles_stays_open(channel: str) -> None:
    gaps = Gaps("7")
    ended = gaps.close(opened(gaps, channel).id, 30 * S, 31 * S)
    assert ended is not None
    assert ended.state == "open"


def test_closing_twice_or_what_is_unknown_does_nothing() -> None:
    gaps = Gaps("7")
    gap = opened(gaps)
    gaps.close(gap.id, 30 * S, 31 * S)
    assert gaps.close(gap.id, 40 * S, 41 * S) is None
    assert gaps.close("7-99", 40 * S, 41 * S) is None


def test_what_runs_already_is_one_gap_until_all_who_opened_it_have_closed_it() -> None:
    gaps = Gaps("7")
    first = opened(gaps)
    assert opened(gaps, symbols=["BTC-USDT"], from_s=5).id == first.id
    assert gaps.close(first.id, 20 * S, 99 * S) is None
    ended = gaps.close(first.id, 30 * S, 99 * S)
    assert ended is not None
    assert (ended.from_ns, ended.to_ns, ended.symbols) == (5 * S, 30 * S, None)


@pytest.mark.parametrize(
    ("channel", "symbols", "cause"),
    [
        ("trades", ["A-B"], "line lost"),
        ("prices", ["C-D"], "line lost"),
        ("prices", None, "line lost"),
        ("prices", ["A-B"], "clock"),
    ],
)
def test_another_channel_symbol_or_cause_is_another_gap(channel: str, symbols: list[str] | None, cause: str) -> None:
    gaps = Gaps("7")
    first = opened(gaps, symbols=["A-B"])
    assert opened(gaps, channel, symbols=symbols, cause=cause).id != first.id


def test_two_outages_of_a_line_are_two_gaps_because_data_flowed_between() -> None:
    gaps = Gaps("7")
    first = opened(gaps)
    gaps.close(first.id, 20 * S, 20 * S)
    assert opened(gaps, from_s=21).id != first.id


def test_holes_of_one_symbol_in_quick_succession_are_one_gap() -> None:
    gaps = Gaps("7")
    for k in range(3):
        hole = gaps.open("kucoin", "trades", (10 + k) * S, "sequence", ["A-B"], "2 ids are missing", 99 * S, expected=2)
        gaps.close(hole.id, (11 + k) * S, 99 * S)
    (gap,) = gaps.select()
    assert (gap.from_ns, gap.to_ns, gap.expected, gap.reason) == (10 * S, 13 * S, 6, "2 ids are missing")
    assert opened(gaps, "trades", 14, ["C-D"], cause="sequence").id != gap.id
    assert opened(gaps, "trades", 74, ["A-B"], cause="sequence").id != gap.id


def test_nothing_begins_or_ends_in_the_future() -> None:
    gaps = Gaps("7")
    gap = gaps.open("kucoin", "prices", 50 * S, "clock", None, None, 40 * S)
    ended = gaps.close(gap.id, 60 * S, 45 * S)
    assert ended is not None
    assert (ended.from_ns, ended.to_ns) == (40 * S, 45 * S)


def test_dropped_messages_become_one_gap_per_exchange_channel_and_cause() -> None:
    gaps = Gaps("7")
    drops = [
        Dropped("tb/prices/kucoin/BTC-USDT", RUN, 1, 100, 10 * S, 12 * S, "outbox full"),
        Dropped("tb/prices/kucoin/ETH-USDT", RUN, 1, 50, 9 * S, 11 * S, "outbox full"),
        Dropped("tb/candles/kucoin/ETH-USDT/1m", f"{RUN}-snapshot", 3, 3, 9 * S, 11 * S, "outbox full"),
        Dropped("tb/prices/binance/ETH-USDT", RUN, 4, 4, 9 * S, 9 * S, "refused"),
        Dropped("tb/errors/bridge", RUN, 4, 4, 9 * S, 9 * S, "refused"),
    ]
    found = gaps.dropped(drops, Topics("tb"), 99 * S)
    assert [(gap.exchange, gap.channel, gap.cause, gap.state) for gap in found] == [
        ("kucoin", "prices", "outbox full", "unfillable"),
        ("kucoin", "candles", "outbox full", "open"),
        ("binance", "prices", "refused", "unfillable"),
        ("bridge", "errors", "refused", "unfillable"),
    ]
    prices, candles, _, errors = found
    assert (prices.from_ns, prices.to_ns, prices.expected) == (9 * S, 12 * S, 150)
    assert prices.symbols == ["BTC-USDT", "ETH-USDT"]
    assert prices.lost == [
        {"topic": "tb/prices/kucoin/BTC-USDT", "run": RUN, "from_n": 1, "to_n": 100},
        {"topic": "tb/prices/kucoin/ETH-USDT", "run": RUN, "from_n": 1, "to_n": 50},
    ]
    assert candles.lost is not None
    assert candles.lost[0]["fill"] == f"{RUN}-snapshot"
    assert errors.symbols is None


def test_drops_that_go_on_stay_one_gap_with_joined_ranges() -> None:
    gaps = Gaps("7")
    for k in range(5):
        drop = Dropped(BTC, RUN, 1 + 10 * k, 10 + 10 * k, k * S, (k + 1) * S, "outbox full")
        (gap,) = gaps.dropped([drop], Topics(), 99 * S)
    assert gap.lost == [{"topic": BTC, "run": RUN, "from_n": 1, "to_n": 50}]
    assert (gap.id, gap.expected, gap.to_ns) == ("7-1", 50, 5 * S)


def test_a_gap_of_dropped_candles_spans_the_time_that_they_tell_of_not_that_in_which_they_were_dropped() -> None:
    first, last = b'{"time_ns":120000000000}', b'{"time_ns":60000000000}'
    drop = Dropped("candles/kucoin/ETH-USDT/5m", "7-backfill", 3, 4, 900 * S, 901 * S, "outbox full", first, last)
    (gap,) = Gaps("7").dropped([drop], Topics(), 999 * S)
    assert (gap.from_ns, gap.to_ns) == (60 * S, 420 * S)


def test_what_one_try_could_not_bring_is_never_called_filled_by_the_next() -> None:
    gaps = Gaps("7")
    btc, eth = "trades/kucoin/BTC-USDT", "trades/kucoin/ETH-USDT"
    gap = gaps.lose(loss(Lost(btc, RUN, 1, 9), Lost(eth, RUN, 1, 2), channel="trades"), 99 * S)
    assert gap is not None
    gaps.filling(gap.id)
    gaps.settle(gap.id, Filled("open", "7-fill-1", 4, short=(btc,)))
    known = Gaps("8", gaps.unsaved())
    known.filling(gap.id)
    settled = known.settle(gap.id, Filled("filled", "8-fill-1", 2, topics=(btc, eth)))
    assert settled is not None
    assert settled.state == "partial"
    assert settled.lost is not None
    assert [one.get("filled") for one in settled.lost] == [None, "8-fill-1"]


def test_trades_lost_soon_after_a_gap_was_settled_are_a_gap_of_their_own() -> None:
    gaps = Gaps("7")
    trades = "trades/kucoin/BTC-USDT"
    gap = gaps.lose(loss(Lost(trades, RUN, 1, 9), channel="trades"), 99 * S)
    assert gap is not None
    gaps.filling(gap.id)
    gaps.settle(gap.id, Filled("partial", "7-fill-1", 4, short=(trades,)))
    other = gaps.lose(loss(Lost(trades, RUN, 20, 21), channel="trades"), 99 * S)
    assert other is not None
    assert (other.id, other.state) == ("7-2", "open")


def test_what_is_told_lost_again_opens_nothing() -> None:
    gaps = Gaps("7")
    gaps.dropped([Dropped(BTC, RUN, 1, 10, 10 * S, 20 * S, "outbox full")], Topics(), 99 * S)
    assert gaps.lose(loss(Lost(BTC, RUN, 3, 7)), 99 * S) is None
    gap = gaps.lose(loss(Lost(BTC, RUN, 8, 12)), 99 * S)
    assert gap is not None
    assert (gap.lost, gap.expected) == ([{"topic": BTC, "run": RUN, "from_n": 11, "to_n": 12}], 2)


def test_found_messages_shrink_a_gap_and_the_last_one_fills_it() -> None:
    gaps = Gaps("7")
    gaps.lose(loss(Lost(BTC, RUN, 1, 10)), 99 * S)
    count, (gap,) = gaps.found(Lost(BTC, RUN, 4, 5))
    assert (count, gap.state, gap.filled, gap.expected) == (2, "partial", 2, 10)
    count, (gap,) = gaps.found(Lost(BTC, RUN, 1, 10))
    assert (count, gap.state, gap.filled, gap.lost) == (8, "filled", 10, None)
    assert gaps.found(Lost(BTC, RUN, 1, 10)) == (0, [])


def test_lost_trades_stay_open_until_the_last_is_found() -> None:
    gaps = Gaps("7")
    trades = "trades/kucoin/BTC-USDT"
    gap = gaps.lose(loss(Lost(trades, RUN, 1, 2), channel="trades"), 99 * S)
    assert gap is not None
    assert gap.state == "open"
    assert gaps.found(Lost(trades, RUN, 1, 1))[1][0].state == "open"
    assert gaps.found(Lost(trades, RUN, 2, 2))[1][0].state == "filled"


def test_health_counts_what_is_neither_filled_nor_given_up() -> None:
    gaps = Gaps("7")
    price, trade = opened(gaps), opened(gaps, "trades")
    assert (gaps.open_count("kucoin"), gaps.open_count("binance")) == (2, 0)
    gaps.close(price.id, 30 * S, 31 * S)
    gaps.close(trade.id, 30 * S, 31 * S)
    assert gaps.open_count("kucoin") == 1


def test_gaps_are_listed_by_exchange_state_and_time() -> None:
    gaps = Gaps("7")
    gaps.close(opened(gaps, from_s=10).id, 20 * S, 99 * S)
    opened(gaps, "trades", from_s=50)
    assert [gap.channel for gap in gaps.select("kucoin", from_ns=20 * S)] == ["trades"]
    assert [gap.channel for gap in gaps.select(to_ns=50 * S)] == ["prices"]
    assert [gap.channel for gap in gaps.select(state="open")] == ["trades"]
    assert [gap.channel for gap in gaps.select(from_ns=99 * S)] == ["trades"], "a running gap reaches to now"
    assert list(gaps.select("binance")) == []


def test_a_new_start_ends_what_ran_and_opens_what_was_stopped() -> None:
    before = Gaps("7")
    line = opened(before, from_s=10)
    after = Gaps("8", before.unsaved())
    changed = after.recover([Stopped("kucoin", "prices", 40 * S, "the bridge was stopped")], 60 * S)
    assert [(gap.id, gap.cause, gap.from_ns, gap.to_ns) for gap in changed] == [
        (line.id, "line lost", 10 * S, 40 * S),
        ("8-1", "stopped", 40 * S, None),
    ]
    assert [gap.id for gap in after.running("stopped")] == ["8-1"]


def test_a_new_run_within_a_process_leaves_its_running_gaps_alone() -> None:
    gaps = Gaps("7")
    gap = opened(gaps)
    assert gaps.recover([], 60 * S) == []
    assert [one.id for one in gaps.running()] == [gap.id]


def test_a_stop_that_no_start_has_ended_goes_on_as_one_gap() -> None:
    stopped = [Stopped("kucoin", "prices", 40 * S, "the bridge was stopped")]
    first = Gaps("7")
    first.recover(stopped, 60 * S)
    second = Gaps("8", first.unsaved())
    assert second.recover([], 80 * S) == []
    third = Gaps("9", second.running())
    third.recover([Stopped("kucoin", "prices", 70 * S, "again")], 90 * S)
    (gap,) = third.running()
    assert (gap.id, gap.from_ns) == ("7-1", 40 * S)
    ended = third.close(gap.id, 95 * S, 95 * S)
    assert ended is not None
    assert ended.to_ns == 95 * S


def test_an_id_is_never_given_twice() -> None:
    first = Gaps("7")
    known = [opened(first), opened(first, "trades")]
    assert opened(Gaps("7", known), "candles").id == "7-3"


def test_changes_are_handed_to_the_ledger_once_and_again_if_it_could_not_take_them() -> None:
    gaps = Gaps("7")
    gap = opened(gaps)
    taken = gaps.unsaved()
    assert [one.id for one in taken] == [gap.id]
    assert gaps.unsaved() == []
    gaps.unsave(taken)
    gaps.close(gap.id, 30 * S, 31 * S)
    assert [one.to_ns for one in gaps.unsaved()] == [30 * S]


def test_beyond_the_bound_the_oldest_settled_gap_is_forgotten_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gap_book, "MAX_GAPS", 3)
    gaps = Gaps("7")
    running = opened(gaps, symbols=["A-B"])
    settled = opened(gaps, symbols=["C-D"])
    gaps.close(settled.id, 30 * S, 31 * S)
    for symbol in ("E-F", "G-H"):
        opened(gaps, symbols=[symbol])
    assert gaps.forgotten == 1
    assert gaps.get(settled.id) is None
    assert gaps.get(running.id) is not None
    assert settled.id in {gap.id for gap in gaps.unsaved()}, "the ledger still learns of it"


@pytest.mark.parametrize(
    ("topic", "parts"),
    [
        ("tb/prices/kucoin/BTC-USDT", ("prices", "kucoin", "BTC-USDT")),
        ("tb/candles/kucoin/BTC-USDT/1m", ("candles", "kucoin", "BTC-USDT")),
        ("tb/gaps/kucoin", ("gaps", "kucoin", None)),
        ("tb/errors/kucoin/2", ("errors", "kucoin", None)),
        ("prices/kucoin/BTC-USDT", None),
        ("tb/prices/kucoin", None),
        ("tb/prices/kucoin/BTC-USDT/1m", None),
        ("tb/prices/kucoin/+", None),
        ("tb/latest/kucoin/BTC-USDT", None),
        ("", None),
    ],
)
def test_a_stream_topic_tells_channel_exchange_and_symbol(
    topic: str, parts: tuple[str, str, str | None] | None
) -> None:
    assert Topics("tb").parts(topic) == parts
