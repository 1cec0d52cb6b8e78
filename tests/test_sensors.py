"""Chosen prices at a house's pace: repeated while fresh, one word when stale, then nothing."""

import json
from typing import Any

from msgspec.structs import replace

from bridge.events import Channel, Stats, Tick
from bridge.feed import Feed
from bridge.outbox import Outbox
from bridge.sensors import Beats, Display, Sensors
from bridge.streams import Streams
from bridge.topics import State, Topics

S = 1_000_000_000
NOW = 1_800_000_000 * S
TICK = Tick("BTC-USDT", NOW, "10", "1", NOW - S, "9", "1", "11", "2", 5)
ALL = frozenset(Channel)


class Bench:
    """A feed whose chosen prices are told to `heard`, as the broker gets them."""

    def __init__(self, kind: type[Beats] = Sensors, interval_s: float = 10.0) -> None:
        streams = Streams(Outbox(10_000_000, 90), lambda: None)
        streams.begin(1)
        self.feed = Feed("kucoin", Topics(), streams, lambda state: None)
        self.heard: list[tuple[str, bytes]] = []
        self.states: list[State] = []
        self.beats = kind(self.feed, self._put, interval_s)
        self.beats.choose(["BTC-USDT"])

    def _put(self, state: State) -> None:
        self.states.append(state)
        payload = state.render(NOW + 2 * S)
        assert payload is not None
        self.heard.append((state.topic, payload))

    def pass_time(self, from_s: int, to_s: int) -> int:
        """How many messages come in that time."""
        before = len(self.heard)
        for second in range(from_s, to_s):
            self.beats.tend(second * S)
        return len(self.heard) - before

    def last(self) -> dict[str, Any]:
        return dict(json.loads(self.heard[-1][1]))


def test_a_fresh_price_comes_at_once_and_then_every_ten_seconds() -> None:
    bench = Bench()
    assert bench.pass_time(0, 5) == 0
    bench.feed.deliver([TICK], 5 * S)
    assert bench.pass_time(5, 6) == 1
    assert bench.pass_time(6, 66) == 6
    assert bench.heard[-1][0] == "sensors/kucoin/BTC-USDT"
    assert (bench.last()["price"], bench.last()["stale"], bench.last()["age_ms"]) == (10, False, 2000)
    assert [(state.retain, state.expiry_s, state.qos) for state in bench.states[:1]] == [(False, 30, 0)]


def test_it_carries_the_change_of_a_day_only_while_that_is_told() -> None:
    bench = Bench()
    bench.feed.deliver([TICK, Stats("BTC-USDT", NOW, change="0.0213")], 0)
    bench.pass_time(0, 1)
    assert bench.last()["change"] == 0.0213
    bench.feed.line_lost(["BTC-USDT"], ALL, "gone", S)
    bench.pass_time(1, 2)
    assert "change" not in bench.last()


def test_becoming_stale_is_told_once_with_its_reason_and_then_nothing() -> None:
    bench = Bench()
    bench.feed.deliver([TICK], 0)
    bench.pass_time(0, 3)
    bench.feed.line_lost(["BTC-USDT"], ALL, "kucoin: reconnecting", 3 * S)
    assert bench.pass_time(3, 100) == 1
    assert (bench.last()["stale"], bench.last()["reason"]) == (True, "kucoin: reconnecting")
    assert bench.beats.stale_count() == 1
    bench.feed.deliver([replace(TICK, seq=6)], 100 * S)
    assert bench.pass_time(100, 101) == 1, "fresh again is news as well"
    assert bench.last()["stale"] is False


def test_what_a_reconnect_told_between_two_beats_is_put_right_with_the_next() -> None:
    bench = Bench()
    bench.feed.deliver([TICK], 0)
    bench.pass_time(0, 2)
    bench.feed.line_lost(["BTC-USDT"], ALL, "gone", 2 * S)
    bench.states[-1].render(NOW)
    bench.feed.deliver([replace(TICK, seq=6)], 2 * S)
    assert bench.pass_time(2, 3) == 1
    assert bench.last()["stale"] is False


def test_a_symbol_that_is_not_subscribed_or_chosen_any_more_says_so() -> None:
    bench = Bench()
    bench.feed.deliver([TICK], 0)
    bench.pass_time(0, 1)
    bench.feed.retire("BTC-USDT", S)
    assert bench.pass_time(1, 50) == 1
    assert bench.last()["reason"] == "no longer subscribed"
    other = Bench()
    other.feed.deliver([TICK], 0)
    other.pass_time(0, 1)
    other.beats.choose([])
    assert other.last()["reason"] == "no longer chosen"
    assert other.pass_time(1, 50) == 0


def test_only_chosen_symbols_are_told() -> None:
    bench = Bench()
    bench.feed.deliver([TICK, replace(TICK, symbol="ETH-USDT")], 0)
    bench.pass_time(0, 20)
    assert {topic for topic, _ in bench.heard} == {"sensors/kucoin/BTC-USDT"}


def test_whoever_begins_to_listen_need_not_wait() -> None:
    bench = Bench()
    bench.feed.deliver([TICK], 0)
    bench.pass_time(0, 2)
    bench.beats.hurry()
    assert bench.pass_time(2, 3) == 1


def test_a_display_shows_the_exchanges_digits_and_a_question_mark_when_they_are_old() -> None:
    bench = Bench(Display, 1.0)
    bench.feed.deliver([replace(TICK, price="0.00000012")], 0)
    bench.pass_time(0, 1)
    assert bench.heard[-1] == ("display/kucoin/BTC-USDT", b"0.00000012")
    assert bench.states[-1].content_type == "text/plain"
    for second in range(1, 5):
        bench.feed.deliver([replace(TICK, seq=10 + second, price=str(second))], second * S)
        assert bench.pass_time(second, second + 1) == 1, "each second what has changed"
    assert bench.pass_time(5, 25) == 2, "and else the heartbeat"
    bench.feed.line_lost(["BTC-USDT"], ALL, "gone", 25 * S)
    assert bench.pass_time(25, 60) == 1
    assert bench.heard[-1][1] == b"?"
