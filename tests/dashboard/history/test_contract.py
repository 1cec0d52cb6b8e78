"""The history's contract: for the same recorded input both stores give the same answers, digit by digit.

InfluxDB is a real one. It is written as Telegraf would; one test does it through a real Telegraf.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from bridge.events import Instrument, Tick
from bridge.settings import Influx as Where
from bridge.settings import Settings
from bridge.topics import Topics, Trouble, catalogue, numbered, tick_body, trouble_body
from dashboard.history import History, Numbered, Sequence, Span
from dashboard.history.influx import InfluxHistory
from dashboard.history.sqlite import SqliteHistory
from tests.broker import Broker, run_client, wait_until
from tests.containers import Influx, Telegraf
from tests.dashboard.history.both import Both, fields
from tests.dashboard.history.conftest import KEEP_ALL
from tests.dashboard.payloads import DAY, MINUTE, NOON, RUN, SECOND, candle, candle_fill, gap, tick, trade
from tests.lines import Lines, rollup_line

pytestmark = pytest.mark.real
PRICES, TRADES = Topics().price("kucoin", "BTC-USDT"), Topics().trade("kucoin", "BTC-USDT")
CANDLES = Topics().candle("kucoin", "BTC-USDT", "1m")
GAPS, ERRORS = Topics().gaps("kucoin"), Topics().errors("kucoin")
WHOLE = Span(1, 0)
HOSTILE = [
    'x") |> drop() //',
    '" or true or "',
    "'; DROP TABLE series; --",
    "${1 + 1}",
    "\n|> yield()\n",
    ".*",
    "[a-z]+|^$",
    "BTC-USDT\\",
    '\\"',
    "BTC-USDT\x00",
    "\u2028",
    "%s{}{0}",
    "B" * 70_000,
]
PREFIXES = (f"t{number}_" for number in itertools.count())


@pytest.fixture
def prefix() -> str:
    return next(PREFIXES)


@pytest.fixture
def lines(influx: Influx, prefix: str) -> Iterator[Lines]:
    made = Lines(influx.url, influx.org, influx.token, prefix)
    made.make_buckets()
    yield made
    made.close()


@pytest.fixture
async def both(tmp_path: Path, influx: Influx, prefix: str, lines: Lines) -> AsyncIterator[Both]:
    where = Where(url=influx.url, org=influx.org, token=influx.token, bucket_prefix=prefix, timeout_s=60)
    sqlite = SqliteHistory(tmp_path / "history.sqlite", KEEP_ALL)
    async with sqlite, InfluxHistory(Settings(influx=where)) as other:
        yield Both(sqlite, other, lines)


# --- rows -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("limit", [1, 7, 40, 41, 1000])
async def test_rows_come_in_the_same_pages(both: Both, limit: int) -> None:
    times = [NOON + n * SECOND for n in range(20)] + [NOON + n * DAY + n for n in range(1, 21)]
    both.put(PRICES, *(tick(at, f"{n}.25", n) for n, at in enumerate(times, 1)))
    rows = await both.pages(lambda store, span: store.rows("prices", "kucoin", "BTC-USDT", span), limit, 0)
    assert [fields(row)["n"] for row in rows] == list(range(1, 41))


@pytest.mark.parametrize(
    "span",
    [
        Span(5), Span(1000), Span(3, None, NOON + 9 * SECOND), Span(9, NOON + 3 * SECOND, NOON + 6 * SECOND),
        Span(9, NOON + 3 * SECOND, NOON + 3 * SECOND), Span(9, NOON + 3 * SECOND, NOON + 3 * SECOND + 1),
        Span(9, NOON + DAY), Span(9, None, NOON), Span(9, None, 0), Span(9, 0, 0), Span(9, NOON - DAY, NOON),
    ],
)  # fmt: skip
async def test_spans_mean_the_same(both: Both, span: Span) -> None:
    both.put(PRICES, *(tick(NOON + n * SECOND, f"{n}", n) for n in range(1, 12)))
    await both.same(lambda store: store.rows("prices", "kucoin", "BTC-USDT", span))


async def test_what_a_tick_does_not_tell_is_absent_and_numbers_keep_their_value(both: Both) -> None:
    ticks = [
        Tick("BTC-USDT", NOON, price="0.00000012"),
        Tick("BTC-USDT", NOON, bid="67523", ask="1e-7", ask_size="99999999999999"),
        Tick("BTC-USDT", NOON, price="85439.990", size="0", seq=2**62, exchange_time_ns=NOON - 1),
        Tick("BTC-USDT", NOON, price="123456789.123456", price_time_ns=NOON - 558 * SECOND),
    ]
    both.put(PRICES, *(numbered(tick_body(one, NOON + n), RUN, n) for n, one in enumerate(ticks, 1)))
    await both.same(lambda store: store.rows("prices", "kucoin", "BTC-USDT", Span(9, 0)))


async def test_a_float_beyond_what_a_float64_holds_is_rounded(both: Both) -> None:
    made = Tick("BTC-USDT", NOON, price="999999999999999999", bid="0.12345678901234567890")
    both.put(PRICES, numbered(tick_body(made, NOON), RUN, 1))
    await both.settle()
    (row,) = (await both.influx.rows("prices", "kucoin", "BTC-USDT", Span(9, 0))).rows
    assert row.startswith(b'{"price":1000000000000000000,"bid":0.12345678901234568,')


async def test_trades_keep_their_ids_whatever_stands_in_them(both: Both) -> None:
    odd = ["0042", 'q"u\\o,t e=', "ü\u2028", "${x}", "#datatype", ""]
    for n, told in enumerate(odd, 1):
        body = trade(NOON + n, "1.5", n).replace(f'"id":"{n}"'.encode(), b'"id":' + _json(told))
        both.put(TRADES, body)
    page = await both.same(lambda store: store.rows("trades", "kucoin", "BTC-USDT", Span(9, 0)))
    assert [fields(row)["id"] for row in page.rows] == odd


async def test_a_fill_beside_a_live_row_is_one_row_with_both_marks(both: Both) -> None:
    both.put(CANDLES, candle(NOON, ("1", "2", "0.5", "1.5"), 3), candle_fill(NOON, ("1", "2.5", "0.5", "1.7"), 1))
    both.put(CANDLES, candle_fill(NOON + MINUTE, ("9", "9", "9", "9"), 2))
    page = await both.same(lambda store: store.candles("kucoin", "BTC-USDT", "1m", Span(9, NOON)))
    assert [fields(row)["fill_n"] for row in page.rows] == [1, 2]
    assert fields(page.rows[0])["n"] == 3


async def test_what_is_not_there_is_empty(both: Both) -> None:
    both.put(PRICES, tick(NOON, "1", 1))
    for symbol in ("ETH-USDT", "btc-usdt", "", "BTC-USDT/1m"):
        assert not (await both.same(lambda store, s=symbol: store.rows("prices", "kucoin", s, Span(9, 0)))).rows
        assert not (await both.same(lambda store, s=symbol: store.candles("kucoin", s, "1h", Span(9, 0)))).rows
        assert not (await both.same(lambda store, s=symbol: store.candles("kucoin", s, "1h", Span(9)))).rows
    assert not (await both.same(lambda store: store.rows("prices", "nobody", "BTC-USDT", Span(9)))).rows
    assert not (await both.same(lambda store: store.rows("trades", "kucoin", "BTC-USDT", Span(9)))).rows


# --- hostile --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", HOSTILE)
async def test_nothing_in_a_question_is_ever_code(both: Both, text: str) -> None:
    both.put(PRICES, tick(NOON, "1", 1))
    both.put(CANDLES, candle(NOON, ("1",) * 4, 1))
    both.put(GAPS, gap("g1", NOON, None, 1, symbols=["BTC-USDT"]))
    both.put(ERRORS, numbered(trouble_body(Trouble("frame", "why"), NOON), RUN, 1))
    for one in (
        lambda store: store.rows("prices", "kucoin", text, Span(9, 0)),
        lambda store: store.rows("prices", text, "BTC-USDT", Span(9)),
        lambda store: store.rows("errors", "kucoin", text, Span(9)),
        lambda store: store.candles(text, text, "1m", Span(9, 0)),
        lambda store: store.candles("kucoin", text, "1d", Span(9)),
        lambda store: store.gaps(text, None, Span(9, 0)),
        lambda store: store.gaps("kucoin", text, Span(9, 0)),
        lambda store: store.errors(text, None, None, Span(9, 0)),
        lambda store: store.errors(None, text, text, Span(9)),
    ):
        assert not (await both.same(one)).rows
    for kind in ("prices", "candles"):
        assert await both.same(lambda store, k=kind: store.numbered(k, RUN, WHOLE, text)) == []
        assert await both.same(lambda store, k=kind: store.fill_numbered(k, text, WHOLE)) == []
    topic = Topics().price("kucoin", text.replace("/", ""))
    assert await both.same(lambda store: store.numbers(Sequence(topic, RUN), 0, 9, WHOLE)) == []
    assert await both.same(lambda store: store.numbers(Sequence(PRICES, fill=text), 0, 9, WHOLE)) == []
    assert await both.same(lambda store: store.edges(topic, RUN, Span(1, NOON, NOON))) == (None, None)
    assert len((await both.same(lambda store: store.rows("prices", "kucoin", "BTC-USDT", Span(9)))).rows) == 1


# --- candles --------------------------------------------------------------------------------------------
INTERVALS = ["1m", "5m", "15m", "30m", "1h", "4h", "1d"]


@pytest.mark.parametrize("interval", INTERVALS)
async def test_told_candles_are_gathered_alike_and_sums_are_exact(both: Both, interval: str) -> None:
    for n in range(150):
        both.put(CANDLES, candle(NOON + n * MINUTE, (f"{n}.1", f"{n}.9", f"{n}.05", f"{n}.5"), n + 1, "0.1"))
    for span in (
        Span(3, NOON),
        Span(1000, NOON - DAY),
        Span(2),
        Span(9, NOON + 7, NOON + 20 * MINUTE + 1),
        Span(500, 0),
    ):
        await both.same(lambda store, s=span: store.candles("kucoin", "BTC-USDT", interval, s))
    page = await both.pages(lambda store, span: store.candles("kucoin", "BTC-USDT", interval, span), 7, NOON - DAY)
    assert sum(fields(row)["volume"] for row in page) == pytest.approx(15.0)


@pytest.mark.parametrize("interval", INTERVALS)
async def test_candles_of_prices_are_built_alike_and_a_told_minute_wins(both: Both, interval: str) -> None:
    for n in range(1, 200):
        both.put(PRICES, tick(NOON + n * 17 * SECOND, f"{100 + n * 37 % 50}.5", n))
    for n in range(10, 25):
        both.put(CANDLES, candle(NOON + n * MINUTE, ("1", "999", "0.5", "2"), n))
    for span in (Span(1000, NOON - DAY), Span(3, NOON - DAY), Span(5)):
        page = await both.same(lambda store, s=span: store.candles("kucoin", "BTC-USDT", interval, s))
        assert page.rows


async def test_an_hour_that_is_partly_told_is_mixed_by_the_minute_in_a_long_span_as_well(both: Both) -> None:
    both.put(PRICES, *(tick(NOON + n * 20 * SECOND, f"{n}.5", n) for n in range(1, 300)))
    both.put(CANDLES, *(candle(NOON + n * MINUTE, ("1", "999", "0.5", "2"), n) for n in range(1, 50)))
    page = await both.same(lambda store: store.candles("kucoin", "BTC-USDT", "1h", Span(1000, NOON - 30 * DAY)))
    assert fields(page.rows[0])["open"] == 0.5 or fields(page.rows[0])["high"] == 999


async def test_roll_ups_stand_in_for_rows_that_are_gone_and_trades_win_over_prices(both: Both) -> None:
    prices = {"open": 1.0, "high": 9.0, "low": 1.0, "close": 2.0, "count": 5}
    for hour in range(48):
        at = NOON + hour * 60 * MINUTE
        both.lines.write([rollup_line("BTC-USDT", "1h", "prices", at, **prices)])
        both.lines.write([rollup_line("BTC-USDT", "1m", "prices", at, **prices)])
    both.lines.write([rollup_line("BTC-USDT", "1m", "trades", NOON, **{**prices, "close": 3.0, "volume": 0.5})])
    both.put(PRICES, tick(NOON + 48 * 60 * MINUTE + SECOND, "7.5", 1))
    await both.settle()
    page = await both.influx.candles("kucoin", "BTC-USDT", "1m", Span(5, NOON, NOON + MINUTE))
    assert page.rows == [b'{"open":1,"high":9,"low":1,"close":3,"volume":0.5,"time_ns":%d,"built":true}' % NOON]
    page = await both.influx.candles("kucoin", "BTC-USDT", "4h", Span(1000, NOON))
    assert [fields(row)["close"] for row in page.rows] == [2.0] * 12 + [7.5]
    assert all(fields(row)["built"] for row in page.rows)


# --- latest, symbols, gaps, errors, catalogue -----------------------------------------------------------
async def test_the_newest_tick_of_each_symbol_and_the_symbols_are_the_same(both: Both) -> None:
    both.put(PRICES, *(tick(NOON + n, f"{n}.5", n) for n in range(1, 5)))
    both.put(Topics().price("binance", "ETH-USDT"), tick(NOON - 20 * DAY, "3", 1))
    both.put(Topics().trade("binance", "SOL-USDT"), trade(NOON, "2", 1))
    both.put(CANDLES, candle(NOON, ("1",) * 4, 1))
    newest = await both.same(_sorted_latest)
    assert [(exchange, symbol) for exchange, symbol, _ in newest] == [("binance", "ETH-USDT"), ("kucoin", "BTC-USDT")]
    assert await both.same(_symbols) == both.sqlite.symbols()


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_gaps_in_their_newest_state_come_in_the_same_pages(both: Both, limit: int) -> None:
    ends = [(0, 100), (50, 100), (10, 20), (60, None), (20, 300), (30, 100), (1, None)]
    for n, (from_s, to_s) in enumerate(ends, 1):
        symbols = ["BTC-USDT"] if n % 2 else None
        both.put(GAPS, gap(f"g{n}", NOON + from_s * SECOND, None, n, symbols=symbols))
        if to_s is not None:
            state = {"state": "partial", "reason": 'it said "no"\n', "expected": 120, "filled": 7, "symbols": symbols}
            both.put(GAPS, gap(f"g{n}", NOON + from_s * SECOND, NOON + to_s * SECOND, n + 10, **state))
    rows = await both.pages(lambda store, span: store.gaps("kucoin", None, span), limit, NOON)
    assert [fields(row)["id"] for row in rows] == ["g3", "g1", "g6", "g2", "g5", "g7", "g4"]
    for span in (Span(limit), Span(limit, NOON, NOON + 5 * SECOND), Span(limit, NOON + 200 * SECOND)):
        await both.same(lambda store, s=span: store.gaps(None, None, s))
        await both.same(lambda store, s=span: store.gaps("kucoin", "ETH-USDT", s))
    await both.same(lambda store: store.rows("gaps", "kucoin", "", Span(limit, 0)))


async def test_a_gap_that_changes_later_is_seen_in_its_new_state(both: Both) -> None:
    both.put(GAPS, gap("g1", NOON, None, 1))
    assert fields((await both.same(lambda store: store.gaps(None, None, Span(9)))).rows[0])["state"] == "open"
    both.put(GAPS, gap("g1", NOON, NOON + MINUTE, 2, state="filled"))
    assert fields((await both.same(lambda store: store.gaps(None, None, Span(9)))).rows[0])["state"] == "filled"


@pytest.mark.parametrize("limit", [1, 3, 1000])
async def test_the_error_table_is_chosen_from_alike(both: Both, limit: int) -> None:
    for n in range(1, 20):
        told = Trouble("frame" if n % 3 else "value", 'a "reason",\nof two lines', symbol="BTC-USDT" if n % 2 else None)
        both.put(ERRORS, numbered(trouble_body(told, NOON + n), RUN, n))
    both.put(Topics().errors("bridge"), numbered(trouble_body(Trouble("clock", "stepped"), NOON + 50), RUN, 1))
    both.put(Topics(shard="2/2").errors("kucoin"), numbered(trouble_body(Trouble("frame", "x"), NOON + 60), RUN, 1))
    for chosen in ((None, None, None), ("kucoin", None, None), (None, "value", None), (None, "frame", "BTC-USDT")):
        await both.pages(lambda store, span, c=chosen: store.errors(*c, span), limit, 0)
        await both.same(lambda store, c=chosen: store.errors(*c, Span(limit)))
    await both.same(lambda store: store.rows("errors", "kucoin", "2", Span(limit)))
    await both.same(lambda store: store.rows("errors", "kucoin", "", Span(limit)))


async def test_the_catalogue_is_the_same(both: Both) -> None:
    told = [
        Instrument("BTC-USDT", "BTC", "USDT", "BTCUSDT", price_step="0.1", size_step="0.00000001"),
        Instrument("ETH-USDT", "ETH", "USDT", "ETHUSDT"),
    ]
    both.put(Topics().catalogue("kucoin"), catalogue(told, NOON))
    assert [exchange for exchange, _ in await both.same(lambda store: store.catalogue())] == ["kucoin"] * 2


# --- what the audit asks --------------------------------------------------------------------------------
async def test_numbers_are_counted_alike_with_holes_and_late_rows(both: Both) -> None:
    there = [*range(1, 400), *range(410, 900), 905, *range(950, 1000)]
    both.put(PRICES, *(tick(NOON + n * SECOND, "1", n) for n in there))
    both.put(Topics().price("binance", "ETH-USDT"), tick(NOON, "1", 1), tick(NOON + 1, "1", 2))
    both.put(TRADES, *(trade(NOON - n * SECOND, "1", n) for n in (3, 1, 2, 5, 8)))
    both.put(CANDLES, candle(NOON, ("1",) * 4, 1), candle_fill(NOON, ("2",) * 4, 4))
    counted = await both.same(lambda store: _sorted_numbered(store, "prices", WHOLE))
    assert Numbered(Sequence(PRICES, RUN), len(there), 1, 999) in counted
    for kind in ("trades", "candles", "gaps"):
        await both.same(lambda store, k=kind: _sorted_numbered(store, k, WHOLE))
    await both.same(lambda store: store.numbered("prices", RUN, WHOLE, "binance"))
    sequence = Sequence(PRICES, RUN)
    for least, greatest in ((1, 999), (398, 412), (900, 949), (2000, 3000)):
        await both.same(lambda store, a=least, b=greatest: store.numbers(sequence, a, b, WHOLE))
    assert await both.same(lambda store: store.numbers(Sequence(TRADES, RUN), 1, 9, WHOLE)) == [(1, 3), (5, 5), (8, 8)]
    narrow = Span(1, NOON + 390 * SECOND, NOON + 420 * SECOND)
    assert await both.same(lambda store: store.numbers(sequence, 1, 999, narrow)) == [(390, 399), (410, 419)]
    await both.same(lambda store: _sorted_numbered(store, "prices", narrow))
    assert await both.same(lambda store: store.edges(PRICES, RUN, narrow)) == (389, 420)
    assert await both.same(lambda store: store.edges(PRICES, RUN, WHOLE)) == (None, None)
    assert await both.same(lambda store: store.edges(PRICES, RUN + 1, narrow)) == (None, None)


async def test_numbers_of_a_fill_and_of_one_run_beside_another_are_told_apart(both: Both) -> None:
    both.put(PRICES, *(tick(NOON + n, "1", n) for n in range(1, 6)))
    both.put(PRICES, *(tick(NOON + n, "1", n - 5, run=RUN + 1) for n in range(6, 11)))
    fill = Sequence(CANDLES, fill="fill-1")
    both.put(CANDLES, *(candle_fill(NOON + n * MINUTE, ("1",) * 4, n) for n in (1, 2, 4)))
    both.put(CANDLES, candle(NOON + 9 * MINUTE, ("1",) * 4, 7))
    for run, expected in ((RUN, [(1, 5)]), (RUN + 1, [(1, 5)]), (RUN + 2, [])):
        told = await both.same(lambda store, r=run: store.numbers(Sequence(PRICES, r), 1, 99, WHOLE))
        assert [tuple(one) for one in told] == expected
    assert await both.same(lambda store: store.fill_numbered("candles", "fill-1", WHOLE)) == [Numbered(fill, 3, 1, 4)]
    assert await both.same(lambda store: store.fill_numbered("candles", "fill-2", WHOLE)) == []
    assert await both.same(lambda store: store.numbers(fill, 1, 9, WHOLE)) == [(1, 2), (4, 4)]
    assert await both.same(lambda store: store.edges(PRICES, RUN, Span(1, NOON + 8, NOON + 9))) == (5, None)
    assert await both.same(lambda store: store.edges(PRICES, RUN + 1, Span(1, NOON, NOON + 3))) == (None, 1)


# --- through a real Telegraf ----------------------------------------------------------------------------
async def test_rows_that_telegraf_writes_are_those_that_the_recorder_stores(
    broker: Broker, influx: Influx, prefix: str, telegraf: Callable[..., Telegraf], both: Both
) -> None:
    told = [
        (PRICES, tick(NOON, "0.00000012", 1)),
        (PRICES, tick(NOON + 1, "67523", 2)),
        (TRADES, trade(NOON, "1.50", 1)),
        (CANDLES, candle(NOON, ("1.0", "2", "0.5", "1.50"), 3)),
        (CANDLES, candle_fill(NOON + MINUTE, ("1.0", "2", "0.5", "1.50"), 3)),
        (GAPS, gap("g1", NOON, None, 1, symbols=["BTC-USDT"], reason='a "reason"')),
        (ERRORS, numbered(trouble_body(Trouble("frame", 'why "so"\n', frame='{"a":1}'), NOON), RUN, 1)),
    ]
    environment = {
        "MQTT_URL": f"tcp://127.0.0.1:{broker.port}",
        "INFLUX_URL": influx.url,
        "INFLUX_ORG": influx.org,
        "INFLUX_TOKEN": influx.token,
        "INFLUX_BUCKET_PREFIX": prefix,
    }
    started = telegraf(environment)
    wait_until(lambda: started.log.count("] Connected [") >= 8, 30, lambda: started.log)
    for topic, payload in told:
        both.sqlite.append(topic, payload)
        run_client(["mosquitto_pub", "-p", str(broker.port), "-q", "1", "-t", topic, "-m", payload.decode()])
    async with asyncio.timeout(30):
        while len((await both.influx.errors(None, None, None, Span(9))).rows) < 1 or not await _whole(both.influx):
            await asyncio.sleep(0.2)
    for kind in ("prices", "trades"):
        await both.same(lambda store, k=kind: store.rows(k, "kucoin", "BTC-USDT", Span(9, 0)))
    await both.same(lambda store: store.candles("kucoin", "BTC-USDT", "1m", Span(9, NOON)))
    await both.same(lambda store: store.gaps(None, None, Span(9, 0)))
    await both.same(lambda store: store.errors(None, None, None, Span(9, 0)))


async def _whole(store: InfluxHistory) -> bool:
    rows = [await store.rows(kind, "kucoin", "BTC-USDT", Span(9)) for kind in ("prices", "trades")]
    candles = await store.candles("kucoin", "BTC-USDT", "1m", Span(9, NOON))
    gaps = await store.gaps(None, None, Span(9))
    return [len(page.rows) for page in (*rows, candles, gaps)] == [2, 1, 2, 1]


# --- helpers --------------------------------------------------------------------------------------------
async def _sorted_latest(store: History) -> list[tuple[str, str, bytes]]:
    return sorted(await store.latest())


async def _symbols(store: History) -> list[object]:
    return list(store.symbols())


async def _sorted_numbered(store: History, kind: str, span: Span) -> list[Numbered]:
    return sorted(await store.numbered(kind, RUN, span), key=lambda one: one.sequence.topic)


def _json(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode()
