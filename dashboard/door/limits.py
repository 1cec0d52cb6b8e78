"""How much may be asked: how often by one address, and how large a request may be."""

import math
import time
from dataclasses import asdict, dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.answers import refusal
from dashboard.door.buckets import Buckets
from dashboard.door.clients import client_key
from dashboard.guards import refuse

MOST_ADDRESSES = 4096
MOST_URL = 4096
MOST_BODY = 16 * 1024
"""Only the log-in has a body at all."""
LAST = {"connection": "close"}
"""What was not read of the request must not be taken for the next one."""


@dataclass
class Refusals:
    """How many requests were turned away, since the start."""

    limited: int = 0
    too_large: int = 0
    busy: int = 0

    def status(self) -> dict[str, int]:
        return asdict(self)


class Rates:
    """429 for an address that asks more than `per_minute` of /api (a minute's worth at once); 0: no limit."""

    def __init__(self, app: ASGIApp, per_minute: int, refusals: Refusals) -> None:
        self._app = app
        self._buckets = Buckets(per_minute, per_minute, MOST_ADDRESSES) if per_minute else None
        self._per_minute = per_minute
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wait_s = self._wait_s(scope)
        if not wait_s:
            await self._app(scope, receive, send)
            return
        self._refusals.limited += 1
        reason = f"more than {self._per_minute} questions a minute (dashboard.requests_per_minute): ask again later"
        await refuse(refusal(reason, 429, {"retry-after": str(math.ceil(wait_s))}), scope, receive, send)

    def _wait_s(self, scope: Scope) -> float:
        if self._buckets is None or scope["type"] == "lifespan" or not scope["path"].startswith("/api/"):
            return 0.0
        return self._buckets.take(client_key(scope), time.monotonic())


class Sizes:
    """Refuses long addresses (414), large bodies (413) and those that do not say how large they are (411)."""

    def __init__(self, app: ASGIApp, refusals: Refusals) -> None:
        self._app = app
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = _problem(scope) if scope["type"] in ("http", "websocket") else None
        if problem is None:
            await self._app(scope, receive, send)
            return
        self._refusals.too_large += 1
        reason, status = problem
        await refuse(refusal(reason, status, LAST), scope, receive, send)


def _problem(scope: Scope) -> tuple[str, int] | None:
    if len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"]) > MOST_URL:
        return f"the address is longer than {MOST_URL} bytes", 414
    headers = Headers(scope=scope)
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > MOST_BODY:
        return f"the body is larger than {MOST_BODY} bytes", 413
    return ("a body must say its length", 411) if "transfer-encoding" in headers else None
