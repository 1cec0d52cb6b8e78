"""Security headers on every answer: nothing but our own files runs, nothing but our broker is connected to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers as RequestHeaders
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.settings import Dashboard
from dashboard.guards import name_of

HOST = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(:\d{1,5})?")
FIXED = {
    "x-content-type-options": "nosniff",
    # not no-referrer: with it a browser says of our own form, too, that it comes from nowhere (`Origin: null`)
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
STARTS = ("http.response.start", "websocket.http.response.start")
DAY_S = 86_400


@dataclass(frozen=True)
class Rules:
    """`websocket_port` is the broker's, which the page may connect to at its own host or the one that is set."""

    websocket_port: int
    page: Dashboard

    def of(self, scope: Scope) -> Mapping[str, str]:
        """The headers of an answer to this request."""
        host = RequestHeaders(scope=scope).get("host", "")
        told = {**FIXED, "content-security-policy": self._policy(host)}
        # what is said of localhost would hold for every other program there that is being developed
        if is_encrypted(scope) and self.page.hsts_days and name_of(host) != "localhost":
            told["strict-transport-security"] = f"max-age={self.page.hsts_days * DAY_S}"
        return told

    def _policy(self, host: str) -> str:
        named = HOST.fullmatch(host)
        scheme = "wss" if self.page.mqtt_websocket_tls else "ws"
        broker_host = self.page.mqtt_websocket_host or (named[1] if named else None)
        broker = f" {scheme}://{broker_host}:{self.websocket_port}" if broker_host else ""
        return (
            f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
            f"manifest-src 'self'; connect-src 'self'{broker}; base-uri 'none'; form-action 'self'; "
            f"frame-ancestors 'none'"
        )


class Headers:
    """Sets them on every answer but a crash's, which Starlette gives outside of all middleware."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] in STARTS:
                MutableHeaders(scope=message).update(self._rules.of(scope))
            await send(message)

        await self._app(scope, receive, guarded)


def is_encrypted(scope: Scope) -> bool:
    """Whether the visitor's side of the connection is, as far as we or a trusted proxy know."""
    return scope.get("scheme") in ("https", "wss")
