"""Recorded frames over real sockets, the real bridge and a real Mosquitto: what arrives has the recorded digits.

The expected digits are cut from the raw frame's text, not made by our own decoder.
"""

import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bridge.simulator import Simulator
from tests.broker import Broker
from tests.captures import capture, frames
from tests.running import Subscriber, environment, subscribed, tickbridge

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

KUCOIN = "kucoin/full_classic.cryptofeed-2021-04-23.jsonl"
KUCOIN_CANDLES = "kucoin/candle.cryptofeed-2021-04-25.jsonl"
BINANCE = "binance/full.cryptofeed-2021-04-17.jsonl"
MS = 1_000_000


class Replayed(NamedTuple):
    """What was heard, by how much the exchange's times were shifted (ns), our symbol of each native name."""

    heard: Subscriber
    shift_ns: int
    symbols: dict[str, str]


@asynccontextmanager
async def replayed(broker: Broker, folder: Path, exchange: str, name: str) -> AsyncIterator[Replayed]:
    """What a store heard of a capture played once at full pace."""
    path = capture(name)
    options: dict[str, Any] = {f"{exchange}_replay": path, "full_pace": True, "settle_s": 4.0}
    other = {"kucoin": "BINANCE", "binance": "KUCOIN"}[exchange]
    async with Simulator(**options) as sim, subscribed(broker) as heard:
        venue = getattr(sim, exchange)
        listings = venue.player.recording.listings
        symbols = {one.native: f"{one.base}-{one.quote}".upper() for one in listings}
        env = environment(broker, folder, sim, **{
            f"EXCHANGES__{other}__ENABLED": "false",
            f"EXCHANGES__{exchange.upper()}__SYMBOLS": json.dumps(list(symbols.values())),
            "FEED__FIRST_CANDLES_H": 0,
        })  # fmt: skip
        with tickbridge("run", folder, env):
            await heard.until(lambda: venue.player.finished >= 1, 90)
            await heard.settled()
        yield Replayed(heard, venue.player.recording.shift_ns, symbols)


def field(text: str, name: str) -> str | None:
    """A field's digits, cut from a frame's text."""
    found = re.search(rf'"{name}":"?([^",}}\]]*)"?', text)
    return found[1] if found else None


def cut(payload: bytes, *names: str) -> tuple[str | None, ...]:
    """Fields of a published payload, as text."""
    return tuple(field(payload.decode(), name) for name in names)


def distinct(rows: Iterable[Any]) -> list[Any]:
    """Without what equals the row right before it."""
    kept: list[Any] = []
    for row in rows:
        if not kept or kept[-1] != row:
            kept.append(row)
    return kept


def assert_numbered_without_a_hole(heard: Subscriber) -> None:
    for topic in heard.topics(""):
        numbers = [told["n"] for told in heard.told(topic) if "n" in told]
        assert numbers == list(range(1, len(numbers) + 1)), topic


async def test_kucoins_recorded_ticks_and_trades_arrive_digit_by_digit(broker: Broker, tmp_path: Path) -> None:
    ticks, trades = defaultdict(list), defaultdict(list)
    for _, text in frames(KUCOIN):
        if '"trade.ticker"' in text:
            names = ("price", "size", "bestBid", "bestBidSize", "bestAsk", "bestAskSize", "sequence", "time")
            ticks[text.split("/market/ticker:")[1].split('"')[0]].append(tuple(field(text, n) for n in names))
        elif '"trade.l3match"' in text:
            names = ("tradeId", "side", "price", "size", "time")
            trades[field(text, "symbol") or ""].append(tuple(field(text, n) for n in names))
    async with replayed(broker, tmp_path, "kucoin", KUCOIN) as (heard, shift_ns, symbols):
        for native, expected in ticks.items():
            topic = f"prices/kucoin/{symbols[native]}"
            names = ("price", "size", "bid", "bid_size", "ask", "ask_size", "seq", "price_time_ns")
            got = [cut(payload, *names) for payload in heard.payloads[topic]]
            told = [(*row[:-1], str((int(row[-1] or 0) - shift_ns) // MS)) for row in got]
            assert told == distinct(expected), topic
        for native, expected in trades.items():
            topic = f"trades/kucoin/{symbols[native]}"
            names = ("id", "side", "price", "size", "exchange_time_ns")
            got = [cut(payload, *names) for payload in heard.payloads[topic]]
            assert [(*row[:-1], str(int(row[-1] or 0) - shift_ns)) for row in got] == expected, topic
        assert len(heard.topics("prices/")) == len(ticks)
        keys = [(topic, told["time_ns"]) for topic in heard.topics("trades/") for told in heard.told(topic)]
        assert len(set(keys)) == len(keys)
        assert_numbered_without_a_hole(heard)


async def test_binances_recorded_books_trades_and_candles_arrive_digit_by_digit(broker: Broker, tmp_path: Path) -> None:
    books, trades, candles = defaultdict(list), defaultdict(list), defaultdict(list)
    for _, text in frames(BINANCE):
        native = field(text, "s")
        if "@bookTicker" in text:
            books[native].append(tuple(field(text, name) for name in ("u", "b", "B", "a", "A")))
        elif "@aggTrade" in text:
            trades[native].append(tuple(field(text, name) for name in ("a", "p", "q", "T")))
        elif "@kline_1m" in text and '"x":true' in text:
            k = text.split('"k":')[1]
            candles[native].append(tuple(field(k, name) for name in ("t", "o", "h", "l", "c", "v", "q")))
    async with replayed(broker, tmp_path, "binance", BINANCE) as (heard, shift_ns, symbols):
        for native, expected in books.items():
            names = ("seq", "bid", "bid_size", "ask", "ask_size")
            got = [cut(payload, *names) for payload in heard.payloads[f"prices/binance/{symbols[native or '']}"]]
            assert distinct(row for row in got if row[0] is not None) == distinct(expected), native
        for native, expected in trades.items():
            payloads = heard.payloads[f"trades/binance/{symbols[native or '']}"]
            got = [cut(payload, "id", "price", "size", "exchange_time_ns") for payload in payloads]
            assert [(*row[:-1], str((int(row[-1] or 0) - shift_ns) // MS)) for row in got] == expected, native
        for native, expected in candles.items():
            payloads = heard.payloads[f"candles/binance/{symbols[native or '']}/1m"]
            names = ("time_ns", "open", "high", "low", "close", "volume", "quote_volume")
            got = [cut(payload, *names) for payload in payloads]
            assert [(str((int(row[0] or 0) - shift_ns) // MS), *row[1:]) for row in got] == expected, native
        assert_numbered_without_a_hole(heard)


async def test_kucoins_recorded_candles_are_closed_by_the_next_one(broker: Broker, tmp_path: Path) -> None:
    newest: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for _, text in frames(KUCOIN_CANDLES):
        rows = re.findall(r'"([0-9.]+)"', text.split('"candles":[')[1].split("]")[0])
        newest[field(text, "symbol") or ""][rows[0]] = rows
    async with replayed(broker, tmp_path, "kucoin", KUCOIN_CANDLES) as (heard, shift_ns, symbols):
        for symbol, minutes in newest.items():
            closed = [minutes[start] for start in sorted(minutes)][:-1]
            payloads = heard.payloads.get(f"candles/kucoin/{symbols[symbol]}/1m", [])
            names = ("time_ns", "open", "close", "high", "low", "volume", "quote_volume")
            got = [cut(payload, *names) for payload in payloads]
            told = [[str((int(row[0] or 0) - shift_ns) // 10**9), *row[1:]] for row in got]
            # the last minute is closed by the clock some seconds after its end, if the play lasts that long
            assert told[: len(closed)] == closed, symbol
