"""What is chosen and wanted at each moment: from settings at once, from whole markets when they are known."""

import json
import logging
from typing import Any

import pytest

from bridge.clock import Clock
from bridge.discovery import Home
from bridge.events import Instrument, Tick
from bridge.exchanges.base import Catalogue
from bridge.feed import Feed
from bridge.health import LineStatus, feed_health
from bridge.outbox import Outbox
from bridge.sensors import Display, Sensors
from bridge.settings import ExchangeSettings, Settings
from bridge.streams import Streams
from bridge.topics import State, Topics

S = 1_000_000_000


class Exchange:
    """An exchange with a real feed, whose catalogue comes when a test says so."""

    def __init__(self, name: str, put: Any, settings: Settings) -> None:
        self.name, self.title = name, name.capitalize()
        self.settings: ExchangeSettings = getattr(settings.exchanges, name)
        self.catalogue: Catalogue | None = None
        streams = Streams(Outbox(10_000_000, 90), lambda: None)
        streams.begin(1)
        self.feed = Feed(name, Topics(settings.prefix), streams, put)
        self.sensors = Sensors(self.feed, put, 10)
        self.display = Display(self.feed, put, 1)
        self.line = LineStatus("online")

    def lists(self, *symbols: str) -> None:
        self.catalogue = Catalogue(Instrument(one, *one.split("-"), one, "0.1") for one in symbols)

    def status(self) -> LineStatus:
        return self.line

    def health(self) -> dict[str, Any]:
        return feed_health(self.feed, self.line, {"gaps_open": 0, "reconnects": 0})


class Bench:
    """A home with both exchanges; `heard` are the states that were put."""

    def __init__(self, **settings: Any) -> None:
        given = {"homeassistant": {"enabled": True, **settings.pop("homeassistant", {})}, **settings}
        self.settings = Settings.model_validate(given)
        self.heard: list[State] = []
        self.mono_ns = 1000 * S
        clock = Clock("trust", monotonic_ns=lambda: self.mono_ns)
        self.kucoin = Exchange("kucoin", self.heard.append, self.settings)
        self.binance = Exchange("binance", self.heard.append, self.settings)
        names = Topics(self.settings.prefix)
        self.home = Home(self.settings, names, [self.kucoin, self.binance], self.heard.append, clock)

    def tend(self, later_s: float = 0.0) -> None:
        self.mono_ns += int(later_s * S)
        self.home.tend(lambda: {"run": 7, "unacknowledged": 0, "reconnects": 0})

    def devices(self) -> dict[str, list[str]]:
        """The symbols of every device that is wanted."""
        told = {topic.split("/")[2]: json.loads(payload) for topic, payload in self.home.wanted.devices.items()}
        return {
            name: [one["name"] for key, one in config["components"].items() if key.endswith("_price")]
            for name, config in told.items()
        }

    def told(self, topic: str) -> dict[str, Any]:
        state = [state for state in self.heard if state.topic == topic][-1]
        return dict(json.loads(state.render(1) or b"{}"))


TWO = {"kucoin": {"symbols": ["BTC-USDT", "ETH-USDT"]}, "binance": {"symbols": ["BTC-USDT"]}}


def test_a_device_waits_for_its_own_exchanges_catalogue_and_nothing_of_it_is_removed() -> None:
    bench = Bench(exchanges=TWO)
    bench.kucoin.lists("BTC-USDT", "ETH-USDT")
    bench.tend()
    assert bench.devices() == {"tickbridge_bridge": [], "tickbridge_kucoin": ["BTC-USDT", "ETH-USDT"]}
    assert bench.home.wanted.unknown == {"homeassistant/device/tickbridge_binance/config"}
    bench.binance.lists("BTC-USDT")
    bench.home.changed.clear()
    bench.tend()
    assert bench.devices()["tickbridge_binance"] == ["BTC-USDT"]
    assert bench.home.changed.is_set()


def test_a_symbol_that_the_catalogue_lacks_is_held() -> None:
    bench = Bench(exchanges=TWO)
    bench.kucoin.lists("BTC-USDT")
    bench.tend()
    assert "eth_usdt_price" in bench.home.wanted.held["homeassistant/device/tickbridge_kucoin/config"]


def test_whole_markets_are_waited_for_but_not_for_ever() -> None:
    bench = Bench(homeassistant={"symbols": ["*"]}, exchanges={**TWO, "binance": {"whole_market": True, "symbols": []}})
    bench.kucoin.lists("BTC-USDT", "ETH-USDT")
    bench.tend()
    assert bench.devices() == {"tickbridge_bridge": []}
    bench.tend(61)
    assert bench.devices()["tickbridge_kucoin"] == ["BTC-USDT", "ETH-USDT"]
    bench.binance.lists("ADA-BTC", "XRP-USDT")
    bench.tend()
    assert bench.devices()["tickbridge_binance"] == ["ADA-BTC", "XRP-USDT"]


def test_a_whole_market_that_is_known_late_takes_what_is_left_and_removes_nothing() -> None:
    whole = {"whole_market": True, "symbols": []}
    bench = Bench(
        homeassistant={"symbols": ["binance:*", "kucoin:*"], "entities": 3},
        exchanges={"kucoin": {"symbols": ["BTC-USDT", "ETH-USDT"]}, "binance": whole},
    )
    bench.kucoin.lists("BTC-USDT", "ETH-USDT")
    bench.tend()
    bench.tend(61)
    bench.binance.lists("ADA-BTC", "XRP-USDT")
    bench.tend(1)
    assert bench.devices()["tickbridge_kucoin"] == ["BTC-USDT", "ETH-USDT"]
    assert bench.devices()["tickbridge_binance"] == ["ADA-BTC"]
    bench.binance.lists("ADA-BTC", "BNB-USDT", "XRP-USDT")
    bench.tend(1)
    assert bench.devices()["tickbridge_binance"] == ["ADA-BTC"]
    bench.home.change(Settings.model_validate({"homeassistant": {"symbols": ["binance:*"]}}))
    bench.tend(1)
    assert bench.devices()["tickbridge_binance"] == ["ADA-BTC", "BNB-USDT", "XRP-USDT"], "patterns come before that"


def test_beyond_the_budget_it_is_said_in_log_and_health_with_what_the_recorder_would_write(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(homeassistant={"entities": 2}, exchanges=TWO)
    bench.kucoin.lists("BTC-USDT", "ETH-USDT")
    bench.binance.lists("BTC-USDT")
    with caplog.at_level(logging.WARNING, "bridge.discovery"):
        bench.tend()
        bench.tend(5)
    (line,) = [record.getMessage() for record in caplog.records]
    assert "of 3; left out: binance:BTC-USDT" in line
    assert "17280 rows a day for these, and 25920 for all" in line
    figures = {"entities": 2, "rows_a_day": 17_280, "left_out": 1, "left_out_symbols": ["binance:BTC-USDT"]}
    assert bench.home.figures() == figures
    bench.home.trouble = "no answer in time"
    assert bench.home.figures() == figures | {"trouble": "no answer in time"}
    assert bench.told("sensors/bridge")["left_out"] == 1


def test_other_patterns_are_taken_while_it_runs() -> None:
    bench = Bench(exchanges=TWO)
    bench.kucoin.lists("BTC-USDT", "ETH-USDT")
    bench.tend()
    other = Settings.model_validate({"homeassistant": {"symbols": ["kucoin:ETH-*"], "interval_s": 5}, "exchanges": TWO})
    bench.home.change(other)
    bench.tend()
    assert bench.devices()["tickbridge_kucoin"] == ["ETH-USDT"]
    assert bench.home.settings.interval_s == 10, "everything else needs a restart"


def test_the_heartbeat_comes_every_ten_seconds_and_on_every_change_of_status() -> None:
    bench = Bench(exchanges=TWO)
    bench.tend()
    bench.heard.clear()
    for _ in range(30):
        bench.tend(1)
    assert [state.topic for state in bench.heard].count("sensors/bridge") == 3
    assert {(state.retain, state.expiry_s) for state in bench.heard} == {(False, 30)}
    bench.heard.clear()
    bench.kucoin.line = LineStatus("reconnecting", "<b>{{ states('x') }}</b>\n[click](http://x)")
    bench.tend(1)
    assert bench.told("sensors/kucoin")["status"] == "reconnecting"
    assert not set(bench.told("sensors/kucoin")["reason"]) & set("<>{}[]\n")


def test_what_a_reconnect_told_between_two_beats_is_put_right_with_the_next() -> None:
    bench = Bench(exchanges=TWO)
    bench.tend()
    bench.kucoin.line = LineStatus("reconnecting")
    assert bench.told("sensors/kucoin")["status"] == "reconnecting"
    bench.kucoin.line = LineStatus("online")
    bench.heard.clear()
    bench.tend(1)
    assert [state.topic for state in bench.heard] == ["sensors/kucoin"]


def test_chosen_symbols_without_a_fresh_price_are_counted() -> None:
    bench = Bench(exchanges=TWO)
    bench.kucoin.feed.deliver([Tick("BTC-USDT", S, "10", "1", S, "9", "1", "11", "1", 5)], 0)
    bench.tend()
    told = bench.told("sensors/kucoin")
    assert (told["chosen"], told["chosen_stale"]) == (2, 1)


def test_switched_off_nothing_is_told_and_displays_work_all_the_same() -> None:
    bench = Bench(homeassistant={"enabled": False}, display={"enabled": True, "symbols": ["BTC-*"]}, exchanges=TWO)
    for symbol in ("BTC-USDT", "ETH-USDT"):
        bench.kucoin.feed.deliver([Tick(symbol, S, "10", "1", S, "9", "1", "11", "1", 5)], 0)
    bench.tend()
    bench.home.stop()
    assert bench.home.figures() is None
    assert [state.topic for state in bench.heard] == ["display/kucoin/BTC-USDT"]
