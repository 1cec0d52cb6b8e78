"""The web application: API, page and the headers that go with them."""

import re
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.errors import StoreError
from dashboard.answers import refusal
from dashboard.api import Api
from dashboard.stream.socket import Stream

STATIC = Path(__file__).parent / "static"
HASHED = re.compile(r"[-.][0-9A-Za-z]{8,}\.[a-z0-9]+(\.map)?$")
"""File names with a hash of their content: these never change."""
HOST = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(:\d{1,5})?")
FIXED_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
}
NOT_BUILT = (
    "The page is not built yet: `python dashboard/web/build.py` builds it (`make run` does so by itself).\n"
    "The API works: /api/v1/symbols, /api/v1/latest, /api/v1/health.\n"
)


def create_app(api: Api, websocket_port: int, static: Path = STATIC, stream: Stream | None = None) -> Starlette:
    """The application; `websocket_port` is the broker's, which the page may connect to at its own host."""
    return Starlette(
        routes=[
            *api.routes(),
            *(stream.routes() if stream is not None else ()),
            Route("/", Front(static)),
            Mount("/", Files(directory=static, check_dir=False)),
        ],
        middleware=[Middleware(Headers, websocket_port=websocket_port), Middleware(GZipMiddleware, minimum_size=2000)],
        exception_handlers={HTTPException: refuse, StoreError: store_away, Exception: crash},
    )


class Front:
    """The page itself, always asked for anew, or how to build it."""

    def __init__(self, static: Path) -> None:
        self._index = static / "index.html"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.method not in ("GET", "HEAD"):
            response: Response = refusal("only GET", 405)
        elif not self._index.is_file():
            response = PlainTextResponse(NOT_BUILT, 503)
        else:
            files = StaticFiles(directory=self._index.parent)
            response = await files.get_response("index.html", scope)
        response.headers["cache-control"] = "no-cache"
        await response(scope, receive, send)


class Files(StaticFiles):
    """Files beside the page: those with a hash in their name are kept for ever."""

    async def check_config(self) -> None:
        """A page that is not built yet has no folder: its files are simply not there."""

    def file_response(self, full_path, stat_result, scope, status_code=200):  # type: ignore[no-untyped-def]
        response = super().file_response(full_path, stat_result, scope, status_code)
        kept = HASHED.search(str(full_path))
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if kept else "no-cache"
        return response


class Headers:
    """Security headers on every answer: nothing but our own files runs, nothing but our broker is connected to."""

    def __init__(self, app: ASGIApp, websocket_port: int) -> None:
        self._app = app
        self._port = websocket_port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        policy = self._policy(dict(scope["headers"]).get(b"host", b"").decode("latin-1"))

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = policy
                headers.update(FIXED_HEADERS)
            await send(message)

        await self._app(scope, receive, guarded)

    def _policy(self, host: str) -> str:
        named = HOST.fullmatch(host)
        broker = f" ws://{named[1]}:{self._port} wss://{named[1]}:{self._port}" if named else ""
        return (
            f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
            f"manifest-src 'self'; connect-src 'self'{broker}; base-uri 'none'; form-action 'none'; "
            f"frame-ancestors 'none'"
        )


async def refuse(request: Request, refused: Exception) -> Response:
    assert isinstance(refused, HTTPException)
    return refusal(refused.detail, refused.status_code, refused.headers)


async def store_away(request: Request, away: Exception) -> Response:
    return refusal(f"the history cannot answer: {away}", 503)


async def crash(request: Request, bug: Exception) -> Response:
    """Starlette logs the traceback after this answer."""
    return refusal("internal error, see the dashboard's log", 500)
