"""What stands before the API: only our own names are answered, and only so many questions at a time.

A page of another site can have its own name point at this machine (DNS rebinding); then the browser takes us for that
site, and lets its scripts read our answers. Names that nobody can own in the world's DNS are safe, and addresses are.
"""

import asyncio
import ipaddress
from collections.abc import Callable, Sequence

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from dashboard.answers import refusal

LOCAL = (".localhost", ".local", ".lan", ".home", ".internal", ".home.arpa")
MOST_QUESTIONS = 32
MOST_TABLES = 4
"""CSVs at a time: one may take long."""
QUESTION_S = 60.0
TABLE_S = 3600.0
"""So long may an answer take, its reader included, until it is broken off."""
RETRY_AFTER = {"retry-after": "2"}


class Hosts:
    """Refuses requests for any other name than ours."""

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host", "") if scope["type"] in ("http", "websocket") else ""
        if not host or is_local(name := name_of(host)) or name in self._names:
            await self._app(scope, receive, send)
            return
        response = refusal(
            f"{name[:100]!r} is not known here as a name of this machine: add it to dashboard.hosts", 421
        )
        await refuse(response, scope, receive, send)


class Turns:
    """Answers only so many questions at a time; the rest get 503, and `busy` counts them."""

    def __init__(self, app: ASGIApp, busy: Callable[[], None]) -> None:
        self._app = app
        self._busy = busy
        self._free = {"csv": MOST_TABLES, "json": MOST_QUESTIONS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        table = b"csv" in scope["query_string"] or "text/csv" in Headers(scope=scope).get("accept", "")
        kind = "csv" if table else "json"
        if not self._free[kind]:
            self._busy()
            response = refusal(f"too many questions at once ({kind}): ask again later", 503, RETRY_AFTER)
            await response(scope, receive, send)
            return
        self._free[kind] -= 1
        try:
            await self._within(TABLE_S if table else QUESTION_S, scope, receive, send)
        finally:
            self._free[kind] += 1

    async def _within(self, seconds: float, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with asyncio.timeout(seconds):
                await self._app(scope, receive, sending)
        except TimeoutError:
            if begun:  # half an answer must not look whole
                raise
            await refusal(f"no answer within {seconds:g} s", 503, RETRY_AFTER)(scope, receive, send)


def name_of(host: str) -> str:
    """A Host header's name, without port, brackets and the root's dot."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower().removesuffix(".")


def is_local(name: str) -> bool:
    """Whether a name is an address, or one that nobody can own in the world's DNS."""
    if "." not in name or name.endswith(LOCAL):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def refuse(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer in the application's stead, also to who wants a websocket."""
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        await response(scope, receive, send)
