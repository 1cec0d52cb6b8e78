"""Lets in who logged in or bears a token; others get 401, and people the way to the log-in."""

from urllib.parse import quote, urlencode

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.answers import FRESH, refusal
from dashboard.door.login import Login
from dashboard.guards import refuse

LOGIN, STYLE, LOGOUT, HEALTH = "/login", "/login.css", "/logout", "/healthz"
OPEN = frozenset({LOGIN, STYLE, HEALTH})
API = "/api/"
KNOWN = "tickbridge.known"
"""In the scope: whether the visitor may see everything."""
CHALLENGE = {"www-authenticate": 'Bearer realm="tickbridge"'}
REASON = "log in at /login, or send a token: Authorization: Bearer ..."


class Gate:
    """Without a `login` everybody may see everything."""

    def __init__(self, app: ASGIApp, login: Login | None) -> None:
        self._app = app
        self._login = login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope[KNOWN] = self._login is None or self._login.knows(Headers(scope=scope))
        if scope[KNOWN] or scope["path"] in OPEN:
            await self._app(scope, receive, send)
        else:
            await refuse(_answer(scope), scope, receive, send)


def _answer(scope: Scope) -> Response:
    is_page = scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and not scope["path"].startswith(API)
    return RedirectResponse(way_in(scope), 303, FRESH) if is_page else refusal(REASON, 401, CHALLENGE)


def way_in(scope: Scope) -> str:
    """The log-in, which leads back to where the visitor wanted to go."""
    query = scope["query_string"].decode("latin-1")
    wanted = quote(scope["path"]) + (f"?{query}" if query else "")
    return LOGIN if wanted == "/" else f"{LOGIN}?{urlencode({'next': wanted})}"
