"""The publisher's surroundings for tests: a clock, an identity, and subscribers over aiomqtt."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt
import msgspec
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bridge.mqtt.publisher import Publisher
from bridge.outbox import Outbox
from bridge.settings import Broker as BrokerSettings
from bridge.states import States
from bridge.topics import Topics
from tests.broker import Broker
from tests.mqtt.cutting import CuttingBroker

RUN = 1_743_147_000_123
PATIENCE_S = 30.0
CLIENT_ID = "tickbridge-test"


class SystemClock:
    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class Self:
    """Who publishes."""

    def __init__(self, run: int | None = RUN) -> None:
        self.run = run

    def bridge_health(self, status: str, connection: int, now_ns: int) -> bytes:
        fields: dict[str, Any] = {"status": status, "connection": connection, "time_ns": now_ns}
        return msgspec.json.encode(fields if self.run is None else {**fields, "run": self.run})


class House:
    """A publisher with its outbox and states, running against a broker."""

    def __init__(
        self, broker: Broker | CuttingBroker, *, port: int | None = None, limit: int = 64 << 20, **settings: Any
    ) -> None:
        self.topics = Topics()
        self.outbox = Outbox(limit, 90.0)
        self.states = States(last=self.topics.health("bridge"))
        self.identity = Self()
        user, password = broker.credentials()
        chosen = {"host": broker.host, "port": port or broker.port, "user": user, "password": password} | settings
        self.publisher = Publisher(
            BrokerSettings(**chosen),
            CLIENT_ID,
            self.topics,
            self.outbox,
            self.states,
            SystemClock(),
            self.identity,
        )
        self.n: dict[str, int] = {}

    def publish(self, count: int, topic: str = "prices/x/A-B", payload: bytes = b"") -> None:
        """Append so many messages, numbered as the bridge does."""
        for _ in range(count):
            n = self.n[topic] = self.n.get(topic, 0) + 1
            body = payload or b'{"price":1,"run":%d,"n":%d}' % (self.identity.run or 0, n)
            self.outbox.append(topic, body, self.identity.run or 0, n, time.time_ns())
            self.publisher.wake()

    async def connected(self) -> None:
        await until(lambda: self.publisher.figures.connected, "the publisher connects")

    async def settled(self) -> None:
        await until(lambda: self.outbox.unacknowledged == 0, "everything is acknowledged")


@asynccontextmanager
async def running(house: House) -> AsyncIterator[House]:
    """The publisher's task; an error of it ends the test."""
    task = asyncio.create_task(house.publisher.run())
    try:
        yield house
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended


class Listener:
    """Subscribes, and keeps what came. `session`: QoS 1 with Clean Start 0, and comes back for ever."""

    def __init__(self, broker: Broker, *topics: str, session: str | None = None, user: str = "dashboard") -> None:
        self._broker = broker
        self._topics = topics
        self._session = session
        self._user = user
        self.messages: list[aiomqtt.Message] = []
        self.subscribed = asyncio.Event()

    def payloads(self, topic: str) -> list[bytes]:
        return [bytes(message.payload) for message in self.messages if str(message.topic) == topic]

    def numbers(self, topic: str) -> list[int]:
        return [msgspec.json.decode(payload)["n"] for payload in self.payloads(topic)]

    def last(self, topic: str) -> dict[str, Any]:
        payloads = self.payloads(topic)
        return msgspec.json.decode(payloads[-1]) if payloads and payloads[-1] else {}

    def _client(self) -> aiomqtt.Client:
        user, password = self._broker.credentials(self._user)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600 if self._session else 0
        return aiomqtt.Client(
            self._broker.host,
            self._broker.port,
            username=user,
            password=password,
            identifier=self._session,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=not self._session,
            properties=properties,
            keepalive=10,
        )

    async def listen(self) -> None:
        while True:
            try:
                async with self._client() as client:
                    await client.subscribe([(topic, 1) for topic in self._topics])
                    self.subscribed.set()
                    async for message in client.messages:
                        self.messages.append(message)
            except aiomqtt.MqttError:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def listening(broker: Broker, *topics: str, session: str | None = None) -> AsyncIterator[Listener]:
    listener = Listener(broker, *topics, session=session)
    task = asyncio.create_task(listener.listen())
    try:
        await asyncio.wait_for(listener.subscribed.wait(), PATIENCE_S)
        yield listener
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE_S) -> None:
    """Wait for a condition; says what did not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        await asyncio.sleep(0.01)
