"""KuCoin spot, the classic public websocket (token by bullet-public, `/market/...` topics).

Source: KuCoin's API documentation, "Classic" WebSocket feed, and recorded frames (tests/exchanges/frames/kucoin).
"""

from collections.abc import Iterator, Sequence
from hashlib import sha1
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

import msgspec
from msgspec import Meta, Raw, Struct

from bridge.errors import FeedRefused, FrameError
from bridge.events import Candle, Channel, Digits, Instrument, Stats, Symbol, Tick, Trade
from bridge.exchanges.base import (
    MAX_INTEGER,
    UNREADABLE,
    Acked,
    Bye,
    Catalogue,
    Dial,
    Exchange,
    Fetch,
    Hosts,
    HttpRequest,
    Limits,
    Look,
    Milliseconds,
    Outcome,
    PastTrades,
    Pong,
    Refused,
    Send,
    TradesFrom,
    integer,
    reading,
    usable,
)

MS = 1_000_000
S = 1_000_000_000
SYMBOLS_PER_SUBSCRIBE = 100
REASON_SHOWN = 200
MOST_MISSED_FIRST = (Channel.TICKER, Channel.TRADES, Channel.CANDLES, Channel.STATS)
"""Subscriptions are paced: what nobody can fill later comes first."""
_TICKER, _MATCH, _SNAPSHOT, _CANDLES = "/market/ticker:", "/market/match:", "/market/snapshot:", "/market/candles:"
_FATAL_CODES = (400, 401, 403)
"""An error without a subscription of ours: bad token, ping timeout."""


class _TickerData(Struct):
    """{"bestAsk":"2667.61","bestAskSize":"10.59","bestBid":"2667.6","bestBidSize":"0.89","price":"2667.64",
    "sequence":"23242050174","size":"0.002","time":1790984011673}"""

    sequence: str
    time: Milliseconds | None = None
    price: str | None = None
    size: str | None = None
    bestBid: str | None = None  # noqa: N815 (KuCoin's own name)
    bestBidSize: str | None = None  # noqa: N815
    bestAsk: str | None = None  # noqa: N815
    bestAskSize: str | None = None  # noqa: N815


class _Ticker(Struct):
    """In `/market/ticker:all` the symbol is the subject, else the topic's end."""

    topic: str
    subject: str
    data: _TickerData


class _MatchData(Struct):
    """{"price":"67523","sequence":"11067996711960577","side":"buy","size":"0.003","symbol":"BTC-USDT",
    "time":"1729843222921000000","tradeId":"11067996711960577",…}; `side` is the taker's, `time` in ns."""

    symbol: str
    sequence: str
    side: str
    price: str
    size: str
    time: str
    tradeId: str  # noqa: N815


class _Match(Struct):
    data: _MatchData


class _PastTrade(Struct):
    """One row of `GET /api/v1/market/histories`: {"sequence":"11067996711960577","price":"67523","size":"0.003",
    "side":"buy","time":1729843222921000000}; `sequence` is the live feed's `tradeId`, `time` in ns."""

    sequence: str
    price: str
    size: str
    side: str
    time: Annotated[int, Meta(ge=0, le=MAX_INTEGER)]


class _CandlesData(Struct):
    """{"symbol":"BTC-USDT","candles":["1729839600", open, close, high, low, volume, turnover],"time":…}"""

    symbol: str
    candles: tuple[str, str, str, str, str, str, str]


class _Candles(Struct):
    topic: str
    data: _CandlesData


class _SnapshotRow(Struct):
    """The 24 h statistics: JSON numbers, kept as raw text for their digits; `datetime` in ms."""

    symbol: str
    datetime: Milliseconds
    open: Raw = Raw(b"null")
    high: Raw = Raw(b"null")
    low: Raw = Raw(b"null")
    lastTradedPrice: Raw = Raw(b"null")  # noqa: N815
    vol: Raw = Raw(b"null")
    volValue: Raw = Raw(b"null")  # noqa: N815
    changeRate: Raw = Raw(b"null")  # noqa: N815


class _SnapshotData(Struct):
    data: _SnapshotRow


class _Snapshot(Struct):
    data: _SnapshotData


class _Control(Struct):
    """welcome, ack, pong, error, or a message of a topic we do not read."""

    type: str
    id: str | None = None
    code: int | None = None
    data: Any = None


class _Server(Struct):
    endpoint: str
    pingInterval: int = 18_000  # noqa: N815


class _BulletData(Struct):
    token: str
    instanceServers: list[_Server]  # noqa: N815


class _Row(Struct):
    """One row of `GET /api/v2/symbols`."""

    symbol: str
    baseCurrency: str  # noqa: N815
    quoteCurrency: str  # noqa: N815
    enableTrading: bool  # noqa: N815
    priceIncrement: str | None = None  # noqa: N815
    baseIncrement: str | None = None  # noqa: N815


class _Answer(Struct):
    code: str
    data: Raw = Raw(b"null")
    msg: str = ""


_ticker = msgspec.json.Decoder(_Ticker).decode
_match = msgspec.json.Decoder(_Match).decode
_candles = msgspec.json.Decoder(_Candles).decode
_snapshot = msgspec.json.Decoder(_Snapshot).decode
_control = msgspec.json.Decoder(_Control).decode
_answer = msgspec.json.Decoder(_Answer).decode
_json = msgspec.json.encode


class KuCoin(Exchange):
    """KuCoin spot: ticker (per symbol or the whole market), 24 h snapshots, trades, 1 m candles."""

    name = "kucoin"
    title = "KuCoin"
    channels = frozenset(Channel)
    # 400 topics a session, but a comma list is counted oddly (older text: 300). 100 client messages in 10 s.
    limits = Limits(topics_per_line=300, sends_per_s=8.0, rest_weight=2000, rest_window_s=30.0)
    hosts = Hosts(rest="https://api.kucoin.com")
    whole_market_channels = frozenset({Channel.TICKER})
    candles_per_request: ClassVar[int] = 1500
    past_trades = PastTrades(most=100)
    intervals = frozenset({"1m", "5m", "15m", "30m", "1h", "4h", "1d"})

    def __init__(
        self, catalogue: Catalogue, channels: frozenset[Channel], *, whole: bool = False, hosts: Hosts | None = None
    ) -> None:
        super().__init__(catalogue, channels, whole=whole, hosts=hosts)
        self._welcomed = False
        self._last_id = 0
        self._pending: dict[str, tuple[Channel, tuple[Symbol, ...]]] = {}

    def prelude(self) -> HttpRequest:
        return HttpRequest(f"{self.at.rest}/api/v1/bullet-public", method="POST", weight=10)

    def dial(self, answer: bytes) -> Dial:
        with reading("bullet-public"):
            told = msgspec.json.decode(_data(answer), type=_BulletData)
            server = told.instanceServers[0]
        # the id only has to be unique among our lines, and each line has its own token
        line_id = sha1(told.token.encode(), usedforsecurity=False).hexdigest()[:16]
        url = f"{server.endpoint}?token={quote(told.token, safe='')}&connectId={line_id}"
        return Dial(url, ping_every_s=min(10.0, server.pingInterval / 2000))

    def greeted(self) -> bool:
        return self._welcomed

    def settled(self) -> bool:
        return not self._pending

    def subscribe(self, added: Sequence[Symbol]) -> list[str]:
        return list(self._frames("subscribe", added))

    def unsubscribe(self, removed: Sequence[Symbol]) -> list[str]:
        return list(self._frames("unsubscribe", removed))

    def ping(self, now_ns: int) -> str:
        return f'{{"id":"{now_ns // MS}","type":"ping"}}'

    def receive(self, frame: bytes, received_ns: int) -> list[Outcome]:
        try:
            if b'"/market/ticker:' in frame:
                return self._ticked(_ticker(frame), received_ns)
            if b'"/market/match:' in frame:
                return self._matched(_match(frame).data, received_ns)
            if b'"/market/candles:' in frame:
                return self._candled(_candles(frame), received_ns)
            if b'"/market/snapshot:' in frame:
                return self._summed(_snapshot(frame).data.data, received_ns)
            return self._controlled(_control(frame))
        except UNREADABLE as error:
            raise FrameError(f"{type(error).__name__}: {error}") from error

    # --- what each kind of frame tells --------------------------------------------------------------
    def _ticked(self, frame: _Ticker, received_ns: int) -> list[Outcome]:
        native = frame.topic[15:]
        symbol = self.catalogue.symbol_of.get(frame.subject if native == "all" else native)
        if symbol is None:
            return self.stranger(frame.subject if native == "all" else native, Channel.TICKER)
        return [_tick(symbol, frame.data, received_ns)]

    def _matched(self, told: _MatchData, received_ns: int) -> list[Outcome]:
        symbol = self.catalogue.symbol_of.get(told.symbol)
        if symbol is None:
            return self.stranger(told.symbol, Channel.TRADES)
        time_ns, number = integer(told.time), integer(told.sequence)
        return [Trade(symbol, received_ns, told.tradeId, told.side, told.price, told.size, time_ns, number)]

    def _candled(self, frame: _Candles, received_ns: int) -> list[Outcome]:
        symbol = self.catalogue.symbol_of.get(frame.data.symbol)
        if symbol is None:
            return self.stranger(frame.data.symbol, Channel.CANDLES)
        if not frame.topic.endswith("_1min"):
            return []
        return [_candle(symbol, frame.data.candles, received_ns, "1m", closed=None)]

    def _summed(self, row: _SnapshotRow, received_ns: int) -> list[Outcome]:
        symbol = self.catalogue.symbol_of.get(row.symbol)
        if symbol is None:
            return self.stranger(row.symbol, Channel.STATS)
        open_, high, low, last = (_digits(raw) for raw in (row.open, row.high, row.low, row.lastTradedPrice))
        volume, turnover, change = (_digits(raw) for raw in (row.vol, row.volValue, row.changeRate))
        return [Stats(symbol, received_ns, open_, high, low, last, volume, turnover, change, row.datetime * MS)]

    def _controlled(self, told: _Control) -> list[Outcome]:
        if told.type == "welcome":
            self._welcomed = True
        elif told.type == "pong":
            return [Pong()]
        elif told.type == "ack":
            channel, symbols = self._pending.pop(told.id or "", (None, ()))
            return [Acked(channel, symbols)]
        elif told.type == "error":
            return self._refused(told)
        return []

    def _refused(self, told: _Control) -> list[Outcome]:
        reason = f"error {told.code}: {str(told.data)[:REASON_SHOWN]}"
        if told.id not in self._pending:
            return [Bye(reason) if told.code in _FATAL_CODES else Refused("frame", reason)]
        channel, symbols = self._pending.pop(told.id)
        if len(symbols) > 1:
            # one bad name refuses its whole block: halves tell which
            half = len(symbols) // 2
            return [Send(self._subscription("subscribe", channel, part)) for part in (symbols[:half], symbols[half:])]
        return [Refused("symbol", reason, symbol, channel) for symbol in symbols]

    # --- subscriptions ------------------------------------------------------------------------------
    def _frames(self, kind: str, symbols: Sequence[Symbol]) -> Iterator[str]:
        known = [symbol for symbol in symbols if symbol in self.catalogue]
        for channel in (channel for channel in MOST_MISSED_FIRST if channel in self.wanted):
            if self.whole and channel is Channel.TICKER:
                yield self._frame(kind, f"{_TICKER}all", channel, ())
                continue
            for block in _blocks(known, SYMBOLS_PER_SUBSCRIBE if channel in _LISTED else 1):
                yield self._subscription(kind, channel, tuple(block))

    def _subscription(self, kind: str, channel: Channel, block: tuple[Symbol, ...]) -> str:
        natives = ",".join(self.catalogue.native(symbol) for symbol in block)
        return self._frame(kind, _TOPIC[channel].format(natives), channel, block)

    def _frame(self, kind: str, topic: str, channel: Channel, symbols: tuple[Symbol, ...]) -> str:
        self._last_id += 1
        if kind == "subscribe":
            self._pending[str(self._last_id)] = (channel, symbols)
        return _json({"id": str(self._last_id), "type": kind, "topic": topic, "response": kind == "subscribe"}).decode()

    # --- REST ---------------------------------------------------------------------------------------
    @classmethod
    def catalogue_request(cls, hosts: Hosts) -> HttpRequest:
        return HttpRequest(f"{hosts.rest}/api/v2/symbols", weight=4)

    @classmethod
    def read_catalogue(cls, answer: bytes) -> tuple[list[Instrument], list[Refused]]:
        with reading("symbols"):
            rows = msgspec.json.decode(_data(answer), type=list[_Row])
            return usable(map(_instrument, rows))

    def look(self, symbol: Symbol) -> Fetch:
        url = f"{self.at.rest}/api/v1/market/orderbook/level1?symbol={quote(self.catalogue.native(symbol), safe='')}"
        return Fetch(HttpRequest(url, weight=2), "look", (symbol,))

    def fetched(self, fetch: Fetch, answer: bytes, received_ns: int) -> list[Outcome]:
        with reading("level1"):
            told = msgspec.json.decode(_data(answer), type=_TickerData)
            return [Look(_tick(fetch.symbols[0], told, received_ns))]

    def candles_request(self, symbol: Symbol, interval: str, since_ns: int, until_ns: int) -> HttpRequest:
        native = quote(self.catalogue.native(symbol), safe="")
        span = f"type={_TYPES[interval]}&startAt={since_ns // S}&endAt={until_ns // S}"
        return HttpRequest(f"{self.at.rest}/api/v1/market/candles?symbol={native}&{span}", weight=3)

    def read_candles(self, symbol: Symbol, interval: str, answer: bytes, received_ns: int) -> list[Candle]:
        with reading("candles"):
            rows = msgspec.json.decode(_data(answer), type=list[tuple[str, str, str, str, str, str, str]])
            return [_candle(symbol, row, received_ns, interval, closed=True) for row in reversed(rows)]

    def trades_request(self, symbol: Symbol, start: TradesFrom) -> HttpRequest:
        native = quote(self.catalogue.native(symbol), safe="")
        return HttpRequest(f"{self.at.rest}/api/v1/market/histories?symbol={native}", weight=3)

    def read_trades(self, symbol: Symbol, answer: bytes, received_ns: int) -> list[Trade]:
        with reading("histories"):
            told = [(integer(row.sequence), row) for row in msgspec.json.decode(_data(answer), type=list[_PastTrade])]
            told.sort(key=lambda one: one[0])
            return [
                Trade(symbol, received_ns, row.sequence, row.side, row.price, row.size, row.time, number)
                for number, row in told
            ]


_TYPES = {
    "1m": "1min", "5m": "5min", "15m": "15min", "30m": "30min", "1h": "1hour", "4h": "4hour", "1d": "1day",
}  # fmt: skip
_LISTED = frozenset({Channel.TICKER, Channel.TRADES})
"""Channels whose topic takes a comma list; the others are documented with one symbol a topic."""
_TOPIC = {
    Channel.TICKER: _TICKER + "{}",
    Channel.TRADES: _MATCH + "{}",
    Channel.STATS: _SNAPSHOT + "{}",
    Channel.CANDLES: _CANDLES + "{}_1min",
}


def _data(answer: bytes) -> Raw:
    """The data of a REST answer. Raises FeedRefused when KuCoin says no, FrameError when unreadable."""
    with reading("answer"):
        told = _answer(answer)
    if told.code != "200000":
        raise FeedRefused(f"KuCoin answers {told.code}: {told.msg[:200]}")
    return told.data


def _tick(symbol: Symbol, told: _TickerData, received_ns: int) -> Tick:
    return Tick(
        symbol,
        received_ns,
        told.price or None,
        told.size or None,
        None if told.time is None else told.time * MS,
        told.bestBid or None,
        told.bestBidSize or None,
        told.bestAsk or None,
        told.bestAskSize or None,
        integer(told.sequence),
    )


def _candle(
    symbol: Symbol,
    row: tuple[str, str, str, str, str, str, str],
    received_ns: int,
    interval: str,
    *,
    closed: bool | None,
) -> Candle:
    """KuCoin's order is start (s), open, close, high, low, volume, turnover."""
    start, open_, close, high, low, volume, turnover = row
    return Candle(symbol, received_ns, interval, _seconds(start) * S, open_, high, low, close, volume, turnover, closed)


def _instrument(row: _Row) -> Instrument:
    base, quote_ = row.baseCurrency.upper(), row.quoteCurrency.upper()
    status = "trading" if row.enableTrading else "halted"
    return Instrument(f"{base}-{quote_}", base, quote_, row.symbol, row.priceIncrement, row.baseIncrement, status)


def _seconds(text: str) -> int:
    seconds = integer(text)
    if seconds > 9_000_000_000:
        raise ValueError(f"{text[:40]} s lies beyond the year 2255")
    return seconds


def _digits(raw: Raw) -> Digits | None:
    text = bytes(raw).decode().strip('"')
    return text if text not in ("", "null") else None


def _blocks(symbols: Sequence[Symbol], size: int) -> Iterator[Sequence[Symbol]]:
    for start in range(0, len(symbols), size):
        yield symbols[start : start + size]
