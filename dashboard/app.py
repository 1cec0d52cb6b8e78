"""The web application: API and page, behind the door."""

import re
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from bridge.errors import StoreError
from bridge.settings import Settings
from dashboard.answers import refusal
from dashboard.api import Api
from dashboard.door.door import Door
from dashboard.door.headers import Headers, Rules
from dashboard.guards import Hosts, Turns
from dashboard.stream.socket import Stream

STATIC = Path(__file__).parent / "static"
HASHED = re.compile(r"[-.][0-9A-Za-z]{8,}\.[a-z0-9]+(\.map)?$")
"""File names with a hash of their content: these never change."""
NOT_BUILT = (
    "The page is not built yet: `python dashboard/web/build.py` builds it (`make run` does so by itself).\n"
    "The API works: /api/v1/symbols, /api/v1/latest, /api/v1/health.\n"
)


def create_app(
    api: Api, websocket_port: int, static: Path = STATIC, stream: Stream | None = None, door: Door | None = None
) -> Starlette:
    """The application; `websocket_port` is the broker's, which the page may connect to at its own host.

    Without a `door` everybody may come in, as by default on loopback.
    """
    door = api.door = door or Door(Settings())
    rules = door.rules(websocket_port)
    return Starlette(
        routes=[
            *api.routes(),
            *door.routes(),
            *(stream.routes() if stream is not None else ()),
            Route("/", Front(static)),
            Mount("/", Files(directory=static, check_dir=False)),
        ],
        middleware=[
            Middleware(Headers, rules=rules),
            Middleware(Hosts, names=api.hosts),
            *door.middleware(),
            Middleware(Turns, busy=door.busy),
            Middleware(GZipMiddleware, minimum_size=2000),
        ],
        exception_handlers={HTTPException: refuse, StoreError: store_away, Exception: Crash(rules)},
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


async def refuse(request: Request, refused: Exception) -> Response:
    assert isinstance(refused, HTTPException)
    return refusal(refused.detail, refused.status_code, refused.headers)


async def store_away(request: Request, away: Exception) -> Response:
    return refusal(f"the history cannot answer: {away}", 503)


class Crash:
    """The answer to a bug of ours. Starlette logs the traceback after it."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    async def __call__(self, request: Request, bug: Exception) -> Response:
        return refusal("internal error, see the dashboard's log", 500, self._rules.of(request.scope))
