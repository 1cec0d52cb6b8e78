"""The dashboard's process: page, recorder and live states, each supervised; one that dies ends it all, plainly."""

import asyncio
import errno
import logging
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn
import uvloop
from starlette.applications import Starlette

from bridge.errors import Damaged, SettingsError, StoreError, TickbridgeError
from bridge.lan import openable
from bridge.saving import RECORDER_SESSION, ask_to_save
from bridge.settings import Dashboard, Settings
from bridge.vitals import Vitals
from bridge.watchdog import Watchdog
from dashboard import strangers
from dashboard.api import Api
from dashboard.app import create_app
from dashboard.audit import address
from dashboard.audit.keeper import Keeper
from dashboard.connections import Http
from dashboard.door.certificate import Certificate
from dashboard.door.door import Door
from dashboard.history import open_influx
from dashboard.history.base import StoreAway
from dashboard.history.recorder import Recorder
from dashboard.history.schema import FILE
from dashboard.history.sqlite import SqliteHistory, replace
from dashboard.listener import Address, Listener, Room
from dashboard.live import LiveStates
from dashboard.stream.hub import Hub
from dashboard.stream.socket import MOST_REQUEST_BYTES, PING_S, Protocol, Stream

if TYPE_CHECKING:
    from dashboard.history.influx import InfluxHistory
    from dashboard.telegraf_health import TelegrafHealth

FLUSH_S = 2.0
"""How long a stop may wait for the last commit; what it does not store, the broker keeps."""
CLOSE_S = 1.0
TICK_S = 0.25
"""How often the server looks whether it is to end."""
FAILED = 1
WRONG_SETTINGS = 2
TASK_DIED = 3
DAMAGED = -1
"""The history was put aside: everything begins anew with another one."""
PAUSES_S = (0.0, 1.0, 4.0, 15.0, 15.0)
"""Before another history is begun after each damage: a card that damages every file must not be written without end."""
MAY_COME = (errno.EADDRINUSE, errno.EADDRNOTAVAIL)
"""Another program may let go of the port, and the network's address may still come after a boot."""
log = logging.getLogger(__name__)


class AddressAway(TickbridgeError):
    """The page's address or port cannot be had now, but another try may do."""


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; the exit code: 0 stopped, 3 a part died.

    1: history or port cannot be had now, but another try may do; 2: it cannot start as configured, nor ever will.
    """
    try:
        settings.broker.secret()
        door = Door(settings)
        for pause_s in PAUSES_S:
            with bind(settings.dashboard.host, settings.dashboard.port) as listener:
                history = open_history(settings)
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    code = runner.run(serve(settings, door, listener, history))
            if code != DAMAGED or not isinstance(history, SqliteHistory) or history.damage is None:
                return code
            replace(history.path, history.damage)
            time.sleep(pause_s)
        raise StoreAway(
            f"{settings.data_dir / FILE} was damaged {len(PAUSES_S)} times: check the disk or card, and make a backup"
        )
    except (StoreAway, Damaged, AddressAway) as error:
        log.error("%s", error)
        return FAILED
    except (SettingsError, StoreError) as error:
        log.error("%s", error)
        return WRONG_SETTINGS


def open_history(settings: Settings) -> "SqliteHistory | InfluxHistory | None":
    """The history, or None where it is switched off. Raises StoreError; InfluxDB's trouble is told by its status."""
    if not settings.history.enabled:
        return None
    if settings.history.store == "influx":
        return open_influx(settings)
    return SqliteHistory.open(settings.data_dir / FILE, settings.history)


def bind(host: str, port: int) -> socket.socket:
    """The page's listening socket (port 0: any free one). Raises AddressAway; SettingsError if no try will do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        reason = error.strerror or str(error)
        words = f"dashboard.host = {host}, dashboard.port = {port}: {reason}: set another port"
        raise (AddressAway if error.errno in MAY_COME else SettingsError)(words) from error


async def serve(
    settings: Settings, door: Door, listener: socket.socket, history: "SqliteHistory | InfluxHistory | None"
) -> int:
    """Run all parts until a signal comes or one dies; then flush, close, and say how it ended. Closes the history."""
    vitals = Vitals(time.monotonic_ns, settings.watchdog.grace_s)
    live = LiveStates(settings, vitals)
    flag = settings.data_dir / RECORDER_SESSION
    # what InfluxDB has, Telegraf writes
    recorder = (
        Recorder(history, settings, lambda: ask_to_save(flag), vitals) if isinstance(history, SqliteHistory) else None
    )
    keeper = Keeper(settings, history) if history is not None and settings.audit.enabled else None
    api, stream = Api(settings, live, history, recorder, keeper), Stream(Hub(live))
    page = settings.dashboard
    app = create_app(api, page.mqtt_websocket_port, stream=stream, door=door)
    uvicorns = configured(app, page.trusted_proxies, door.certificate)
    server = Server(uvicorns, vitals, partial(told, live, recorder, history))
    parts: dict[str, Callable[[], Awaitable[None]]] = {
        "page": lambda: server.serve([listener]),
        "live states": live.run,
    }
    if recorder is not None:
        parts["recorder"] = recorder.run
    if history is not None and not isinstance(history, SqliteHistory):
        parts["history"] = history.run
    if keeper is not None:
        parts["audit"] = keeper.run
    if door.certificate is not None:
        parts["look at the certificate"] = door.certificate.run
    if settings.history.enabled and settings.history.store == "influx":
        api.telegraf = watch_telegraf(settings)
        parts["look at Telegraf"] = api.telegraf.run
    obey_hangup(door)
    warn(page)
    log.info("the page: %s", " or ".join(openable(page.scheme, *listener.getsockname()[:2])))
    address.leave(settings)
    try:
        with Watchdog(vitals) as watchdog:
            return await _live(parts, server, (history, recorder), watchdog)
    finally:
        address.forget(settings)
        if history is not None:
            await history.aclose()


def warn(page: Dashboard) -> None:
    """What works, but not as one may think."""
    if page.cert_file is not None and not page.mqtt_websocket_tls:
        log.warning("an https page may connect to no broker without TLS: set dashboard.mqtt_websocket_tls")
    if page.asks_login and page.cert_file is None and not page.trusted_proxies:
        log.info(
            "the log-in is not encrypted (dashboard.cert_file): whoever listens on the network learns the password"
        )


async def _live(
    parts: dict[str, Callable[[], Awaitable[None]]],
    server: uvicorn.Server,
    stores: tuple["SqliteHistory | InfluxHistory | None", Recorder | None],
    watchdog: Watchdog,
) -> int:
    """Until a signal comes, a part dies, or the history turns out to be damaged."""
    stop, asked = asyncio.Event(), asyncio.Event()
    history, recorder = stores

    def obey() -> None:
        asked.set()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, obey)
    if isinstance(history, SqliteHistory):
        history.on_damage = stop.set

    async def end() -> None:
        if asked.is_set():
            watchdog.stopping()
        await finish(server, recorder)

    code = await supervise(parts, stop, end)
    return DAMAGED if not code and not asked.is_set() else code


def obey_hangup(door: Door) -> None:
    """SIGHUP reads certificate and passwords anew; at a terminal it still means that the terminal is gone."""
    if not (sys.stdin and sys.stdin.isatty()):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, door.reload)


async def supervise(
    parts: dict[str, Callable[[], Awaitable[None]]], stop: asyncio.Event, finish: Callable[[], Awaitable[None]]
) -> int:
    """Run every part until `stop`; then `finish` and end them. TASK_DIED if one ends by itself."""
    tasks: dict[asyncio.Future[Any], str] = {asyncio.ensure_future(part()): name for name, part in parts.items()}
    stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        died = [(name, task) for task, name in tasks.items() if task.done()]
        for name, task in died:
            log.critical("the %s died: everything stops", name, exc_info=task.exception())
        await finish()
    finally:
        for task in (*tasks, stopping):
            task.cancel()
        await asyncio.wait([*tasks, stopping], timeout=CLOSE_S)
    return TASK_DIED if died else 0


async def finish(server: uvicorn.Server, recorder: Recorder | None) -> None:
    """The last commit, within its time; the page closes meanwhile."""
    server.should_exit = True
    if recorder is not None:
        try:
            await asyncio.wait_for(recorder.finish(), FLUSH_S)
        except TimeoutError:
            log.warning("the last commit takes too long: what it does not store, the broker keeps")


def configured(
    app: Starlette, trusted_proxies: Sequence[str] = (), certificate: Certificate | None = None
) -> uvicorn.Config:
    """How the page is served. Nobody but a trusted proxy is believed whom it speaks for."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        http=Http,
        ws=Protocol,
        ws_max_size=MOST_REQUEST_BYTES,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
        ws_per_message_deflate=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=[*trusted_proxies],
        ssl_context_factory=None if certificate is None else lambda config, default: certificate.context,
    )


def watch_telegraf(settings: Settings) -> "TelegrafHealth":
    """What looks at Telegraf's own metrics."""
    from dashboard.telegraf_health import TelegrafHealth  # noqa: PLC0415 - the embedded store need not wait for it

    return TelegrafHealth(settings)


def told(live: LiveStates, recorder: Recorder | None, history: "SqliteHistory | InfluxHistory | None") -> str:
    """How it goes, in one line."""
    if recorder is not None:
        store = recorder.store
    else:
        store = "off" if history is None else str(history.status().get("problem", "ok"))
    return f"the page is served; broker {live.broker}, store {store}"


class Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the process has one place for them. Each turn is a sign of life."""

    def __init__(
        self, config: uvicorn.Config, vitals: Vitals | None = None, status: Callable[[], str] = lambda: "served"
    ) -> None:
        super().__init__(config)
        self._vitals = vitals
        self._status = status

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """With listeners of our own, which count who has not asked yet."""
        strangers.install()
        await super().startup(sockets=[])
        trusted = self.config.forwarded_allow_ips or ()
        room = Room([*trusted] if self.config.proxy_headers else ())
        for one in sockets or ():
            listener = Listener(one, self._protocol, self.config.ssl, self._held, room)
            self.servers.append(listener)  # type: ignore[arg-type]  # closed and waited for like asyncio's own

    async def main_loop(self) -> None:
        """uvicorn's own, which turns ten times a second also while nobody looks at the page."""
        while not await self.on_tick(0):
            await asyncio.sleep(TICK_S)

    def _protocol(self) -> asyncio.Protocol:
        return Http(self.config, self.server_state, self.lifespan.state)

    def _held(self) -> list[Address]:
        return [one.client for one in self.server_state.connections if isinstance(one, Http | Protocol) and one.client]

    async def on_tick(self, counter: int) -> bool:
        """At every turn, once the page listens."""
        if self._vitals is not None:
            self._vitals.promise("page", TICK_S)
            self._vitals.status = self._status()
            self._vitals.ready = True
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
