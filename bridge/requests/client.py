"""The requests' own connection to the broker: a request in, its answer out, one by one. No will, no session."""

import asyncio
import logging
import socket
import time
from typing import Any, cast

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from bridge import tls, topics
from bridge.backoff import Backoff
from bridge.errors import BrokerLost, StoreError
from bridge.requests.desk import Answer, Desk, Past
from bridge.requests.wanted import BadRequest, read
from bridge.settings import Broker
from bridge.topics import CONTENT_TYPE, MAX_TOPIC_BYTES, Topics
from bridge.vitals import Vitals

log = logging.getLogger(__name__)

MAX_WAITING = 100
"""Requests that wait for their turn; more are dropped and counted."""
MAX_PACKET = 1024 * 1024
"""What the broker may send us; larger than any request, so that one that is too long can still be told so."""
BACKOFF_FIRST_S = 1.0
BACKOFF_MOST_S = 60.0
STEADY_S = 30.0
"""A connection that lived so long earns a fast retry; two bridges of one name throw each other out at once."""
WARN_EVERY_S = 60.0
HANDLE_S = 60.0
"""An answer of many pages, read from a slow disk."""
REQUESTS = "requests"
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
        self._tls = tls.context(broker)
        self._what = {names.request(what): what for what in topics.REQUESTS}
        self._trouble = ""
        self._warned_s = -WARN_EVERY_S
        self.counts = {"answered": 0, "wrong": 0, "refused": 0, "ignored": 0, "dropped": 0}

    async def run(self) -> None:
        """A new client for every connection."""
        loop = asyncio.get_running_loop()
        backoff = Backoff(BACKOFF_FIRST_S, BACKOFF_MOST_S)
        while True:
            began_s = loop.time()
            try:
                await self._serve()
            except (aiomqtt.MqttError, BrokerLost, OSError) as error:
                _heed_cancel()
                self._away(tls.words(error, self._broker))
            if loop.time() - began_s > STEADY_S:
                backoff.reset()
            delay_s = backoff.next()
            self._vitals.promise(REQUESTS, delay_s)
            await asyncio.sleep(delay_s)

    async def _serve(self) -> None:
        """One connection, until it breaks."""
        inbox = Inbox()
        self._vitals.promise(REQUESTS, 3 * self._broker.connect_timeout_s)
        try:
            async with self._client(inbox) as client:
                await self._subscribe(client)
                self._back()
                _heed_cancel()
                self._vitals.rest(REQUESTS)
                async for message in client.messages:
                    self._vitals.promise(REQUESTS, HANDLE_S)
                    await self._handle(client, message)
                    self._vitals.rest(REQUESTS)
                    _heed_cancel()
        finally:
            self.counts["dropped"] += inbox.dropped

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

    def _client(self, inbox: Inbox) -> aiomqtt.Client:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 0
        properties.MaximumPacketSize = MAX_PACKET
        broker = self._broker
        return aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.user,
            password=self._password,
            identifier=self._client_id,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            keepalive=broker.keepalive_s,
            timeout=broker.connect_timeout_s,
            properties=properties,
            # else every answer waits 40 ms for the acknowledgement of the PUBACK before it
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
            # aiomqtt makes its queue by this, with a size; the inbox has its own, and counts
            queue_type=cast("type[asyncio.Queue[aiomqtt.Message]]", lambda maxsize: inbox),
            tls_context=self._tls,
        )

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


def _heed_cancel() -> None:
    """Before Python 3.12 `wait_for` loses a cancellation that comes together with its result: a stop would hang."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
