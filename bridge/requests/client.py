"""The requests' own connection to the broker: a request in, its answer out, one by one. No will, no session."""

import asyncio
import logging
import time
from functools import partial
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from bridge import topics
from bridge.errors import BrokerLost, StoreError
from bridge.mqtt.client import client as connect
from bridge.mqtt.client import heed_cancel, keep_serving
from bridge.renewal import renewed
from bridge.requests.desk import Answer, Desk, Past
from bridge.requests.wanted import BadRequest, read
from bridge.settings import Broker
from bridge.topics import CONTENT_TYPE, MAX_TOPIC_BYTES, Topics
from bridge.vitals import Vitals

log = logging.getLogger(__name__)

MAX_WAITING = 100
"""Requests that wait for their turn; more are dropped and counted."""
WARN_EVERY_S = 60.0
HANDLE_S = 60.0
"""An answer of many pages, read from a slow disk."""
REQUESTS, SUBSCRIPTION = "requests", "requests' subscription"
FAILED = 0x80
READING = frozenset({"ledger", "gaps"})
"""Requests that do nothing but answer."""
DO_NOT_SEND_RETAINED = 2


class Inbox(asyncio.Queue[aiomqtt.Message]):
    """Requests that wait. `dropped` counts those for which there was no room."""

    def __init__(self) -> None:
        super().__init__(MAX_WAITING)
        self.dropped = 0

    def put_nowait(self, item: aiomqtt.Message) -> None:
        self.dropped += self.full()
        super().put_nowait(item)


class Requests:
    """Listens until cancelled, whatever the broker does. `past` is read off the loop.

    Raises SettingsError if the password's or the authority's file cannot be used. `counts`: of requests, beside the
    desk's.
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        names: Topics,
        desk: Desk,
        past: Past,
        vitals: Vitals | None = None,
    ) -> None:
        self._broker = broker
        self._client_id = client_id
        self._names = names
        self._desk = desk
        self._past = past
        self._vitals = vitals or Vitals(time.monotonic_ns, 0.0)
        self._password = broker.secret()
        self._what = {names.request(what): what for what in topics.REQUESTS}
        self._trouble = ""
        self._warned_s = -WARN_EVERY_S
        self.counts = {"answered": 0, "wrong": 0, "refused": 0, "ignored": 0, "dropped": 0}

    async def run(self) -> None:
        """A new client for every connection."""
        await keep_serving(self._broker, self._serve, self._away, partial(self._vitals.promise, REQUESTS))

    async def _serve(self) -> None:
        """One connection, until it breaks."""
        inbox = Inbox()
        self._vitals.promise(REQUESTS, 3 * self._broker.connect_timeout_s)
        try:
            async with connect(self._broker, self._client_id, self._password, inbox) as client:
                await self._subscribe(client)
                self._back()
                heed_cancel()
                self._vitals.rest(REQUESTS)
                subscribe, answer_s = partial(self._subscribe, client), self._broker.connect_timeout_s
                await renewed(self._listen(client), subscribe, self._vitals, SUBSCRIPTION, answer_s)
        finally:
            self.counts["dropped"] += inbox.dropped

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            self._vitals.promise(REQUESTS, HANDLE_S)
            await self._handle(client, message)
            self._vitals.rest(REQUESTS)
            heed_cancel()

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        options = SubscribeOptions(qos=1, retainHandling=DO_NOT_SEND_RETAINED)
        codes = await client.subscribe(self._names.request("+"), options=options)
        if any(getattr(code, "value", code) >= FAILED for code in codes):
            raise BrokerLost(f"the broker refuses the subscription of {self._names.request('+')}")

    async def _handle(self, client: aiomqtt.Client, message: aiomqtt.Message) -> None:
        """Answer one request, if it says where to, and that is where answers may go."""
        what = self._what.get(str(message.topic)) or str(message.topic).rsplit("/", 1)[-1]
        reply_to: str | None = getattr(message.properties, "ResponseTopic", None)
        if message.retain or (reply_to is None and what in READING):
            self.counts["ignored"] += 1
        elif reply_to is not None and (problem := self._answer_problem(reply_to)):
            self.counts["refused"] += 1
            self._warn("request %s refused: its response topic %r %s", what[:40], reply_to[:80], problem)
        else:
            pages = await self._answer(what, bytes(message.payload))
            if reply_to is not None:
                await self._send(client, reply_to, getattr(message.properties, "CorrelationData", None), pages)

    async def _answer(self, what: str, payload: bytes) -> list[Answer]:
        try:
            wanted = read(what, payload)
            found = await asyncio.to_thread(self._desk.look_up, wanted, self._past)
            pages = self._desk.answer(what, wanted, found)
        except (BadRequest, StoreError) as error:
            self.counts["wrong"] += 1
            return [{"ok": False, "error": str(error)}]
        self.counts["answered"] += 1
        return pages

    async def _send(self, client: aiomqtt.Client, topic: str, correlation: bytes | None, pages: list[Answer]) -> None:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ContentType = CONTENT_TYPE
        if correlation is not None:
            properties.CorrelationData = correlation
        for page in pages:
            await client.publish(topic, topics.state(page), qos=1, properties=properties)

    def _answer_problem(self, topic: str) -> str | None:
        """Why nothing is published there, or None."""
        root = self._names.answer_root()
        if not topic.startswith(root) or topic == root:
            return f"does not lie under {root}"
        if len(topic.encode()) > MAX_TOPIC_BYTES or any(char in "+#\0" for char in topic):
            return "is too long or holds a wildcard"
        return None

    def _away(self, trouble: str) -> None:
        """Said once per trouble, not per try."""
        if trouble != self._trouble:
            log.warning("requests cannot be heard: %s", trouble)
        self._trouble = trouble

    def _back(self) -> None:
        if self._trouble:
            log.info("requests are heard again")
        self._trouble = ""

    def _warn(self, text: str, *values: Any) -> None:
        """At most one line a minute; the rest is in the counts."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._warned_s >= WARN_EVERY_S:
            self._warned_s = now_s
            log.warning(text, *values)
