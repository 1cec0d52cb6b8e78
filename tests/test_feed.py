import json
import re
from collections import defaultdict
from typing import Any

import pytest
from msgspec.structs import replace

from bridge.events import Candle, Channel, Instrument, Stats, Tick, Trade
from bridge.exchanges import EXCHANGES
from bridge.exchanges.base import Catalogue
from bridge.feed import LATE_ACCEPTED, Feed, FeedRules
from bridge.outbox import Outbox
from bridge.streams import Streams
from bridge.topics import State, Topics
from tests.captures import frames

S = 1_000_000_000
RUN = 1_800_000_000_000
NOW = RUN * 1_000_000
TICK = Tick("BTC-USDT", NOW, "10", "1", NOW - S, "9", "1", "11", "2", 5)
TRADE = Trade("BTC-USDT", NOW, "7", "buy", "10", "1", NOW, 7)


class Bench:
    """A feed with a real outbox; what it published, as (topic, payload)."""

    def __init__(self, *, run: int | None = RUN) -> None:
        self.outbox = Outbox(64_000_000, 90)
        self.streams = streams = Streams(self.outbox, lambda: None)
        if run is not None:
            streams.begin(run)
        self.states: list[State] = []
        self.feed = Feed(
            "kucoin",
            Topics(),
            streams,
            self.states.append,
            rules=FeedRules(consecutive_trades=True),
            synced=lambda: run is not None,
        )

    def messages(self, root: str = "") -> list[tuple[str, dict[str, Any]]]:
        entries = self.outbox.take(100_000)
        self.outbox.rewind(None)
        return [(entry[0], json.loads(entry[1])) for entry in entries if entry[0].startswith(root)]


def test_a_tick_is_published_with_its_run_and_number() -> None:
    bench = Bench()
    bench.feed.deliver([TICK, replace(TICK, seq=6)], 0)
    (topic, first), (_, second) = bench.messages()
    assert topic == "prices/kucoin/BTC-USDT"
    assert (first["run"], first["n"], second["n"]) == (RUN, 1, 2)


def test_a_row_stands_at_its_arrival_strictly_later_than_the_one_before() -> None:
    bench = Bench()
    bench.feed.deliver([replace(TICK, seq=k) for k in range(3)], 0)
    assert [told["time_ns"] for _, told in bench.messages()] == [NOW, NOW + 1, NOW + 2]


def test_an_identical_repeat_is_life_but_no_tick() -> None:
    bench = Bench()
    bench.feed.deliver([TICK, replace(TICK, received_ns=NOW + S)], 0)
    assert len(bench.messages()) == 1
    assert bench.feed.counters.repeats == 1


def test_the_same_price_with_another_sequence_is_a_tick() -> None:
    bench = Bench()
    bench.feed.deliver([TICK, replace(TICK, seq=6)], 0)
    assert len(bench.messages("prices/")) == 2


def test_an_older_sequence_is_parked_as_late() -> None:
    bench = Bench()
    bench.feed.deliver([TICK, replace(TICK, seq=4, price="99", received_ns=NOW + 1)], 0)
    assert len(bench.messages("prices/")) == 1
    assert "late" in bench.messages("errors/")[0][1]["reason"]


def test_an_exchange_that_counts_anew_is_believed_after_a_while() -> None:
    bench = Bench()
    bench.feed.deliver([TICK, *(replace(TICK, seq=1 + k % 2, price=str(k + 1)) for k in range(LATE_ACCEPTED))], 0)
    assert len(bench.messages("prices/")) == 2


def test_what_is_not_believed_goes_to_errors_and_has_no_number() -> None:
    bench = Bench()
    bench.feed.deliver([replace(TICK, price="0"), replace(TICK, seq=6)], 0)
    assert [told["n"] for _, told in bench.messages("prices/")] == [1]
    assert bench.messages("errors/")[0][1]["kind"] == "value"
    assert bench.feed.counters.dropped == 1


def test_errors_are_at_most_ten_a_second_and_the_rest_is_one_summary() -> None:
    bench = Bench()
    bench.feed.deliver([replace(TICK, price="0")] * 25, 0)
    bench.feed.tend(NOW, 0)
    told = bench.messages("errors/")
    assert len(told) == 11
    assert "15 of value" in told[-1][1]["reason"]


def test_latest_is_conflated_and_the_last_tick_wins() -> None:
    bench = Bench()
    bench.feed.deliver([replace(TICK, seq=k, price=str(k)) for k in range(1, 50)], 100 * S)
    bench.feed.flush(100 * S)
    (state,) = bench.states
    told = json.loads(state.render(NOW + 5_000_000) or b"")
    assert (state.topic, told["price"], told["stale"], told["age_ms"]) == ("latest/kucoin/BTC-USDT", 49, False, 4)


def test_becoming_stale_is_said_once_and_a_tick_makes_it_fresh() -> None:
    bench = Bench()
    bench.feed.deliver([TICK], 100 * S)
    bench.feed.flush(100 * S)
    for _ in range(2):
        bench.feed.line_lost({"BTC-USDT": None}, frozenset(Channel), "kucoin: reconnecting", 101 * S)
    bench.feed.tend(NOW, 200 * S)
    assert len(bench.states) == 2
    assert json.loads(bench.states[1].render(NOW) or b"")["reason"] == "kucoin: reconnecting"
    bench.feed.deliver([replace(TICK, seq=6)], 201 * S)
    bench.feed.flush(201 * S)
    assert json.loads(bench.states[2].render(NOW) or b"")["stale"] is False


def test_the_same_tick_on_a_new_line_makes_it_fresh_again() -> None:
    bench = Bench()
    bench.feed.deliver([TICK], 100 * S)
    bench.feed.line_lost(["BTC-USDT"], frozenset(Channel), "gone", 101 * S)
    bench.feed.line_up(["BTC-USDT"], frozenset(Channel), 102 * S)
    bench.feed.deliver([replace(TICK, received_ns=NOW + 3 * S)], 103 * S)
    assert bench.feed.series["BTC-USDT"].stale is None
    assert len(bench.messages("prices/")) == 1


def test_without_a_run_only_states_flow() -> None:
    bench = Bench(run=None)
    bench.feed.deliver([TICK, TRADE], 100 * S)
    bench.feed.flush(100 * S)
    assert bench.messages() == []
    assert json.loads(bench.states[0].render(NOW) or b"")["clock"] == "unsynced"


def test_a_price_that_came_under_a_wrong_clock_has_its_right_time_and_age_when_that_is_corrected() -> None:
    bench = Bench(run=None)
    bench.feed.deliver([TICK], 0)
    bench.feed.synced = lambda: True
    bench.feed.clock_moved(365 * 86_400 * S)
    bench.feed.flush(0)
    right_ns = NOW + 365 * 86_400 * S
    told = json.loads(bench.states[0].render(right_ns + 2 * S) or b"")
    assert (told["time_ns"], told["age_ms"], bench.feed.last_tick_ns) == (right_ns, 2000, right_ns)


def test_a_new_run_counts_anew_and_stands_at_its_own_time() -> None:
    bench = Bench()
    bench.feed.deliver([TICK], 0)
    bench.streams.begin(RUN + 1)
    bench.feed.deliver([replace(TICK, seq=6, received_ns=NOW - 3600 * S)], 0)
    assert [(told["run"], told["n"], told["time_ns"]) for _, told in bench.messages()] == [
        (RUN, 1, NOW),
        (RUN + 1, 1, NOW - 3600 * S),
    ]


def test_statistics_of_a_lost_line_are_repeated_no_more() -> None:
    bench = Bench()
    bench.feed.deliver([Stats("BTC-USDT", NOW, last="5")], 100 * S)
    bench.feed.flush(100 * S)
    bench.feed.line_lost(["BTC-USDT"], frozenset(Channel), "gone", 101 * S)
    bench.feed.tend(NOW, 900 * S)
    assert len(bench.states) == 1
    assert bench.states[0].render(NOW) is None


def test_a_trade_told_twice_is_numbered_once() -> None:
    bench = Bench()
    bench.feed.deliver([TRADE, TRADE, replace(TRADE, id="8", number=8)], 0)
    assert [told["id"] for _, told in bench.messages("trades/")] == ["7", "8"]


def test_a_missing_trade_id_is_a_hole() -> None:
    bench = Bench()
    bench.feed.deliver([TRADE, replace(TRADE, id="10", number=10)], 0)
    assert bench.feed.tapes["BTC-USDT"].sequence.holes(5 * S) == [(2, NOW, NOW, 8)]


def test_a_closed_candle_is_a_stream_and_the_current_one_a_state() -> None:
    bench = Bench()
    candle = Candle("BTC-USDT", NOW, "1m", NOW - 60 * S, "1", "2", "1", "2", "3")
    bench.feed.deliver([candle], 100 * S)
    bench.feed.flush(100 * S)
    assert bench.states[0].topic == "forming/kucoin/BTC-USDT/1m"
    bench.feed.deliver([replace(candle, open_ns=NOW)], 101 * S)
    assert [topic for topic, _ in bench.messages()] == ["candles/kucoin/BTC-USDT/1m"]


def test_statistics_are_conflated_and_bad_ones_are_parked() -> None:
    bench = Bench()
    bench.feed.deliver([Stats("BTC-USDT", NOW, last="5"), Stats("BTC-USDT", NOW, last="x")], 100 * S)
    bench.feed.flush(100 * S)
    assert json.loads(bench.states[0].render(NOW) or b"")["last"] == 5
    assert bench.feed.counters.dropped == 1


def test_a_retired_symbol_is_said_to_be_stale_and_forgotten() -> None:
    bench = Bench()
    bench.feed.deliver([TICK], 100 * S)
    bench.feed.flush(100 * S)
    bench.feed.retire("BTC-USDT", 101 * S)
    bench.feed.tend(NOW, 200 * S)
    assert len(bench.states) == 2
    assert "BTC-USDT" not in bench.feed.series


# --- recorded frames ------------------------------------------------------------------------------------

KUCOIN = "kucoin/full_classic.cryptofeed-2021-04-23.jsonl"


def _recorded() -> list[tuple[int, bytes]]:
    return [(at, text.encode()) for at, text in frames(KUCOIN) if '"message"' in text]


@pytest.fixture
def replayed() -> Bench:
    bench = Bench()
    recorded = _recorded()
    symbols = {re.search(rb'"/market/\w+:([^"]+)"', frame)[1].decode() for _, frame in recorded}  # type: ignore[index]
    catalogue = Catalogue(Instrument(symbol, *symbol.split("-"), symbol) for symbol in symbols)
    exchange = EXCHANGES["kucoin"](catalogue, frozenset(Channel))
    for at, frame in recorded:
        bench.feed.deliver(exchange.receive(frame, at), at)
    return bench


def test_every_recorded_trade_has_a_row_of_its_own_though_their_times_collide(replayed: Bench) -> None:
    recorded = [frame for _, frame in _recorded() if b"trade.l3match" in frame]
    times = [re.search(rb'"time":"(\d+)"', frame)[1] for frame in recorded]  # type: ignore[index]
    assert len(set(times)) < len(recorded)
    rows = [(topic, told["time_ns"]) for topic, told in replayed.messages("trades/")]
    assert len(set(rows)) == len(rows) == len(recorded)


def test_every_recorded_tick_is_published_with_its_digits_and_no_hole_in_n(replayed: Bench) -> None:
    expected = defaultdict(list)
    for _, frame in _recorded():
        if b"trade.ticker" in frame:
            fields = dict(re.findall(rb'"(\w+)":"?([^",}]+)"?', frame.split(b'"data":')[1]))
            topic = b"prices/kucoin/" + re.search(rb"ticker:([^\"]+)", frame)[1]  # type: ignore[index]
            expected[topic.decode()].append((fields[b"price"], fields[b"bestBid"], fields[b"bestAskSize"]))
    got = defaultdict(list)
    for entry in replayed.outbox.take(100_000):
        if entry[0].startswith("prices/"):
            fields = dict(re.findall(rb'"(\w+)":([^,}]+)', entry[1]))
            got[entry[0]].append((fields[b"price"], fields[b"bid"], fields[b"ask_size"]))
            assert entry[3] == len(got[entry[0]])
    assert got == expected
