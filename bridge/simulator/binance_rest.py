"""Binance's REST: exchangeInfo, klines, aggTrades and the three tickers."""

from collections.abc import Callable, Mapping
from time import time_ns

import msgspec

from bridge.simulator import binance_frames as frames
from bridge.simulator.bars import gathered
from bridge.simulator.port import Answer, Denied, Query
from bridge.simulator.values import Deal, Listing, Source

MS = 1_000_000
DEFAULT_ROWS, MAX_ROWS = 500, 1000
MAX_SYMBOLS = 10_000
HOUR_MS = 3_600_000
_MINUTES = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "4h": 240, "1d": 1440}


class BinanceRest:
    """The REST calls of one simulated Binance. `rows` are the catalogue's rows if a recording has them."""

    def __init__(self, listings: Mapping[str, Listing], source: Source) -> None:
        self.rows: list[object] | None = None
        self.most_trades = MAX_ROWS
        """A fault: it tells fewer trades at once than it says."""
        self.forgets_below = 0
        """A fault: it knows no trade with a lower id."""
        self._listings, self._source = listings, source
        self.routes: dict[tuple[str, str], Answer] = {
            ("GET", "/api/v3/exchangeInfo"): self._info,
            ("GET", "/api/v3/klines"): self._klines,
            ("GET", "/api/v3/aggTrades"): self._agg_trades,
            ("GET", "/api/v3/ticker/24hr"): lambda query: self._tickers(query, self._day),
            ("GET", "/api/v3/ticker/price"): lambda query: self._tickers(query, self._price),
            ("GET", "/api/v3/ticker/bookTicker"): lambda query: self._tickers(query, self._book),
        }

    def _info(self, _: Query) -> object:
        rows = self.rows or [frames.symbol_row(one) for one in self._listings.values()]
        weight = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}
        head = {"timezone": "UTC", "serverTime": _now_ms(), "rateLimits": [weight], "exchangeFilters": []}
        return head | {"symbols": rows}

    def _klines(self, query: Query) -> object:
        """Ascending. No times: the newest; startTime alone: the oldest from there."""
        native, limit = self._known(query), _limit(query)
        minutes = _MINUTES.get(query.get("interval", ""))
        if minutes is None:
            raise _bad(-1120, "Invalid interval.")
        step_ms = minutes * 60_000
        until_ms = _number(query, "endTime", _now_ms()) + 1
        since_ms = _number(query, "startTime", until_ms - limit * step_ms)
        if "startTime" in query:
            until_ms = min(until_ms, since_ms + limit * step_ms)
        since_ms, until_ms = (-(-edge // step_ms) * step_ms for edge in (since_ms, until_ms))
        bars = gathered(self._source.bars(native, since_ms // 1000, until_ms // 1000, flat=True), minutes)
        return [frames.kline_row(bar, minutes) for bar in bars[-limit:]]

    def _agg_trades(self, query: Query) -> object:
        """Ascending: from an id, or within times (ms, both inclusive), else the newest."""
        trades, limit = self._source.trades(self._known(query)), min(_limit(query), self.most_trades)
        trades = [one for one in trades if one.id >= self.forgets_below] if self.forgets_below else trades
        if "fromId" in query:
            first = _number(query, "fromId", 0)
            chosen = [one for one in trades if one.id >= first][:limit]
        elif "startTime" in query or "endTime" in query:
            chosen = _within(trades, query)[:limit]
        else:
            chosen = trades[-limit:]
        return [frames.trade_row(one) for one in chosen]

    def _tickers(self, query: Query, row: Callable[[str], dict[str, object] | None]) -> object:
        """`symbol`: one object; `symbols` (a JSON list): a list; neither: a list of all."""
        if "symbol" in query:
            return row(self._known(query)) or {}
        rows = [row(native) for native in self._listed(query)]
        return [one for one in rows if one is not None]

    def _listed(self, query: Query) -> list[str]:
        if "symbols" not in query:
            return list(self._listings)
        try:
            natives = msgspec.json.decode(query["symbols"], type=list[str])
        except msgspec.DecodeError as error:
            raise _bad(-1100, "Illegal characters found in parameter 'symbols'.") from error
        if len(natives) > MAX_SYMBOLS or any(native not in self._listings for native in natives):
            raise _bad(-1121, "Invalid symbol.")
        return natives

    def _day(self, native: str) -> dict[str, object] | None:
        day, quote = self._source.day(native), self._source.quote(native)
        return None if day is None or quote is None else frames.day_row(day, quote, _now_ms())

    def _price(self, native: str) -> dict[str, object] | None:
        quote = self._source.quote(native)
        return {"symbol": native, "price": quote.price} if quote is not None and quote.price else None

    def _book(self, native: str) -> dict[str, object] | None:
        quote = self._source.quote(native)
        return frames.book_row(quote) if quote is not None and quote.bid else None

    def _known(self, query: Query) -> str:
        native = query.get("symbol", "")
        if not native:
            raise _bad(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        if native not in self._listings:
            raise _bad(-1121, "Invalid symbol.")
        return native


def _within(trades: list[Deal], query: Query) -> list[Deal]:
    since = _number(query, "startTime", 0)
    until = _number(query, "endTime", since + HOUR_MS if since else _now_ms())
    if since and until - since > HOUR_MS:
        raise _bad(-1127, "More than 1 hour between startTime and endTime.")
    return [one for one in trades if since <= one.time_ms <= until]


def _limit(query: Query) -> int:
    return max(1, min(MAX_ROWS, _number(query, "limit", DEFAULT_ROWS)))


def _number(query: Query, name: str, otherwise: int) -> int:
    text = query.get(name)
    if text is None:
        return otherwise
    if not text.isascii() or not text.isdigit():
        raise _bad(-1100, f"Illegal characters found in parameter '{name}'.")
    return int(text)


def _bad(code: int, message: str) -> Denied:
    return Denied(400, {"code": code, "msg": message})


def _now_ms() -> int:
    return time_ns() // MS
