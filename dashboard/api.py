"""The HTTP API: history, latest, symbols, gaps, health, and what the page needs to connect. Only GET.

Rows are passed on as the bytes that were published, so numbers keep their digits.
"""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.errors import StoreError
from bridge.settings import Settings
from dashboard import errors_api
from dashboard.answers import document, listed, paged
from dashboard.audit.keeper import Keeper
from dashboard.costs import costs
from dashboard.description import description
from dashboard.door.clients import is_near
from dashboard.door.door import Door
from dashboard.door.gate import KNOWN
from dashboard.history.base import History, Stored
from dashboard.history.recorder import Recorder
from dashboard.live import LATEST_EXPIRY_S, LiveStates
from dashboard.parameters import (
    GAPS_PARAMETERS,
    HISTORY_PARAMETERS,
    LIST_PARAMETERS,
    only,
    read_interval,
    read_kind,
    read_span,
)
from dashboard.watchlist import watchlist

_fields = msgspec.json.Decoder(dict[str, Raw]).decode

if TYPE_CHECKING:
    from dashboard.telegraf_health import TelegrafHealth


class Api:
    """The handlers. `history`, `recorder` and `keeper` (the audit) are None where they are switched off."""

    def __init__(
        self,
        settings: Settings,
        live: LiveStates,
        history: History | None,
        recorder: Recorder | None,
        keeper: Keeper | None = None,
    ) -> None:
        self._keeper = keeper
        self._settings = settings
        self._live = live
        self._store = history
        self._recorder = recorder
        self.telegraf: TelegrafHealth | None = None
        """Where Telegraf feeds the store."""
        self.door: Door | None = None

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names of this machine that only its owner can know."""
        return self._settings.dashboard.hosts

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/history/{exchange}/{symbol}", self.history),
            Route("/api/v1/latest", self.latest),
            Route("/api/v1/symbols", self.symbols),
            Route("/api/v1/gaps", self.gaps),
            Route("/api/v1/errors", self.errors),
            Route("/api/v1/health", self.health),
            Route("/api/v1/audit", self.audit),
            Route("/api/v1/connect", self.connect),
            Route("/api/v1/openapi.json", self.openapi),
            Route("/healthz", self.healthz),
        ]

    # --- history ------------------------------------------------------------------------------------
    async def history(self, request: Request) -> Response:
        """Rows or candles of one symbol; `next` is where more begins."""
        only(request, HISTORY_PARAMETERS)
        store = self._history()
        exchange, symbol = request.path_params["exchange"], request.path_params["symbol"]
        span, kind = read_span(request), read_kind(request)
        interval = read_interval(request, span)
        if not await self._known(store, exchange, symbol):
            raise HTTPException(404, f"{exchange} has no symbol {symbol} here: /api/v1/symbols lists them")
        if kind == "gaps":
            return await paged(request, kind, span, partial(store.gaps, exchange, symbol))
        if interval is not None:
            candles = partial(store.candles, exchange, symbol, interval)
            return await paged(request, "candles", span, candles, interval=interval)
        return await paged(request, kind, span, partial(store.rows, kind, exchange, symbol))

    async def gaps(self, request: Request) -> Response:
        """The newest state of every gap in a span of time."""
        only(request, GAPS_PARAMETERS)
        query = request.query_params
        gaps = partial(self._history().gaps, query.get("exchange"), query.get("symbol"))
        return await paged(request, "gaps", read_span(request), gaps)

    async def errors(self, request: Request) -> Response:
        """The error table."""
        return await errors_api.errors(request, self._history())

    async def latest(self, request: Request) -> Response:
        """Every symbol's newest tick: live with its freshness, else from the history and marked stale.

        Live prices are told whatever ails the history.
        """
        only(request, LIST_PARAMETERS)
        live = await self._live.latest()
        try:
            rows = await self._stored_latest()
        except StoreError:
            if not live:
                raise
            rows = {}
        rows.update(live)
        return listed(request, "latest", [named(*key, payload) for key, payload in sorted(rows.items())])

    async def symbols(self, request: Request) -> Response:
        """Every symbol: its instrument as the exchange told it last, and the kinds of rows that are stored."""
        only(request, LIST_PARAMETERS)
        fields: dict[tuple[str, str], dict[str, Any]] = {**self._live.instruments()}
        stored_ones = self._store.symbols() if self._store is not None else []
        try:
            fields = {**await self._instruments()}
            if self._store is not None:
                stored_ones = stored_ones or await self._store.refresh()
        except StoreError:
            if not fields:
                raise
        for stored in stored_ones:
            known = fields.get((stored.exchange, stored.symbol), {"symbol": stored.symbol})
            fields[stored.exchange, stored.symbol] = {**known, "stored": stored.kinds}
        rows = [msgspec.json.encode({"exchange": exchange, **one}) for (exchange, _), one in sorted(fields.items())]
        return listed(request, "symbols", rows)

    # --- state --------------------------------------------------------------------------------------
    async def health(self, request: Request) -> Response:
        """Bridge and feeds as they say of themselves, recorder and store."""
        recorder = self._recorder.status() if self._recorder is not None else None
        history = self._store.status() if self._store is not None else None
        told = {"recorder": recorder, "history": history, "health": self._live.health(), "stream": self._live.stream()}
        told["proof"] = self._keeper.proof() if self._keeper is not None else None
        told["telegraf"] = self.telegraf.status() if self.telegraf is not None else None
        told["page"] = self.door.status() if self.door is not None else None
        return document({key: value for key, value in told.items() if value is not None})

    async def audit(self, request: Request) -> Response:
        """What is proven by now, and each range that is missing or lost since the start."""
        only(request, set())
        if self._keeper is None:
            raise HTTPException(503, "the continuous audit is switched off (audit.enabled, history.enabled)")
        return document(self._keeper.ranges())

    async def healthz(self, request: Request) -> Response:
        """200 while this process does its work, 503 when it cannot write its store.

        A lost broker is only told, and a store that others write, too: a restart here would cure neither. Another
        machine that did not log in is told no more than the status.
        """
        status = self._recorder.status() if self._recorder is not None else {"store": self._others_store()}
        well = self._recorder is None or status["store"] == "ok"
        broker = self._live.broker if status.get("broker", "ok") == "ok" else status["broker"]
        told = {"ok": well, "store": status["store"], "broker": broker}
        if self._keeper is not None:
            told["proof"] = self._keeper.state
        if self._store is not None and (aside := self._store.status().get("put_aside")):
            told["put_aside"] = [one["file"] for one in aside]
        if self.door is not None and self.door.certificate is not None and (problem := self.door.certificate.problem()):
            told["certificate"] = problem
        may_know = request.scope.get(KNOWN, True) or is_near(request.scope)
        return document(told if may_know else {"ok": well}, 200 if well else 503)

    async def connect(self, request: Request) -> Response:
        """How the page reaches the broker (without a `host`: at the page's own), and what it should say."""
        settings = self._settings
        page = settings.dashboard
        mqtt: dict[str, Any] = {"port": page.mqtt_websocket_port, "tls": page.mqtt_websocket_tls}
        if page.mqtt_websocket_host is not None:
            mqtt["host"] = page.mqtt_websocket_host
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
                "login": self.door is not None and self.door.login is not None,
                "watchlist": watchlist(settings),
                **costs(settings, status),
            }
        )

    async def openapi(self, request: Request) -> Response:
        """This API, described for programs."""
        return document(description())

    def _others_store(self) -> str:
        return "off" if self._store is None else str(self._store.status().get("problem", "ok"))

    # --- helpers ------------------------------------------------------------------------------------
    def _history(self) -> History:
        if self._store is None:
            raise HTTPException(503, "the history is switched off (history.enabled)")
        return self._store

    async def _stored_latest(self) -> dict[tuple[str, str], bytes]:
        stored = await self._store.latest() if self._store is not None else ()
        stale = b',"stale":true,"reason":"no live message"}'
        return {(exchange, symbol): payload.rstrip()[:-1] + stale for exchange, symbol, payload in stored}

    async def _known(self, store: History, exchange: str, symbol: str) -> bool:
        if _has(store.symbols(), exchange, symbol) or (exchange, symbol) in await self._instruments():
            return True
        return _has(await store.refresh(), exchange, symbol)

    async def _instruments(self) -> dict[tuple[str, str], dict[str, Raw]]:
        """Every instrument that was ever told; what is told now wins."""
        known: dict[tuple[str, str], dict[str, Raw]] = {}
        for exchange, payload in await self._store.catalogue() if self._store is not None else ():
            one = _fields(payload)
            known[exchange, msgspec.json.decode(one["symbol"], type=str)] = one
        return known | self._live.instruments()


def _has(symbols: Iterable[Stored], exchange: str, symbol: str) -> bool:
    return any((one.exchange, one.symbol) == (exchange, symbol) for one in symbols)


def named(exchange: str, symbol: str, payload: bytes) -> bytes:
    """A payload with what its topic told."""
    return b'{"exchange":%b,"symbol":%b,%b' % (
        msgspec.json.encode(exchange),
        msgspec.json.encode(symbol),
        payload.lstrip()[1:],
    )
