"""KuCoin's REST: token, symbols, candles, trades, tickers. Answers `{"code":"200000","data":…}`."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from secrets import token_urlsafe
from time import monotonic, time_ns

from bridge.simulator import kucoin_frames as frames
from bridge.simulator.bars import gathered
from bridge.simulator.port import Answer, Denied, Query
from bridge.simulator.values import Listing, Source

MAX_CANDLES = 1500
_MINUTES = {"1min": 1, "5min": 5, "15min": 15, "30min": 30, "1hour": 60, "4hour": 240, "1day": 1440}
MAX_TRADES = 100
MAX_TOKENS = 1000
MS = 1_000_000


class Tokens:
    """Tokens that were given and not yet used: each is good for one line, and for a limited time."""

    def __init__(self, life_s: float) -> None:
        self.life_s = life_s
        self._given: OrderedDict[str, float] = OrderedDict()

    def give(self) -> str:
        """A new token; of too many unused ones the oldest is forgotten."""
        token = f"2neAiu{token_urlsafe(48)}=="
        self._given[token] = monotonic()
        if len(self._given) > MAX_TOKENS:
            self._given.popitem(last=False)
        return token

    def use(self, token: str) -> bool:
        """Whether the token is good; from now on it is not."""
        given = self._given.pop(token, None)
        return given is not None and monotonic() - given <= self.life_s


class KuCoinRest:
    """The REST calls of one simulated KuCoin. `rows` are the catalogue's rows if a recording has them."""

    def __init__(self, listings: Mapping[str, Listing], source: Source, tokens: Tokens) -> None:
        self.rows: list[object] | None = None
        self.endpoint: Callable[[], str] = str
        self.ping_interval_ms = 18_000
        self._listings, self._source, self._tokens = listings, source, tokens
        self.routes: dict[tuple[str, str], Answer] = {
            ("POST", "/api/v1/bullet-public"): self._bullet,
            ("GET", "/api/v2/symbols"): self._symbols,
            ("GET", "/api/v1/market/candles"): self._candles,
            ("GET", "/api/v1/market/histories"): self._histories,
            ("GET", "/api/v1/market/allTickers"): self._all_tickers,
            ("GET", "/api/v1/market/orderbook/level1"): self._level1,
        }

    def _bullet(self, _: Query) -> object:
        server = {
            "endpoint": self.endpoint(),
            "encrypt": False,
            "protocol": "websocket",
            "pingInterval": self.ping_interval_ms,
            "pingTimeout": 10_000,
        }
        return _good({"token": self._tokens.give(), "instanceServers": [server]})

    def _symbols(self, _: Query) -> object:
        return _good(self.rows or [frames.symbol_row(one) for one in self._listings.values()])

    def _candles(self, query: Query) -> object:
        """Newest first, [startAt, endAt) in s."""
        native = self._known(query)
        minutes = _MINUTES.get(query.get("type", ""))
        if minutes is None:
            raise _bad("type")
        until_s = _number(query, "endAt") or time_ns() // 1_000_000_000 + 60
        since_s = max(_number(query, "startAt"), until_s - 60 * minutes * MAX_CANDLES)
        since_s, until_s = (-(-edge // (60 * minutes)) * 60 * minutes for edge in (since_s, until_s))
        bars = gathered(self._source.bars(native, since_s, until_s, flat=False), minutes)
        return _good([frames.candle_row(bar) for bar in reversed(bars)])

    def _histories(self, query: Query) -> object:
        """The last trades, oldest first; `time` in ns."""
        trades = self._source.trades(self._known(query))[-MAX_TRADES:]
        rows = [
            {"sequence": str(frames.trade_id(one)), "price": one.price, "size": one.size, "side": one.side}
            | {"time": one.time_ms * MS}
            for one in trades
        ]
        return _good(rows)

    def _all_tickers(self, _: Query) -> object:
        rows = []
        for native, listing in self._listings.items():
            quote, day = self._source.quote(native), self._source.day(native)
            if quote is not None and day is not None:
                rows.append(frames.ticker_row(listing, quote, day))
        return _good({"time": time_ns() // MS, "ticker": rows})

    def _level1(self, query: Query) -> object:
        quote = self._source.quote(self._known(query))
        return _good(None if quote is None else frames.level1(quote))

    def _known(self, query: Query) -> str:
        native = query.get("symbol", "")
        if native not in self._listings:
            raise _bad("symbol")
        return native


def _good(data: object) -> dict[str, object]:
    return {"code": "200000", "data": data}


def _bad(parameter: str) -> Denied:
    """KuCoin's code 400100: parameter error. It comes with HTTP status 200."""
    return Denied(200, {"code": "400100", "msg": f"Parameter error: {parameter}"})


def _number(query: Query, name: str) -> int:
    text = query.get(name, "0")
    if not text.isascii() or not text.isdigit():
        raise _bad(name)
    return int(text)
