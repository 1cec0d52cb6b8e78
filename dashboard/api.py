"""The HTTP API: history, latest, symbols, gaps, health, and what the page needs to connect. Only GET.

Rows are passed on as the bytes that were published, so numbers keep their digits.
"""

from typing import Any

import msgspec
from msgspec import Raw
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.settings import Settings
from dashboard.costs import costs
from dashboard.history.base import History, Page
from dashboard.history.recorder import Recorder
from dashboard.live import LATEST_EXPIRY_S, LiveStates
from dashboard.parameters import only, read_interval, read_kind, read_span

HISTORY_PARAMETERS = {"from", "to", "interval", "limit", "kind"}


class Api:
    """The handlers. `history` and `recorder` are None where the history is switched off."""

    def __init__(
        self, settings: Settings, live: LiveStates, history: History | None, recorder: Recorder | None
    ) -> None:
        self._settings = settings
        self._live = live
        self._store = history
        self._recorder = recorder

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/history/{exchange}/{symbol}", self.history),
            Route("/api/v1/latest", self.latest),
            Route("/api/v1/symbols", self.symbols),
            Route("/api/v1/gaps", self.gaps),
            Route("/api/v1/health", self.health),
            Route("/api/v1/connect", self.connect),
            Route("/healthz", self.healthz),
        ]

    # --- history ------------------------------------------------------------------------------------
    async def history(self, request: Request) -> Response:
        """Rows or candles of one symbol; `next` is where more begins."""
        only(request, HISTORY_PARAMETERS)
        store = self._history()
        exchange, symbol = request.path_params["exchange"], request.path_params["symbol"]
        span, kind, interval = read_span(request), read_kind(request), read_interval(request)
        if not self._known(store, exchange, symbol):
            raise HTTPException(404, f"{exchange} has no symbol {symbol} here: /api/v1/symbols lists them")
        if kind == "gaps":
            return answer(await store.gaps(exchange, symbol, span))
        if interval is not None:
            return answer(await store.candles(exchange, symbol, interval, span))
        return answer(await store.rows(kind, exchange, symbol, span))

    async def gaps(self, request: Request) -> Response:
        """The newest state of every gap in a span of time."""
        only(request, {"exchange", "symbol", "from", "to", "limit"})
        query = request.query_params
        return answer(await self._history().gaps(query.get("exchange"), query.get("symbol"), read_span(request)))

    async def latest(self, request: Request) -> Response:
        """Every symbol's newest tick: live with its freshness, else from the history and marked stale."""
        only(request, set())
        rows: dict[tuple[str, str], bytes] = {}
        if self._store is not None:
            for exchange, symbol, payload in await self._store.latest():
                rows[exchange, symbol] = payload.rstrip()[:-1] + b',"stale":true,"reason":"no live message"}'
        rows.update(await self._live.latest())
        return answer(Page([named(*key, payload) for key, payload in sorted(rows.items())]))

    async def symbols(self, request: Request) -> Response:
        """Every symbol: its instrument as the exchange describes it, and the kinds of rows that are stored."""
        only(request, set())
        fields: dict[tuple[str, str], dict[str, Any]] = {key: {**one} for key, one in self._live.instruments().items()}
        for stored in self._store.symbols() if self._store is not None else ():
            fields.setdefault((stored.exchange, stored.symbol), {"symbol": stored.symbol})["stored"] = stored.kinds
        rows = [msgspec.json.encode({"exchange": exchange, **one}) for (exchange, _), one in sorted(fields.items())]
        return answer(Page(rows))

    # --- state --------------------------------------------------------------------------------------
    async def health(self, request: Request) -> Response:
        """Bridge and feeds as they say of themselves, recorder and store."""
        recorder = self._recorder.status() if self._recorder is not None else None
        history = self._store.status() if self._store is not None else None
        told = {"recorder": recorder, "history": history, "health": self._live.health()}
        return document({key: value for key, value in told.items() if value is not None})

    async def healthz(self, request: Request) -> Response:
        """200 while this process does its work, 503 when the store cannot be written. A lost broker is only told."""
        status = self._recorder.status() if self._recorder is not None else {"store": "off"}
        well = status["store"] in ("ok", "off")
        broker = self._live.broker if status.get("broker", "ok") == "ok" else status["broker"]
        told = {"ok": well, "store": status["store"], "broker": broker}
        return document(told, 200 if well else 503)

    async def connect(self, request: Request) -> Response:
        """How the page reaches the broker, at this page's own host name, and what it should say."""
        settings = self._settings
        page = settings.dashboard
        mqtt: dict[str, Any] = {"port": page.mqtt_websocket_port, "tls": False}
        if page.mqtt_user:
            mqtt |= {"user": page.mqtt_user, "password": page.mqtt_password or ""}
        status = self._store.status() if self._store is not None else {}
        return document(
            {
                "mqtt": mqtt,
                "prefix": settings.prefix.strip("/"),
                "instance": settings.instance,
                "latest_expiry_s": LATEST_EXPIRY_S,
                "demo": settings.demo,
                **costs(settings, status),
            }
        )

    # --- helpers ------------------------------------------------------------------------------------
    def _history(self) -> History:
        if self._store is None:
            raise HTTPException(503, "the history is switched off (history.enabled)")
        return self._store

    def _known(self, store: History, exchange: str, symbol: str) -> bool:
        if any((one.exchange, one.symbol) == (exchange, symbol) for one in store.symbols()):
            return True
        return (exchange, symbol) in self._live.instruments()


def named(exchange: str, symbol: str, payload: bytes) -> bytes:
    """A payload with what its topic told."""
    return b'{"exchange":%b,"symbol":%b,%b' % (
        msgspec.json.encode(exchange),
        msgspec.json.encode(symbol),
        payload.lstrip()[1:],
    )


def answer(page: Page) -> Response:
    more = b"" if page.next_ns is None else b',"next":%d' % page.next_ns
    return document(Raw(b'{"rows":[' + b",".join(page.rows) + b"]" + more + b"}"))


def document(told: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(told), status, {"cache-control": "no-store"}, "application/json")
