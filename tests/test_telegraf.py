"""telegraf.conf, the very file: a real Telegraf between a real broker and a real InfluxDB.

Every payload is made by the functions that make the real ones, so that none can drift from its row.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest

from bridge import topics
from bridge.events import Candle, Instrument, Stats, Tick, Trade
from bridge.health import LineStatus, clocked, feed_health
from bridge.settings import Settings
from bridge.topics import Gap, Topics, Trouble
from dashboard.store.init import init
from tests.broker import PASSWORDS, Broker, run_client, wait_until
from tests.containers import Influx, Telegraf
from tests.flux import stored
from tests.test_health import feed

pytestmark = pytest.mark.real
NOW = time.time_ns() // 10**9 * 10**9 + 123_456_789
RUN = 1_743_147_000_123
KEY = {"exchange": "kucoin", "symbol": "BTC-USDT"}
FORMS = ("1", "1.0", "1e-7", "0.00000012", "67523", "999999999999999999")
ODD = 'quotes " and \\ and \\" and a line\nbreak, = {"price":1} ü'


@pytest.fixture(scope="module")
def token(influx: Influx, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `tickbridge store init` gives to Telegraf: it may only write."""
    folder = tmp_path_factory.mktemp("tokens")
    (folder / "admin.token").write_text(influx.token)
    told = list(init(Settings.model_validate({"influx": {"url": influx.url, "org": influx.org}}), folder))
    assert any("telegraf.token: made" in line for line in told)
    return (folder / "telegraf.token").read_text().strip()


class Way:
    """Broker → Telegraf → InfluxDB."""

    def __init__(self, broker: Broker, influx: Influx, token: str, start: Callable[..., Telegraf]) -> None:
        self.broker, self.influx, self._token, self._start = broker, influx, token, start
        self.telegraf: Telegraf

    def open(self, streams: int = 8, **environment: str) -> "Way":
        """Start Telegraf; wait until all of its inputs are subscribed."""
        before = self.broker.log.count("New client connected")
        self.telegraf = self._start(
            {
                "MQTT_URL": f"tcp://127.0.0.1:{self.broker.port}",
                "INFLUX_URL": self.influx.url,
                "INFLUX_ORG": self.influx.org,
                "INFLUX_TOKEN": self._token,
            }
            | environment
        )
        wait_until(lambda: self.telegraf.log.count("] Connected [") >= streams, 20, lambda: self.telegraf.log)
        wait_until(lambda: self.broker.log.count("New client connected") >= before + streams, 20, lambda: "")
        return self

    def publish(self, topic: str, payload: bytes) -> None:
        run_client(["mosquitto_pub", "-p", str(self.broker.port), "-q", "1", "-t", topic, "-m", payload.decode()])

    def rows(self, bucket: str, measurement: str) -> list[dict[str, Any]]:
        told = stored(self.influx.url, self.influx.org, self.influx.token, bucket)
        return [row for row in told if row.pop("_measurement") == measurement]

    def row(self, bucket: str, measurement: str, **tags: str) -> dict[str, Any]:
        """The one row that has these tags, as soon as it is there."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = [row for row in self.rows(bucket, measurement) if tags.items() <= row.items()]
            return bool(found)

        wait_until(there, 20, lambda: f"{measurement} {tags}: {self.telegraf.log}")
        assert len(found) == 1, found
        return found[0]


@pytest.fixture
def way(broker: Broker, influx: Influx, token: str, telegraf: Callable[..., Telegraf]) -> Way:
    return Way(broker, influx, token, telegraf)


def tick(symbol: str, price: str = "67523") -> str:
    return topics.tick_body(
        Tick(symbol, NOW, price, "0.5", NOW - 5, "9", "1e-7", "11.0", "0.00000012", 2**62, NOW - 1), NOW
    )


def trade(symbol: str) -> str:
    return topics.trade_body(Trade(symbol, NOW + 9, "0042", "buy", "67523", "1e-7", NOW - 3, 7), NOW)


TRADE_ROW = {
    "at_ns": NOW,
    "id": "0042",
    "side": "buy",
    "price": 67523.0,
    "size": 1e-7,
    "exchange_time_ns": NOW - 3,
    "received_ns": NOW + 9,
}


def test_a_number_is_a_float_however_it_is_written(way: Way) -> None:
    way.open()
    for count, form in enumerate(FORMS):
        way.publish(Topics().price("kucoin", f"FORM-{count}"), topics.numbered(tick(f"FORM-{count}", form), RUN, 1))
    for count, form in enumerate(FORMS):
        assert way.row("prices", "prices", symbol=f"FORM-{count}")["price"] == float(form)


def test_a_tick_is_a_row_at_its_own_time_with_exact_integers(way: Way) -> None:
    way.open().publish(Topics().price("kucoin", "BTC-USDT"), topics.numbered(tick("BTC-USDT"), RUN, 4711))
    assert way.row("prices", "prices", symbol="BTC-USDT") == {
        **KEY,
        "at_ns": NOW,
        "price": 67523.0,
        "size": 0.5,
        "price_time_ns": NOW - 5,
        "bid": 9.0,
        "bid_size": 1e-7,
        "ask": 11.0,
        "ask_size": 0.00000012,
        "seq": 2**62,
        "exchange_time_ns": NOW - 1,
        "run": RUN,
        "n": 4711,
    }


def test_what_the_exchange_has_not_told_yet_is_absent_and_what_nobody_knows_is_left_out(way: Way) -> None:
    body = topics.tick_body(Tick("LONE-USDT", NOW, ask="3"), NOW)
    way.open().publish(Topics().price("kucoin", "LONE-USDT"), topics.numbered(f'{body},"colour":"red","x":[1]', RUN, 1))
    row = way.row("prices", "prices", symbol="LONE-USDT")
    assert row == {"exchange": "kucoin", "symbol": "LONE-USDT", "at_ns": NOW, "ask": 3.0, "run": RUN, "n": 1}


def test_a_message_that_comes_again_adds_nothing(way: Way) -> None:
    way.open()
    for _ in range(3):
        way.publish(Topics().trade("kucoin", "BTC-USDT"), topics.numbered(trade("BTC-USDT"), RUN, 8))
    way.publish(Topics().trade("kucoin", "LAST-USDT"), topics.numbered(trade("LAST-USDT"), RUN, 9))
    way.row("trades", "trades", symbol="LAST-USDT")
    assert way.row("trades", "trades", symbol="BTC-USDT") == {**KEY, **TRADE_ROW, "run": RUN, "n": 8}


def test_a_fill_on_a_live_row_keeps_the_rows_number(way: Way) -> None:
    topic = Topics().trade("kucoin", "FILL-USDT")
    way.open().publish(topic, topics.numbered(trade("FILL-USDT"), RUN, 8))
    way.row("trades", "trades", symbol="FILL-USDT")
    way.publish(topic, topics.filled(trade("FILL-USDT"), "job-1", 5, "rest"))
    wait_until(lambda: "fill" in way.row("trades", "trades", symbol="FILL-USDT"), 20, lambda: way.telegraf.log)
    marks = {"run": RUN, "n": 8, "fill": "job-1", "fill_n": 5, "source": "rest"}
    assert way.row("trades", "trades", symbol="FILL-USDT") == {**KEY, "symbol": "FILL-USDT", **TRADE_ROW, **marks}


def test_a_candle_stands_at_its_open_time(way: Way) -> None:
    candle = Candle("BTC-USDT", NOW, "1m", NOW - 60 * 10**9, "1", "3", "0.5", "2", "0", "1e-7")
    way.open().publish(Topics().candle("kucoin", "BTC-USDT", "1m"), topics.numbered(topics.candle_body(candle), RUN, 3))
    assert way.row("candles", "candles", symbol="BTC-USDT") == {
        **KEY,
        "interval": "1m",
        "at_ns": NOW - 60 * 10**9,
        "open": 1.0,
        "high": 3.0,
        "low": 0.5,
        "close": 2.0,
        "volume": 0.0,
        "quote_volume": 1e-7,
        "received_ns": NOW,
        "run": RUN,
        "n": 3,
    }


@pytest.mark.parametrize(("prefix", "shard"), [("", ""), ("home/pi", "2/3"), ("my/gaps", ""), ("gaps", "1/2")])
def test_a_gap_keeps_its_whole_message_under_any_prefix(way: Way, prefix: str, shard: str) -> None:
    lost = [{"topic": "trades/kucoin/BTC-USDT", "run": RUN, "from_n": 1, "to_n": 2}]
    gap = Gap(
        "g-1",
        f"under_{prefix.replace('/', '_')}",
        "trades",
        NOW - 9,
        "lost",
        "open",
        NOW - 1,
        ["BTC-USDT"],
        ODD,
        120,
        118,
        lost,
    )
    payload = topics.numbered(topics.gap_body(gap, NOW), RUN, 1)
    way.open(MQTT_PREFIX=prefix).publish(Topics(prefix, shard).gaps(gap.exchange), payload)
    assert way.row("gaps", "gaps", exchange=gap.exchange) == {
        "exchange": gap.exchange,
        **({"shard": shard[0]} if shard else {}),
        "at_ns": NOW,
        "id": "g-1",
        "channel": "trades",
        "cause": "lost",
        "state": "open",
        "from_ns": NOW - 9,
        "to_ns": NOW - 1,
        "run": RUN,
        "n": 1,
        "payload": payload.decode(),
    }


def test_an_error_keeps_its_frame_and_its_whole_message(way: Way) -> None:
    payload = topics.numbered(topics.trouble_body(Trouble("frame", ODD, "ticker", "BTC-USDT", ODD), NOW), RUN, 1)
    way.open().publish(Topics().errors("bridge"), payload)
    assert way.row("errors", "errors", exchange="bridge") == {
        "exchange": "bridge",
        "at_ns": NOW,
        "kind": "frame",
        "channel": "ticker",
        "symbol": "BTC-USDT",
        "reason": ODD,
        "frame": ODD,
        "run": RUN,
        "n": 1,
        "payload": payload.decode(),
    }


def test_a_will_and_a_state_without_a_clock_are_rows_by_arrival(way: Way) -> None:
    way.open().publish(Topics().health("bridge"), topics.state({"status": "offline", "run": RUN, "connection": 3}))
    row = way.row("states", "health", feed="bridge")
    assert 0 <= time.time_ns() - row.pop("at_ns") < 60 * 10**9
    assert row == {"feed": "bridge", "status": "offline", "run": RUN, "connection": 3}
    told = Stats("BTC-USDT", NOW, "1", "2", "0", "1", "5", "6", "-1e-7")
    way.publish(Topics().stats("kucoin", "BTC-USDT"), topics.stats(told, synced=False))
    row = way.row("states", "stats", symbol="BTC-USDT")
    assert row.pop("at_ns") > NOW
    numbers = {"open": 1.0, "high": 2.0, "low": 0.0, "last": 1.0, "volume": 5.0, "quote_volume": 6.0, "change": -1e-7}
    assert row == {**KEY, **numbers}


def test_a_feeds_health_is_flat_and_a_shard_is_a_tag(way: Way) -> None:
    one = feed()
    one.deliver([Tick("BTC-USDT", NOW, "10", "1", NOW, "9", "1", "11", "1", 5, NOW - 10**6)], 0)
    more = {"outbox": {"messages": 1, "bytes": 2, "log_reach_s": 90.0}, "gaps_open": 0}
    health = clocked(feed_health(one, LineStatus("online"), more), synced=True, now_ns=NOW)
    way.open().publish(Topics("", "2/3").health("kucoin"), topics.state(health))
    row = way.row("states", "health", feed="kucoin")
    assert row.pop("at_ns") > 0
    flat = {key: value for key, value in health.items() if value not in (None, []) and not isinstance(value, dict)}
    flat |= {"outbox_messages": 1, "outbox_bytes": 2, "outbox_log_reach_s": 90.0, "lag_ms_p50": 1.0, "lag_ms_p99": 1.0}
    assert row == {"feed": "kucoin", "shard": "2", **flat}


def test_a_catalogue_is_a_row_per_market(way: Way) -> None:
    markets = [
        Instrument("BTC-USDT", "BTC", "USDT", "BTCUSDT", "0.1", "0.00000001"),
        Instrument("X-USDT", "X", "USDT", "XUSDT", None, "1", "halted"),
    ]
    way.open().publish(Topics().catalogue("kucoin"), topics.catalogue(markets, NOW))
    first, second = (way.row("candles", "catalogue", symbol=one.symbol) for one in markets)
    assert first.pop("at_ns") == second.pop("at_ns") > NOW
    steps = {"price_step": 0.1, "size_step": 1e-8}
    assert first == {**KEY, "base": "BTC", "quote": "USDT", "native": "BTCUSDT", "status": "trading", **steps}
    assert second["status"] == "halted"
    assert "price_step" not in second


def test_instead_of_every_tick_the_newest_of_each_second_can_be_kept(way: Way) -> None:
    way.open(STORE_PRICES="latest")
    way.publish(Topics().price("kucoin", "SLOW-USDT"), topics.numbered(tick("SLOW-USDT"), RUN, 1))
    body = tick("SLOW-USDT")
    way.publish(Topics().latest("kucoin", "SLOW-USDT"), topics.latest(body, NOW, NOW + 10**9, stale="gone"))
    row = way.row("prices", "latest", symbol="SLOW-USDT")
    told = {"at_ns": NOW, "price": 67523.0, "stale": True, "reason": "gone", "age_ms": 1000}
    assert told.items() <= row.items()
    unclocked = topics.latest(tick("CLOCK-USDT"), NOW, NOW, stale=None, synced=False)
    way.publish(Topics().latest("kucoin", "CLOCK-USDT"), unclocked)
    row = way.row("prices", "latest", symbol="CLOCK-USDT")
    assert row["at_ns"] > NOW
    assert row["stale"] is False
    assert [row for row in way.rows("prices", "prices") if row["symbol"] == "SLOW-USDT"] == []


def test_a_kind_that_is_switched_off_is_not_asked_of_the_broker(way: Way) -> None:
    since_ns = time.time_ns()
    way.open(STORE_TRADES="off", STORE_PRICES="off")
    way.publish(Topics().trade("kucoin", "NONE-USDT"), topics.numbered(trade("NONE-USDT"), RUN, 1))
    way.publish(
        Topics().gaps("okx"), topics.numbered(topics.gap_body(Gap("g", "okx", "c", 1, "x", "open"), NOW), RUN, 1)
    )
    way.row("gaps", "gaps", exchange="okx")
    assert [row for row in way.rows("trades", "trades") if row["symbol"] == "NONE-USDT"] == []
    assert "telegraf-trades-off" in way.broker.log
    assert "telegraf-prices-off" in way.broker.log
    # by this the audit knows what it may ask for
    wait_until(lambda: {"off", "candles"} <= _aliases(way, since_ns), 40, lambda: str(_aliases(way, since_ns)))
    assert not {"prices", "trades"} & _aliases(way, since_ns)


def _aliases(way: Way, since_ns: int) -> set[str]:
    return {row["alias"] for row in way.rows("states", "internal_gather") if row["at_ns"] > since_ns and "alias" in row}


def test_what_waits_for_telegraf_comes_when_it_is_back(way: Way) -> None:
    way.open()
    way.telegraf.kill9()
    way.publish(Topics().trade("kucoin", "WAIT-USDT"), topics.numbered(trade("WAIT-USDT"), RUN, 8))
    way.telegraf.start()
    assert way.row("trades", "trades", symbol="WAIT-USDT")["n"] == 8


def test_telegraf_tells_of_itself(way: Way) -> None:
    way.open()
    wait_until(lambda: bool(way.rows("states", "internal_write")), 40, lambda: way.telegraf.log)
    written = way.rows("states", "internal_write")[-1]
    assert written["output"] == "influxdb_v2"
    assert {"buffer_size", "buffer_limit", "metrics_rejected", "metrics_dropped", "errors"} <= written.keys()
    assert "metrics_gathered" in way.rows("states", "internal_gather")[-1]


@pytest.mark.parametrize("payload", [b"no json", b'{"price":"dear","time_ns":1}'])
def test_what_telegraf_cannot_read_is_counted_and_holds_nothing_up(way: Way, payload: bytes) -> None:
    since_ns = time.time_ns()
    way.open().publish(Topics().price("kucoin", "BAD-USDT"), payload)
    way.publish(Topics().price("kucoin", "GOOD-USDT"), topics.numbered(tick("GOOD-USDT"), RUN, 1))
    way.row("prices", "prices", symbol="GOOD-USDT")

    def counted() -> bool:
        rows = [row for row in way.rows("states", "internal_gather") if row.get("alias") == "prices"]
        rows += way.rows("states", "internal_parser")
        return any(row["errors"] for row in rows if row["at_ns"] > since_ns)

    wait_until(counted, 40, lambda: str(way.rows("states", "internal_parser") + way.rows("states", "internal_gather")))


def test_a_guarded_broker_lets_telegraf_read(
    guarded_broker: Broker, influx: Influx, token: str, telegraf: Callable[..., Telegraf]
) -> None:
    way = Way(guarded_broker, influx, token, telegraf).open(MQTT_USER="telegraf", MQTT_PASSWORD=PASSWORDS["telegraf"])
    line = ["mosquitto_pub", "-p", str(guarded_broker.port), "-u", "bridge", "-P", PASSWORDS["bridge"], "-q", "1"]
    for topic in (Topics().price("kucoin", "SAFE-USDT"), Topics().latest("kucoin", "SAFE-USDT")):
        run_client([*line, "-t", topic, "-m", topics.numbered(tick("SAFE-USDT"), RUN, 1).decode()])
    assert way.row("prices", "prices", symbol="SAFE-USDT")["n"] == 1
