import json
from pathlib import Path

import pytest

from bridge.events import Channel, Tick
from bridge.feed import Feed
from bridge.health import LineStatus, clocked, feed_health, feed_status, lag_ms, worst
from bridge.outbox import Outbox
from bridge.streams import Streams
from bridge.topics import Topics

NOW = 1_800_000_000_000_000_000
DOCS = (Path(__file__).parent.parent / "docs" / "topics.md").read_text()


def feed() -> Feed:
    streams = Streams(Outbox(10_000_000, 90), lambda: None)
    streams.begin(1)
    return Feed("kucoin", Topics(), streams, lambda state: None)


def test_a_feed_is_as_healthy_as_its_worst_line() -> None:
    assert worst([LineStatus("online"), LineStatus("reconnecting", "gone")]).reason == "gone"
    assert worst([]).status == "connecting"


def test_living_lines_without_one_fresh_price_are_stale() -> None:
    one = feed()
    one.deliver([Tick("BTC-USDT", NOW, "10", "1", NOW, "9", "1", "11", "1", 5)], 0)
    assert feed_status(one, [LineStatus("online")]).status == "online"
    one.line_lost(["BTC-USDT"], frozenset(Channel), "gone", 1)
    assert feed_status(one, [LineStatus("online")]).status == "stale"
    assert feed_health(one, LineStatus(), {})["stale_symbols"] == ["BTC-USDT"]


def test_lag_is_told_only_where_the_exchange_says_when_it_sent() -> None:
    assert lag_ms([]) is None
    assert lag_ms(range(0, 101_000_000, 1_000_000)) == {"p50": 50.0, "p99": 99.0}


def test_without_a_synchronised_clock_no_time_is_told() -> None:
    told = clocked({"since_ns": 1, "status": "online"}, synced=False, now_ns=5)
    assert json.loads(json.dumps(told)) == {"status": "online", "clock": "unsynced"}


@pytest.mark.parametrize("name", feed_health(feed(), LineStatus(), {}))
def test_every_field_of_health_is_documented(name: str) -> None:
    assert f"`{name}`" in DOCS or f'"{name}"' in DOCS
