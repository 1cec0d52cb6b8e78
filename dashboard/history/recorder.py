"""From the broker to the store: a message is acknowledged after it is on disk, not before.

The session is the broker's to keep (Clean Start 0): what was not acknowledged comes again, and what the store has
already, it knows by topic, run and number.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import aiomqtt

from bridge.errors import FrameError, StoreError
from bridge.renewal import renewed
from bridge.settings import Settings
from bridge.tls import words
from bridge.topics import STREAM_ROOTS, Topics
from bridge.vitals import Vitals
from dashboard.broker import Inbox, acknowledge_by_hand, backoff_s, refused_topics, session_client
from dashboard.history.intake import CATALOGUE
from dashboard.history.line import Line
from dashboard.history.sqlite import SqliteHistory

COMMIT_MESSAGES = 20_000
"""So many unacknowledged messages are committed at once: well below MQTT's 65,535, at which the broker would stop."""
GATHER_S = 0.1
"""Pause in which messages gather: waking up for each would cost more than the work."""
DRAIN = 500
MOST_WAITING = 60_000
"""With so many unacknowledged, and a store that cannot be written, the recorder leaves the broker.

That is before the 65,535 that a broker has packet ids for. What it sent comes again later; it keeps that and what
follows within the limits of its queue (mosquitto/README.md), beyond which it drops, and the audit names what.
"""
MOST_UNSTORED = 200_000
MOST_UNSTORED_BYTES = 128 * 1024 * 1024
"""Held while the store cannot be written. At QoS 1 the recorder leaves at the latest here; QoS 0 is dropped."""
RETRY_S = 5.0
STORED_S = 90.0
"""A commit, and the folding of a whole market's rows, on a slow card."""
LISTEN, COMMIT, SUBSCRIPTION = "recorder", "recorder's commits", "recorder's subscription"
LOG_EVERY_S = 10.0
log = logging.getLogger(__name__)


class NoRoom(Exception):
    """Nothing more can be held: the rest is better kept by the broker."""


class Recorder:
    """`run` until cancelled; `finish` before that. `on_session` is called whenever the broker has our session."""

    def __init__(
        self,
        history: SqliteHistory,
        settings: Settings,
        on_session: Callable[[], None],
        vitals: Vitals | None = None,
    ) -> None:
        self._vitals = vitals or Vitals(time.monotonic_ns, 0.0)
        self._history = history
        self._settings = settings
        self._on_session = on_session
        self._prefix = Topics(settings.prefix).prefix
        self._line: Line | None = None
        self._committing = asyncio.Lock()
        self._soon = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._tries = 0
        self._next_log_s = 0.0
        self.broker = "connecting"
        self.store = "ok"
        self.received = self.refused = self.dropped = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(), name="recorder: listen")
            group.create_task(self._commit_regularly(), name="recorder: commit")

    async def finish(self) -> None:
        """Commit and acknowledge what has come until now."""
        await self._commit(tidy=False)

    def status(self) -> dict[str, Any]:
        """For health: `broker` and `store` say `ok` or what is wrong."""
        return {
            "broker": self.broker,
            "store": self.store,
            "received": self.received,
            "refused": self.refused,
            "dropped": self.dropped,
            "unacknowledged": len(self._line.waiting) if self._line else 0,
        }

    # --- hearing ------------------------------------------------------------------------------------
    async def _listen(self) -> None:
        while True:
            try:
                await self._hear()
            except (aiomqtt.MqttError, OSError) as error:
                reason = words(error, self._settings.broker)
                if self._tries == 0:
                    log.warning("recorder: the broker is away: %s", reason)
                self.broker = f"away: {reason}"
            except NoRoom:
                log.error("recorder: it leaves the broker, which keeps what comes, until the store can be written")
                self.broker = "left until the store can be written"
                self._vitals.rest(LISTEN)
                await self._writable.wait()
            delay_s = backoff_s(self._tries)
            self._vitals.promise(LISTEN, delay_s)
            await asyncio.sleep(delay_s)
            self._tries += 1

    async def _hear(self) -> None:
        """One connection, from its beginning to its end, which is always an error."""
        inbox = Inbox()
        self._vitals.promise(LISTEN, 3 * self._settings.broker.connect_timeout_s)
        client = session_client(self._settings.broker, self._settings.client_id("recorder"), inbox)
        acknowledge_by_hand(client)
        async with client:
            self._line = line = Line(client)
            try:
                await self._subscribe(client)
                self._vitals.rest(LISTEN)
                answer_s = self._settings.broker.connect_timeout_s
                again = partial(self._ask, client, STREAM_ROOTS)  # a catalogue's would bring what is retained
                await renewed(self._take_in(client, line, inbox), again, self._vitals, SUBSCRIPTION, answer_s)
            finally:
                line.alive = False
                self._line = None

    async def _take_in(self, client: aiomqtt.Client, line: Line, inbox: Inbox) -> None:
        async for message in client.messages:
            self._take(line, message)
            while await self._drain(line, inbox):
                self._vitals.promise(LISTEN, GATHER_S)
                await asyncio.sleep(GATHER_S)
            if inbox.overflown:
                await self._commit(tidy=False)  # else the next connection would bring the same again
                raise aiomqtt.MqttError("more came at once than can be held: the broker sends it again")
            self._vitals.rest(LISTEN)

    async def _ask(self, client: aiomqtt.Client, roots: Sequence[str]) -> None:
        topics = [f"{self._prefix}{root}/#" for root in roots]
        codes = await client.subscribe([(topic, 1) for topic in topics])
        if refused := refused_topics(topics, codes):
            self.broker = f"refuses {', '.join(refused)}: see its acl"
            log.error("recorder: the broker %s", self.broker)

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        self.broker = "ok"
        await self._ask(client, (*STREAM_ROOTS, CATALOGUE))
        log.info("recorder: connected")
        try:
            await self._history.listened()
        except StoreError as error:
            # the next commit tells it, and the next connection notes it
            log.warning("recorder: when it began to listen could not be noted: %s", error)
        self._on_session()

    async def _drain(self, line: Line, inbox: Inbox) -> bool:
        """Take what has gathered, giving others their turn; False if there was nothing."""
        gathered = inbox.qsize()
        for taken in range(gathered):
            self._take(line, inbox.get_nowait())
            if taken % DRAIN == DRAIN - 1:
                await asyncio.sleep(0)
        return gathered > 0

    def _take(self, line: Line, message: aiomqtt.Message) -> None:
        self._tries = 0
        self.received += 1
        if message.qos:
            if not self._writable.is_set() and self._full(line):
                raise NoRoom
            line.waiting.append(message.mid)
            if len(line.waiting) >= COMMIT_MESSAGES:
                self._soon.set()
        elif self._brimful():
            self.dropped += 1
            return
        try:
            self._history.append(message.topic.value.removeprefix(self._prefix), bytes(message.payload))
        except FrameError as error:
            self._refuse(message.topic.value, error)

    def _full(self, line: Line) -> bool:
        return len(line.waiting) >= MOST_WAITING or self._brimful()

    def _brimful(self) -> bool:
        return self._history.waiting_rows >= MOST_UNSTORED or self._history.waiting_bytes >= MOST_UNSTORED_BYTES

    def _refuse(self, topic: str, error: FrameError) -> None:
        """What cannot be stored is acknowledged like the rest, or it would come again for ever."""
        self.refused += 1
        if time.monotonic() >= self._next_log_s:
            self._next_log_s = time.monotonic() + LOG_EVERY_S
            log.warning("recorder: %s: not stored (%d so far): %s", topic, self.refused, error)

    # --- committing ---------------------------------------------------------------------------------
    async def _commit_regularly(self) -> None:
        while True:
            self._vitals.promise(COMMIT, self._settings.history.commit_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._soon.wait(), self._settings.history.commit_s)
            self._soon.clear()
            self._vitals.promise(COMMIT, STORED_S)
            if not await self._commit(tidy=True):
                self._vitals.promise(COMMIT, RETRY_S)
                await asyncio.sleep(RETRY_S)

    async def _commit(self, *, tidy: bool) -> bool:
        """Commit, then acknowledge. False if the store cannot be written: then nothing is acknowledged."""
        async with self._committing:
            line = self._line
            heard = len(line.waiting) if line else 0
            try:
                await self._write()
                if line is not None:
                    await line.acknowledge(heard)
                if tidy:
                    await self._history.tidy()
            except StoreError as error:
                if self.store == "ok":
                    log.error("recorder: %s", error)
                self.store = str(error)
                return False
            if self.store != "ok":
                log.info("recorder: the store can be written again")
            self.store = "ok"
            return True

    async def _write(self) -> None:
        try:
            await self._history.commit()
        except StoreError:
            self._writable.clear()
            raise
        self._writable.set()
