"""A bridge's memory behind its desk, and somebody on the LAN who asks: for the tests of the requests."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bridge.coverage import Coverage
from bridge.entries import Entry
from bridge.fills import Backfills
from bridge.gaps import Gaps
from bridge.ledger import Published, Query, Run, Tally
from bridge.outbox import Outbox
from bridge.requests import Desk, Requests
from bridge.requests.wanted import read
from bridge.settings import Broker as BrokerSettings
from bridge.streams import Streams
from bridge.topics import Gap, Topics
from tests.broker import Broker

S = 1_000_000_000
RUN = 1743147000123
BTC = "prices/kucoin/BTC-USDT"


class Past:
    """What the ledger's file would say."""

    def __init__(self, *rows: Published) -> None:
        self._rows = rows
        self.asked: list[Query] = []

    def rows(self, query: Query) -> list[Published]:
        self.asked.append(query)
        return [row for row in self._rows if row.mark == query.mark]

    def runs(self) -> list[Run]:
        return [Run(RUN, 1, 2)]


class House:
    """A bridge's memory with `count` messages published on one topic."""

    def __init__(
        self, count: int = 10, topics: Sequence[str] = (BTC,), prefix: str = "", limit: int = 50_000_000
    ) -> None:
        self.names = Topics(prefix)
        self.outbox = Outbox(limit, 90)
        self.streams = Streams(self.outbox, lambda: None)
        self.streams.begin(RUN)
        self.tally = Tally(self.names)
        self.gaps = Gaps("7")
        self.coverage = Coverage()
        self.told: list[Gap] = []
        self.wakes = 0
        for topic in topics:
            for k in range(1, count + 1):
                self.streams.publish(self.streams.stream(topic), '{"price":1', k * S, k * S)
        self.desk = Desk(
            self.names,
            self.tally,
            self.gaps,
            self.outbox,
            lambda: 1000 * S,
            refresh=self.refresh,
            tell=self.told.append,
            sent=self.wake,
            run=lambda: self.streams.run,
            backfills=Backfills(),
            uncover=self.coverage.remove,
        )

    def refresh(self) -> None:
        self.tally.update(RUN, self.streams.tally(), [], 1000 * S)

    def wake(self) -> None:
        self.wakes += 1

    def sent_again(self) -> list[Entry]:
        return [entry for entry in self.outbox.take(10_000) if entry[5]]

    def ask(self, what: str, past: Past | None = None, **fields: Any) -> list[dict[str, Any]]:
        self.refresh()
        wanted = read(what, json.dumps(fields).encode())
        return self.desk.answer(what, wanted, self.desk.look_up(wanted, past or Past()))

    def one(self, what: str, **fields: Any) -> dict[str, Any]:
        (page,) = self.ask(what, **fields)
        assert page.pop("ok") is True
        return page


class Caller:
    """Somebody on the LAN who asks."""

    def __init__(self, client: aiomqtt.Client, names: Topics, user: str | None = None) -> None:
        self.client = client
        self.names = names
        self.answers = names.answers(user, "me")
        self.number = 0

    async def send(self, what: str, payload: bytes, reply_to: str | None = None, **more: Any) -> bytes:
        self.number += 1
        properties = Properties(PacketTypes.PUBLISH)
        properties.CorrelationData = correlation = b"\x00%d" % self.number
        if reply_to is not None:
            properties.ResponseTopic = reply_to
        await self.client.publish(self.names.request(what), payload, qos=1, properties=properties, **more)
        return correlation

    async def ask(self, what: str, payload: bytes = b"") -> list[dict[str, Any]]:
        correlation = await self.send(what, payload, self.answers)
        pages: list[dict[str, Any]] = []
        async with asyncio.timeout(10):
            while not pages or pages[-1].get("page", 1) < pages[-1].get("pages", 1):
                message = await anext(self.client.messages)
                assert message.properties is not None
                assert message.properties.CorrelationData == correlation
                assert message.properties.ContentType == "application/json"
                pages.append(json.loads(bytes(message.payload)))
        return pages


def settings(broker: Broker, user: str = "bridge") -> BrokerSettings:
    name, password = broker.credentials(user)
    return BrokerSettings(host=broker.host, port=broker.port, user=name, password=password)


@asynccontextmanager
async def serving(house: House, broker: Broker, past: Any = None, user: str = "bridge") -> AsyncIterator[Requests]:
    requests = Requests(settings(broker), "tickbridge-requests", house.names, house.desk, past or Past())
    task = asyncio.create_task(requests.run())
    try:
        yield requests
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def calling(house: House, broker: Broker, user: str = "dashboard") -> AsyncIterator[Caller]:
    name, password = broker.credentials(user)
    client = aiomqtt.Client(
        broker.host, broker.port, username=name, password=password, protocol=aiomqtt.ProtocolVersion.V5
    )
    async with client:
        await client.subscribe(house.names.answer_root() + "#", qos=1)
        await client.subscribe("stolen/#", qos=1)
        caller = Caller(client, house.names, name)
        await answering(caller)
        yield caller


async def answering(caller: Caller) -> None:
    """Wait until the bridge's requests are subscribed: nothing else tells it, so ask until there is an answer."""
    async with asyncio.timeout(20):
        while True:
            await caller.send("gaps", b'{"exchange":"probe"}', caller.answers)
            try:
                async with asyncio.timeout(0.3):
                    await anext(caller.client.messages)
                    break
            except TimeoutError:
                continue
    await drained(caller)


async def drained(caller: Caller) -> None:
    """Take in the answers to the probes that came late: all do before the answer to one more question."""
    last = await caller.send("gaps", b'{"exchange":"probe"}', caller.answers)
    async with asyncio.timeout(10):
        async for message in caller.client.messages:
            if message.properties is not None and message.properties.CorrelationData == last:
                return


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)
