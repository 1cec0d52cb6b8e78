"""The publisher: keeps one connection to the broker alive for ever and tells how that goes."""

import asyncio
import logging
from asyncio import shield, timeout
from contextlib import suppress

from bridge.backoff import Backoff
from bridge.errors import SettingsError
from bridge.mqtt.connection import MARKER_WAIT_S, Connection
from bridge.mqtt.figures import Figures
from bridge.mqtt.parts import PUBLISHER, Clock, Identity, Parts
from bridge.mqtt.suspects import Suspects
from bridge.mqtt.told import Login
from bridge.outbox import Outbox
from bridge.settings import Broker
from bridge.states import States
from bridge.tls import context, unanswered, words
from bridge.topics import Topics
from bridge.vitals import Vitals

log = logging.getLogger(__name__)

BACKOFF_FIRST_S = 1.0
BACKOFF_MOST_S = 60.0
LEAVE_S = 1.0
"""How long a goodbye may take."""
POLL_S = 0.02
"""How often a closing publisher looks whether everything is acknowledged."""
STEADY_NS = 10_000_000_000
"""A line that flowed for so long earns a fast retry. One that the broker cuts sooner does not: two processes with one
client id would else throw each other out several times a second."""


class Publisher:
    """Outbox and states → broker. `run()` never gives up; `wake()` after every append or put.

    Raises SettingsError if a password or CA file cannot be used.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of the house that meet here
        self,
        settings: Broker,
        client_id: str,
        topics: Topics,
        outbox: Outbox,
        states: States,
        clock: Clock,
        identity: Identity,
        vitals: Vitals | None = None,
    ) -> None:
        self.figures = Figures()
        self._settings = settings
        self._vitals = vitals or Vitals(clock.monotonic_ns, 0.0)
        parts = (topics, outbox, states, clock, identity, self.figures, Suspects(), self._vitals)
        self._parts = Parts(client_id, *parts)
        self._tls = context(settings)
        settings.secret()
        self._connection: Connection | None = None
        self._backoff = Backoff(BACKOFF_FIRST_S, BACKOFF_MOST_S)
        self._pause = asyncio.Event()
        self._closing = False
        self._at_once = False

    @property
    def connection(self) -> int:
        """The number of the present connection, or of the last one: `health/bridge` carries it."""
        return self.figures.connection

    def wake(self) -> None:
        """Something was appended or put. Costs next to nothing while a flush is scheduled or no line is there."""
        connection = self._connection
        if connection is not None and connection.asleep:
            connection.rouse()

    async def run(self) -> None:
        """Connect, serve, and connect again, until `close()` or cancellation."""
        try:
            while not self._closing:
                self._note(await self._attempt())
                if not self._closing and not self._at_once:
                    await self._wait(self._backoff.next())
        finally:
            self.figures.connected = False

    def renew(self) -> None:
        """Connect anew in order, as after a new run: the will must carry it."""
        connection = self._connection
        if connection is not None and not connection.ended.done():
            self._at_once = True
            self._leave(connection)

    async def close(self, drain_s: float) -> int:
        """Send what can be sent within `drain_s`, say `stopped`, disconnect. How many messages are left."""
        outbox, connection = self._parts.outbox, self._connection
        deadline = self._parts.clock.monotonic_ns() + int(drain_s * 1e9)
        self._pause.set()
        while outbox.unacknowledged and self._parts.clock.monotonic_ns() < deadline:
            self.wake()
            await asyncio.sleep(POLL_S)
            connection = self._connection
        self._closing = True
        if connection is not None and connection.flow.live:
            await self._say_goodbye(connection)
        elif connection is not None:
            connection.end("closed")
        return outbox.unacknowledged

    # --- one attempt --------------------------------------------------------------------------------
    async def _attempt(self) -> str:
        """One connection from dial to end; the reason why it ended or never was."""
        self.figures.connection += 1
        self._at_once = False
        self._vitals.promise(PUBLISHER, 2 * self._settings.connect_timeout_s + MARKER_WAIT_S)
        try:
            connection = self._connection = Connection(
                self._parts, self._settings, self._login(), self.figures.connection
            )
        except SettingsError as error:
            return str(error)
        try:
            return await self._serve(connection)
        except TimeoutError:
            return "no answer in time"
        except OSError as error:
            return words(error, self._settings)
        finally:
            self.figures.connected = False
            connection.end("given up")
            self._vitals.promise(PUBLISHER, 0.0)

    async def _serve(self, connection: Connection) -> str:
        settings = self._settings
        loop = asyncio.get_running_loop()
        async with timeout(settings.connect_timeout_s):
            await loop.create_connection(lambda: connection, settings.host, settings.port, ssl=self._tls)
        async with timeout(settings.connect_timeout_s + MARKER_WAIT_S):
            flows = await shield(connection.ready)
        if not flows:
            reason = await shield(connection.ended)
            return reason if connection.heard else unanswered(reason, settings)
        self._connected(connection.max_packet)
        since_ns = self._parts.clock.monotonic_ns()
        reason = await shield(connection.ended)
        if self._parts.suspects.active or self._parts.clock.monotonic_ns() - since_ns >= STEADY_NS:
            self._backoff.reset()
        return reason

    def _login(self) -> Login:
        parts, settings = self._parts, self._settings
        will = parts.identity.bridge_health("offline", self.figures.connection, parts.clock.now_ns())
        return Login(parts.client_id, settings.user, settings.secret(), parts.topics.health("bridge"), will)

    def _connected(self, max_packet: int | None) -> None:
        figures = self.figures
        figures.max_packet = max_packet
        figures.reconnects += figures.connected_once
        figures.connected = figures.connected_once = True
        figures.reason = ""
        log.info("connected to %s:%s (connection %s)", self._settings.host, self._settings.port, figures.connection)

    def _note(self, reason: str) -> None:
        """Say a reason once, until another one comes or the line was well meanwhile."""
        if self._closing or self._at_once:
            return
        if reason != self.figures.reason:
            log.warning("broker %s:%s: %s", self._settings.host, self._settings.port, reason)
        self.figures.reason = reason

    async def _wait(self, seconds: float) -> None:
        """Until the next try; none is long once `close()` was called: the broker may be back, and there is no later."""
        self._vitals.promise(PUBLISHER, seconds)
        if self._pause.is_set():
            await asyncio.sleep(POLL_S)
        else:
            with suppress(TimeoutError):
                async with timeout(seconds):
                    await self._pause.wait()

    # --- goodbye ------------------------------------------------------------------------------------
    def _leave(self, connection: Connection) -> None:
        connection.leave()
        asyncio.get_running_loop().call_later(LEAVE_S, connection.end, "left")

    async def _say_goodbye(self, connection: Connection) -> None:
        """The answers are awaited: a socket closed with unread bytes may take our last words with it."""
        connection.say_stopped()
        deadline = self._parts.clock.monotonic_ns() + int(LEAVE_S * 1e9)
        while not connection.flow.stop_answered and not connection.ended.done():
            if self._parts.clock.monotonic_ns() >= deadline:
                break
            await asyncio.sleep(POLL_S)
        self._leave(connection)
        await shield(connection.ended)
