"""Binance spot: combined streams; a tick is joined from bookTicker (bid/ask) and miniTicker or aggTrade (price).

Source: Binance's "Web Socket Streams" and "REST API" documentation for spot, and recorded frames
(tests/exchanges/frames/binance). bookTicker has neither price nor time, miniTicker neither bid/ask nor sequence.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar
from urllib.parse import quote

import msgspec
from msgspec import Meta, Raw, Struct

from bridge.errors import FrameError
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
    Refused,
    TradesFrom,
    is_positive,
    reading,
    usable,
)

MS = 1_000_000
HOUR_NS = 3_600_000_000_000
STREAMS_PER_SUBSCRIBE = 100
_WHOLE = "!miniTicker@arr"


class _BookTicker(Struct):
    """{"u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000"}"""

    u: Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
    s: str
    b: str
    B: str
    a: str
    A: str


class _MiniTicker(Struct):
    """{"e":"24hrMiniTicker","E":1672515782136,"s":"BNBBTC","c":"0.0025","o":"0.0010","h":…,"l":…,"v":…,"q":…}"""

    E: Milliseconds
    s: str
    c: str
    o: str
    h: str
    l: str  # noqa: E741 (Binance's own name)
    v: str
    q: str


class _AggTrade(Struct):
    """{"e":"aggTrade","E":…,"s":"BNBBTC","a":12345,"p":"0.001","q":"100","T":…,"m":true,…}; m: buyer is maker."""

    s: str
    a: Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
    p: str
    q: str
    T: Milliseconds
    m: bool
    E: Milliseconds | None = None


class _PastTrade(Struct):
    """One row of `GET /api/v3/aggTrades`: {"a":26129,"p":"0.016","q":"4.7","T":1498793709153,"m":true,…}."""

    a: Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
    p: str
    q: str
    T: Milliseconds
    m: bool


class _KlineData(Struct):
    """{"t":1672515780000,"i":"1m","o":…,"c":…,"h":…,"l":…,"v":…,"q":…,"x":false,…}; t in ms, x: closed."""

    t: Milliseconds
    i: str
    o: str
    c: str
    h: str
    l: str  # noqa: E741
    v: str
    q: str
    x: bool


class _Kline(Struct):
    s: str
    k: _KlineData


class _BookTickerFrame(Struct):
    data: _BookTicker


class _MiniTickerFrame(Struct):
    data: _MiniTicker


class _MiniTickersFrame(Struct):
    data: list[_MiniTicker]


class _AggTradeFrame(Struct):
    data: _AggTrade


class _KlineFrame(Struct):
    data: _Kline


class _Control(Struct):
    """{"result":null,"id":1}, {"code":2,"msg":"Invalid request: …","id":1}, {"e":"serverShutdown",…} or a stream."""

    id: int | str | None = None
    code: int | None = None
    msg: str = ""
    stream: str = ""
    e: str = ""


class _Price(Struct):
    symbol: str
    price: str


class _Book(Struct):
    bidPrice: str  # noqa: N815 (Binance's own name)
    bidQty: str  # noqa: N815
    askPrice: str  # noqa: N815
    askQty: str  # noqa: N815


class _Filter(Struct):
    filterType: str  # noqa: N815
    tickSize: str | None = None  # noqa: N815
    stepSize: str | None = None  # noqa: N815


class _Row(Struct):
    """One row of `GET /api/v3/exchangeInfo`."""

    symbol: str
    status: str
    baseAsset: str  # noqa: N815
    quoteAsset: str  # noqa: N815
    filters: list[_Filter] = []


class _Info(Struct):
    symbols: list[_Row]


_book_ticker = msgspec.json.Decoder(_BookTickerFrame).decode
_mini_ticker = msgspec.json.Decoder(_MiniTickerFrame).decode
_mini_tickers = msgspec.json.Decoder(_MiniTickersFrame).decode
_agg_trade = msgspec.json.Decoder(_AggTradeFrame).decode
_kline = msgspec.json.Decoder(_KlineFrame).decode
_control = msgspec.json.Decoder(_Control).decode
_json = msgspec.json.encode


class _Known:
    """What this line has told of one symbol so far."""

    __slots__ = ("book", "price", "price_time_ns", "size", "trade_id")

    def __init__(self) -> None:
        self.price: Digits | None = None
        self.size: Digits | None = None
        self.price_time_ns: int | None = None
        self.book: _BookTicker | None = None
        self.trade_id = -1


class Binance(Exchange):
    """Binance spot: ticks joined from two streams, 24 h statistics, aggregate trades, 1 m candles."""

    name = "binance"
    title = "Binance"
    channels = frozenset(Channel)
    # 1024 streams a connection; 5 client messages a second, pings and pongs included, so leave them room
    limits = Limits(topics_per_line=1000, sends_per_s=3.0, rest_weight=6000, rest_window_s=60.0)
    hosts = Hosts(rest="https://api.binance.com", ws="wss://stream.binance.com:9443")
    whole_market_channels = frozenset({Channel.TICKER, Channel.STATS})
    whole_market_has_book = False
    consecutive_trades = True
    candles_per_request: ClassVar[int] = 1000
    past_trades = PastTrades(most=1000, by_number=True, window_ns=HOUR_NS)
    intervals = frozenset({"1m", "5m", "15m", "30m", "1h", "4h", "1d"})

    def __init__(
        self, catalogue: Catalogue, channels: frozenset[Channel], *, whole: bool = False, hosts: Hosts | None = None
    ) -> None:
        super().__init__(catalogue, channels, whole=whole, hosts=hosts)
        self._known: dict[Symbol, _Known] = {}
        self._pending: dict[int, tuple[Symbol, ...]] = {}
        self._last_id = 0

    def dial(self, answer: bytes) -> Dial:
        return Dial(f"{self.at.ws}/stream")

    def subscribe(self, added: Sequence[Symbol]) -> list[str]:
        return list(self._frames("SUBSCRIBE", added))

    def unsubscribe(self, removed: Sequence[Symbol]) -> list[str]:
        return list(self._frames("UNSUBSCRIBE", removed))

    def settled(self) -> bool:
        return not self._pending

    def receive(self, frame: bytes, received_ns: int) -> list[Outcome]:
        try:
            if b'@bookTicker"' in frame:
                return self._booked(_book_ticker(frame).data, received_ns)
            if b'@aggTrade"' in frame:
                return self._traded(_agg_trade(frame).data, received_ns)
            if b"@kline_" in frame:
                return self._candled(_kline(frame).data, received_ns)
            if b'@miniTicker"' in frame:
                return self._summed(_mini_ticker(frame).data, received_ns)
            if b'"!miniTicker@arr"' in frame:
                rows = _mini_tickers(frame).data
                return [outcome for row in rows for outcome in self._summed(row, received_ns)]
            return self._controlled(_control(frame))
        except UNREADABLE as error:
            raise FrameError(f"{type(error).__name__}: {error}") from error

    # --- what each kind of frame tells --------------------------------------------------------------
    def _booked(self, book: _BookTicker, received_ns: int) -> list[Outcome]:
        symbol = self.catalogue.symbol_of.get(book.s)
        if symbol is None:
            return self.stranger(book.s, Channel.TICKER)
        known = self._known.get(symbol) or self._known.setdefault(symbol, _Known())
        known.book = book
        return [_joined(symbol, known, received_ns)]

    def _traded(self, told: _AggTrade, received_ns: int) -> list[Outcome]:
        symbol = self.catalogue.symbol_of.get(told.s)
        if symbol is None:
            return self.stranger(told.s, Channel.TRADES)
        side = "sell" if told.m else "buy"
        outcomes: list[Outcome] = [
            Trade(symbol, received_ns, str(told.a), side, told.p, told.q, told.T * MS, told.a),
        ]
        known = self._known.setdefault(symbol, _Known())
        # a repeated or late trade, or one that cannot be, moves no price
        if Channel.TICKER in self.wanted and told.a > known.trade_id and is_positive(told.p) and is_positive(told.q):
            known.trade_id = told.a
            known.price, known.size, known.price_time_ns = told.p, told.q, told.T * MS
            outcomes.append(_joined(symbol, known, received_ns, told.E))
        return outcomes

    def _candled(self, told: _Kline, received_ns: int) -> list[Outcome]:
        symbol = self.catalogue.symbol_of.get(told.s)
        if symbol is None:
            return self.stranger(told.s, Channel.CANDLES)
        k = told.k
        if k.i != "1m":
            return []
        return [Candle(symbol, received_ns, k.i, k.t * MS, k.o, k.h, k.l, k.c, k.v, k.q, k.x)]

    def _summed(self, told: _MiniTicker, received_ns: int) -> list[Outcome]:
        """Statistics always; a tick only where the price is news (trades tell it earlier and with its size)."""
        symbol = self.catalogue.symbol_of.get(told.s)
        if symbol is None:
            return self.stranger(told.s, Channel.STATS)
        outcomes: list[Outcome] = []
        if Channel.STATS in self.wanted:
            outcomes.append(_stats(symbol, told, received_ns))
        known = self._known.setdefault(symbol, _Known())
        older = known.price_time_ns is not None and known.price_time_ns > told.E * MS
        if Channel.TICKER in self.wanted and known.price != told.c and not older and is_positive(told.c):
            known.price, known.size, known.price_time_ns = told.c, None, None
            outcomes.append(_joined(symbol, known, received_ns, told.E))
        return outcomes

    def _controlled(self, told: _Control) -> list[Outcome]:
        if told.e == "serverShutdown" or told.stream == "!serverShutdown":
            return [Bye("the server shuts down (serverShutdown)")]
        if told.stream:
            return []
        if not isinstance(told.id, int):
            raise FrameError("neither a stream nor an answer to us")
        symbols = self._pending.pop(told.id, ())
        if told.code is not None:
            reason = f"error {told.code}: {told.msg[:200]}"
            return [Refused("symbol", reason, symbol) for symbol in symbols] or [Refused("frame", reason)]
        outcomes: list[Outcome] = [Acked(None, symbols)]
        if Channel.TICKER in self.wanted and symbols and not self.whole:
            outcomes.append(self._prices(symbols))
        return outcomes

    # --- subscriptions ------------------------------------------------------------------------------
    def _frames(self, method: str, symbols: Sequence[Symbol]) -> Iterator[str]:
        if self.whole:
            yield self._frame(method, [_WHOLE], ())
            return
        kinds = _kinds(self.wanted)
        size = max(1, STREAMS_PER_SUBSCRIBE // max(1, len(kinds)))
        known = [symbol for symbol in symbols if symbol in self.catalogue]
        for start in range(0, len(known), size):
            block = tuple(known[start : start + size])
            natives = [self.catalogue.native(symbol).lower() for symbol in block]
            yield self._frame(method, [f"{native}@{kind}" for native in natives for kind in kinds], block)

    def _frame(self, method: str, streams: list[str], symbols: tuple[Symbol, ...]) -> str:
        self._last_id += 1
        if method == "SUBSCRIBE":
            self._pending[self._last_id] = symbols
        return _json({"method": method, "params": streams, "id": self._last_id}).decode()

    @classmethod
    def topics_per_symbol(cls, channels: frozenset[Channel]) -> int:
        return len(_kinds(channels))

    # --- REST ---------------------------------------------------------------------------------------
    def _prices(self, symbols: tuple[Symbol, ...]) -> Fetch:
        """Last prices at connect, so that no tick stays without one until the first trade."""
        natives = _json([self.catalogue.native(symbol) for symbol in symbols]).decode()
        url = f"{self.at.rest}/api/v3/ticker/price?symbols={quote(natives, safe='')}"
        return Fetch(HttpRequest(url, weight=4), "prices", symbols)

    def look(self, symbol: Symbol) -> Fetch:
        url = f"{self.at.rest}/api/v3/ticker/bookTicker?symbol={quote(self.catalogue.native(symbol), safe='')}"
        return Fetch(HttpRequest(url, weight=2), "look", (symbol,))

    def fetched(self, fetch: Fetch, answer: bytes, received_ns: int) -> list[Outcome]:
        with reading(fetch.purpose):
            if fetch.purpose == "look":
                book = msgspec.json.decode(answer, type=_Book)
                sides = (book.bidPrice, book.bidQty, book.askPrice, book.askQty)
                return [Look(Tick(fetch.symbols[0], received_ns, None, None, None, *sides))]
            rows = msgspec.json.decode(answer, type=list[_Price])
            return [tick for row in rows for tick in self._priced(row, received_ns)]

    def _priced(self, row: _Price, received_ns: int) -> list[Tick]:
        symbol = self.catalogue.symbol_of.get(row.symbol)
        if symbol is None:
            return []
        known = self._known.setdefault(symbol, _Known())
        if known.price is not None or not is_positive(row.price):
            return []
        known.price = row.price
        return [_joined(symbol, known, received_ns)]

    @classmethod
    def catalogue_request(cls, hosts: Hosts) -> HttpRequest:
        return HttpRequest(f"{hosts.rest}/api/v3/exchangeInfo?permissions=SPOT&showPermissionSets=false", weight=20)

    @classmethod
    def read_catalogue(cls, answer: bytes) -> tuple[list[Instrument], list[Refused]]:
        with reading("exchangeInfo"):
            return usable(map(_instrument, msgspec.json.decode(answer, type=_Info).symbols))

    def candles_request(self, symbol: Symbol, interval: str, since_ns: int, until_ns: int) -> HttpRequest:
        native = quote(self.catalogue.native(symbol), safe="")
        span = f"startTime={since_ns // MS}&endTime={until_ns // MS - 1}&limit={self.candles_per_request}"
        return HttpRequest(f"{self.at.rest}/api/v3/klines?symbol={native}&interval={interval}&{span}", weight=2)

    def read_candles(self, symbol: Symbol, interval: str, answer: bytes, received_ns: int) -> list[Candle]:
        """A row: open time (ms), open, high, low, close, volume, close time, quote volume, …"""
        with reading("klines"):
            rows = msgspec.json.decode(
                answer, type=list[tuple[Milliseconds, str, str, str, str, str, int, str, Raw, Raw, Raw, Raw]]
            )
            return [Candle(symbol, received_ns, interval, r[0] * MS, *r[1:6], r[7], closed=True) for r in rows]

    def trades_request(self, symbol: Symbol, start: TradesFrom) -> HttpRequest:
        span = ""
        if start.number is not None:
            span = f"&fromId={start.number}"
        elif start.since_ns is not None:
            until_ns = start.since_ns + HOUR_NS if start.until_ns is None else start.until_ns
            span = f"&startTime={start.since_ns // MS}&endTime={max(start.since_ns, until_ns - 1) // MS}"
        native = quote(self.catalogue.native(symbol), safe="")
        url = f"{self.at.rest}/api/v3/aggTrades?symbol={native}{span}&limit={self.past_trades.most}"
        return HttpRequest(url, weight=4)

    def read_trades(self, symbol: Symbol, answer: bytes, received_ns: int) -> list[Trade]:
        with reading("aggTrades"):
            rows = sorted(msgspec.json.decode(answer, type=list[_PastTrade]), key=lambda row: row.a)
            return [
                Trade(symbol, received_ns, str(r.a), "sell" if r.m else "buy", r.p, r.q, r.T * MS, r.a) for r in rows
            ]


def _kinds(channels: frozenset[Channel]) -> list[str]:
    """The streams of one symbol: ticker and stats share miniTicker."""
    kinds = set()
    if Channel.TICKER in channels:
        kinds |= {"bookTicker", "miniTicker"}
    if Channel.STATS in channels:
        kinds.add("miniTicker")
    if Channel.TRADES in channels:
        kinds.add("aggTrade")
    if Channel.CANDLES in channels:
        kinds.add("kline_1m")
    return sorted(kinds)


def _joined(symbol: Symbol, known: _Known, received_ns: int, event_ms: int | None = None) -> Tick:
    book = known.book
    sent_ns = None if event_ms is None else event_ms * MS
    if book is None:
        price = (known.price, known.size, known.price_time_ns)
        return Tick(symbol, received_ns, *price, exchange_time_ns=sent_ns)
    return Tick(
        symbol,
        received_ns,
        known.price,
        known.size,
        known.price_time_ns,
        book.b,
        book.B,
        book.a,
        book.A,
        book.u,
        sent_ns,
    )


def _stats(symbol: Symbol, told: _MiniTicker, received_ns: int) -> Stats:
    change = None if float(told.o) == 0 else f"{float(told.c) / float(told.o) - 1:.6f}"
    return Stats(symbol, received_ns, told.o, told.h, told.l, told.c, told.v, told.q, change, told.E * MS)


def _instrument(row: _Row) -> Instrument:
    base, quote_ = row.baseAsset.upper(), row.quoteAsset.upper()
    price_step = next((f.tickSize for f in row.filters if f.filterType == "PRICE_FILTER"), None)
    size_step = next((f.stepSize for f in row.filters if f.filterType == "LOT_SIZE"), None)
    status = "trading" if row.status == "TRADING" else "halted"
    return Instrument(f"{base}-{quote_}", base, quote_, row.symbol, price_step, size_step, status)
