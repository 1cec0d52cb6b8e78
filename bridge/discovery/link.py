"""The connection that keeps Home Assistant's configurations on the broker right. No will, no session.

On every connect it reads back what the broker retains of ours, so that what was removed between two runs is removed,
what a broker forgot comes again, and what is right is not written anew.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress

import aiomqtt
from msgspec import Struct

from bridge.discovery.home import UNKNOWN, Home
from bridge.discovery.shelf import Shelf
from bridge.errors import BrokerLost
from bridge.homeassistant.changes import changes, ours
from bridge.homeassistant.devices import MAX_BYTES
from bridge.mqtt.client import client, heed_cancel, keep_serving
from bridge.settings import Broker
from bridge.topics import Topics
from bridge.vitals import Vitals

log = logging.getLogger(__name__)

LOOK_S = 30.0
"""How long a broker may take to tell what it retains, or to give back what was published."""
LOOK_AGAIN_S = 300.0
"""While nothing changes, so often is looked whether the broker still hears and tells us."""
HOME = "homeassistant"
BIRTH_DELAY_S = (1.0, 5.0)
"""Home Assistant has just started and is busy: everybody waits a while, and not all the same."""
SELDOM_S = 30.0
"""Births, and what others did to our configurations, are answered once in so long: nobody makes us flood the broker."""
SUBSCRIBING_S = 2.0
"""Home Assistant gathers its subscriptions for about a second before it asks for them."""


PACKET_BYTES = 32
"""What a packet has beside topic and payload, at most."""


class Ways(Struct, frozen=True):
    """What of the bridge a link uses. `save()` is called when the broker has something that it must not forget, even
    if it is killed; `max_packet()`: the largest packet that it takes, in bytes, if that is known.
    """

    save: Callable[[], None]
    max_packet: Callable[[], int | None]
    vitals: Vitals


class Link:
    """Runs until cancelled, whatever the broker does. Raises SettingsError if the password's file cannot be read."""

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        names: Topics,
        home: Home,
        ways: Ways,
    ) -> None:
        self._broker = broker
        self._vitals = ways.vitals
        self._password = broker.secret()
        self._client_id = client_id
        self._names = names
        self._home = home
        self._birth_topic = home.settings.birth_topic
        self._save = ways.save
        self._max_packet = ways.max_packet
        self._again = False
        self._told = asyncio.Event()
        self._is_quiet = False
        """We write nothing: what comes on our topics is by others."""
        self._answer: asyncio.TimerHandle | None = None
        self._answered_s = -SELDOM_S

    async def run(self) -> None:
        """A new client for every connection."""
        await keep_serving(self._broker, self._serve, self._away, self._moves)

    async def _serve(self) -> None:
        """One connection, until it breaks."""
        shelf = Shelf(self._names.answer_root(), self._is_ours)
        self._moves(3 * self._broker.connect_timeout_s)
        async with client(self._broker, self._client_id, self._password) as connection:
            self._told.clear()
            self._is_quiet = False
            listening = asyncio.create_task(self._listen(connection, shelf))
            keeping = asyncio.create_task(self._keep(connection, shelf))
            try:
                await asyncio.wait([listening, keeping], return_when=asyncio.FIRST_COMPLETED)
                for task in (listening, keeping):
                    if task.done():
                        task.result()
            finally:
                for task in (listening, keeping):
                    task.cancel()
                with suppress(asyncio.CancelledError):
                    await asyncio.gather(listening, keeping, return_exceptions=True)

    async def _listen(self, connection: aiomqtt.Client, shelf: Shelf) -> None:
        async for message in connection.messages:
            topic = str(message.topic)
            if topic == self._birth_topic:
                if bytes(message.payload) == b"online" and not message.retain:
                    self._born()
            elif shelf.take(message):
                self._is_quiet = True
                self._told.set()
            elif not message.retain and self._home.ids.name(topic) is not None:
                shelf.topics[topic] = bytes(message.payload)
                if self._is_quiet:
                    self._answer_later()
            heed_cancel()

    async def _keep(self, connection: aiomqtt.Client, shelf: Shelf) -> None:
        sensors = self._names.sensors("+")
        await shelf.ask(connection, [self._home.ids.filter(), sensors, self._birth_topic])
        heed_cancel()
        await self._until_told()
        await connection.unsubscribe(sensors)
        heed_cancel()
        await self._write_unknown(connection, shelf)
        while True:
            self._home.changed.clear()
            again, self._again = self._again, False
            await self._publish(connection, shelf, again=again)
            self._moves(LOOK_AGAIN_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self._home.changed.wait()

    async def _write_unknown(self, connection: aiomqtt.Client, shelf: Shelf) -> None:
        missing = [topic for topic in self._home.sensor_topics() if shelf.topics.get(topic) != UNKNOWN]
        for topic in missing:
            self._moves(2 * self._broker.connect_timeout_s)
            await connection.publish(topic, UNKNOWN, qos=1, retain=True)
            heed_cancel()
        if missing:
            self._save()
            self._home.hurry()

    async def _publish(self, connection: aiomqtt.Client, shelf: Shelf, *, again: bool) -> None:
        """What differs from what the broker has, or all of it. Raises BrokerLost if it does not arrive there."""
        wanted = self._home.wanted
        every = list(changes(ours(self._home.ids, shelf.topics), wanted, again=again))
        troubles = [self._too_large(*one) for one in every]
        todo = [one for one, trouble in zip(every, troubles, strict=True) if not trouble]
        self._is_quiet = False
        self._told.clear()
        for topic, payload in todo:
            self._moves(2 * self._broker.connect_timeout_s)
            await connection.publish(topic, payload, qos=1, retain=True)
            heed_cancel()
            log.info("Home Assistant: %s %s", topic, "is written" if payload else "is removed")
        await shelf.ask_again(connection)
        heed_cancel()
        await self._until_told()
        refused = [topic for topic, payload in dict(todo).items() if shelf.topics.get(topic, b"") != payload]
        if refused:
            raise BrokerLost(f"the broker does not let us publish {refused[0]}: see its access list")
        if any(troubles):
            self._away(next(filter(None, troubles)))
        else:
            self._back()
        if todo:
            asyncio.get_running_loop().call_later(SUBSCRIBING_S, self._home.hurry)

    async def _until_told(self) -> None:
        """Raises BrokerLost for a broker that does not give back what was published."""
        self._moves(LOOK_S)
        try:
            async with asyncio.timeout(LOOK_S):
                await self._told.wait()
        except TimeoutError as error:
            raise BrokerLost(
                f"the broker does not give back what we publish under {self._names.answer_root()}"
            ) from error

    def _moves(self, within_s: float) -> None:
        self._vitals.promise(HOME, within_s)

    def _born(self) -> None:
        """Home Assistant is there: its states now, for it has subscribed already; its devices a little later."""
        if self._answer is None:
            self._home.hurry()
        self._again = True
        self._answer_later()

    def _answer_later(self) -> None:
        if self._answer is None:
            loop = asyncio.get_running_loop()
            at_s = max(loop.time() + random.uniform(*BIRTH_DELAY_S), self._answered_s + SELDOM_S)
            self._answer = loop.call_at(at_s, self._answer_now)

    def _answer_now(self) -> None:
        self._answer, self._answered_s = None, asyncio.get_running_loop().time()
        self._home.changed.set()

    def _is_ours(self, topic: str) -> bool:
        return self._home.ids.name(topic) is not None or topic in self._home.sensor_topics()

    def _too_large(self, topic: str, payload: bytes) -> str:
        """Why it is not sent; a broker would end the connection."""
        limit = self._max_packet()
        most = MAX_BYTES if limit is None else min(MAX_BYTES, limit - len(topic) - PACKET_BYTES)
        if len(payload) <= most:
            return ""
        return f"{topic} has {len(payload)} bytes, more than the {most} that this broker takes: choose fewer symbols"

    def _away(self, trouble: str) -> None:
        """Said once per trouble, not per try."""
        if trouble != self._home.trouble:
            log.warning("Home Assistant's devices cannot be told: %s", trouble)
        self._home.trouble = trouble

    def _back(self) -> None:
        if self._home.trouble:
            log.info("Home Assistant's devices are told again")
        self._home.trouble = ""
