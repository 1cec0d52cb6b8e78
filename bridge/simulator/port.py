"""The socket of a simulated exchange: REST and websocket handshakes on one port that can be closed and opened again."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec
from aiohttp import web

from bridge.errors import SettingsError

SHUTDOWN_S = 1.0
Query = Mapping[str, str]
Answer = Callable[[Query], object]
"""Answers a REST call with what becomes JSON (or its bytes). Raises Denied."""


class Denied(Exception):
    """A REST call that the exchange refuses: the HTTP status and the body."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(str(body))
        self.status, self.body = status, body


class Port:
    """Where one exchange listens."""

    def __init__(self, name: str, serve: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> None:
        self.host, self.number = "127.0.0.1", 0
        self._name = name
        self._serve = serve
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None

    async def start(self, host: str, number: int) -> None:
        """Listen; number 0 takes a free one. Raises SettingsError if the port cannot be had."""
        self.host, self.number = host, number
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        await self.open()

    async def open(self) -> None:
        """Accept connections (again), always at the same port."""
        if self._runner is None or self._site is not None:
            return
        site = web.TCPSite(self._runner, self.host, self.number, reuse_address=True)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            where = f"{self.host}:{self.number}"
            raise SettingsError(f"simulator {self._name}: cannot listen on {where}: {error.strerror}") from error
        self._site = site
        self.number = self._runner.addresses[-1][1]

    async def close(self) -> None:
        """Refuse connections from now on, and end those that are."""
        if self._site is not None:
            await self._site.stop()
            self._site = None
        if self._runner is not None and self._runner.server is not None:
            for connection in self._runner.server.connections:
                connection.force_close()

    async def stop(self) -> None:
        """Close for good."""
        await self.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


def reply(status: int, body: object, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer; bytes are sent as they are."""
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return web.Response(status=status, body=data, content_type="application/json", headers=headers)
