"""What people see of the log-in: a form that needs no JavaScript, and the way out."""

import asyncio
import html
from pathlib import Path
from string import Template
from urllib.parse import parse_qs, urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dashboard.answers import FRESH, refusal
from dashboard.door.clients import client_key, is_near
from dashboard.door.gate import KNOWN, LOGIN, LOGOUT, STYLE
from dashboard.door.headers import is_encrypted
from dashboard.door.login import Guest, Login

HERE = Path(__file__).parent
FORM = "application/x-www-form-urlencoded"
MOST_WAY = 2000
FORM_S = 10.0
"""So long may a form take to come."""
KEPT_S = 400 * 86_400
"""So long browsers keep a cookie at most: when its session has ended, it still tells that this is no stranger."""
WRONG = "That is not the password."
LIMITED = "Too many tries: wait {seconds} s, then try again."


class LoginPages:
    """`/login` and `/logout`."""

    def __init__(self, login: Login, instance: str) -> None:
        self._login = login
        self._name = "" if instance == "tickbridge" else instance
        self._page = Template((HERE / "login.html").read_text(encoding="utf-8"))

    def routes(self) -> list[BaseRoute]:
        return [
            Route(LOGIN, self.form, methods=["GET"]),
            Route(LOGIN, self.log_in, methods=["POST"]),
            Route(LOGOUT, self.log_out, methods=["POST"]),
            Route(STYLE, self.style),
        ]

    async def form(self, request: Request) -> Response:
        """The form; who is in already goes on at once."""
        if request.scope[KNOWN]:
            return RedirectResponse(way_on(request), 303, FRESH)
        return self._form()

    async def log_in(self, request: Request) -> Response:
        """A session for the right password."""
        if is_foreign(request):
            return refusal("the log-in takes forms of its own page only", 403)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            return refusal(f"the log-in takes {FORM}", 415)
        try:
            async with asyncio.timeout(FORM_S):
                given = await _password(request)
        except TimeoutError:
            return refusal(f"the form did not come within {FORM_S:g} s", 408, {"connection": "close"})
        who = Guest(client_key(request.scope), is_near(request.scope), self._login.session(request.headers))
        wait_s = self._login.try_password(given, who)
        if wait_s is None:
            return self._with_session(RedirectResponse(way_on(request), 303, FRESH), request)
        if wait_s == 0:
            return self._form(WRONG, 403)
        return self._form(LIMITED.format(seconds=wait_s), 429, {"retry-after": str(wait_s)})

    async def log_out(self, request: Request) -> Response:
        """Ends this session, also for whoever has a copy of its cookie."""
        if is_foreign(request):
            return refusal("the log-out takes forms of its own page only", 403)
        self._login.sessions.end(self._login.session(request.headers))
        response = RedirectResponse(LOGIN, 303, FRESH)
        response.delete_cookie(self._login.cookie, httponly=True, samesite="strict")
        return response

    async def style(self, request: Request) -> Response:
        return FileResponse(HERE / "login.css", headers={"cache-control": "no-cache"})

    def _form(self, problem: str = "", status: int = 200, headers: dict[str, str] | None = None) -> Response:
        told = {"name": html.escape(self._name), "problem": html.escape(problem)}
        return HTMLResponse(self._page.substitute(told), status, {**FRESH, **(headers or {})})

    def _with_session(self, response: Response, request: Request) -> Response:
        sessions = self._login.sessions
        response.set_cookie(
            self._login.cookie,
            sessions.begin(),
            max_age=max(sessions.seconds, KEPT_S),
            httponly=True,
            samesite="strict",
            secure=is_encrypted(request.scope),
        )
        return response


async def _password(request: Request) -> str:
    """What the form gives; the size of a body is bounded before."""
    try:
        text = (await request.body()).decode("latin-1")
        return parse_qs(text, max_num_fields=10).get("password", [""])[0]
    except (ClientDisconnect, ValueError):
        return ""


def is_foreign(request: Request) -> bool:
    """Whether a browser says that another site's page sent this. Programs say nothing, and no cookie goes with them."""
    origin = request.headers.get("origin")
    if origin is None:
        return request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none")
    return urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()


def way_on(request: Request) -> str:
    """Where the visitor wanted to go: a place of this page, never another site's."""
    wanted = request.query_params.get("next", "/")
    is_ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if is_ours and len(wanted) <= MOST_WAY else "/"
