"""Who reads which topics: every message goes to its readers, and the broker is asked only for what somebody reads."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from bridge.topics import STREAM_ROOTS
from dashboard.filters import expanded, matcher
from dashboard.live import Listener, Snapshot
from dashboard.stream.waiting import Waiting

MOST_READERS = 20
MOST_FILTERS = 50
"""Of one reader."""
MOST_HEARD = 1_000
"""Filters at the broker, of all readers."""
MOST_ROUTES = 50_000


class Live(Protocol):
    """What the hub needs of the live states."""

    broker: str
    listener: Listener | None

    async def hear(self, filters: Sequence[str]) -> list[str]: ...
    async def unhear(self, filters: Sequence[str]) -> None: ...
    def snapshot(self, filters: Sequence[str]) -> list[Snapshot]: ...


class Refused(Exception):
    """A request that cannot be granted; the text says why."""


class Reader:
    """One reader's filters, each with what it is for the broker, and what waits."""

    def __init__(self) -> None:
        self.filters: dict[str, tuple[str, ...]] = {}
        self.waiting = Waiting()
        self.means: Callable[[str], bool] = matcher([])
        self._changed = asyncio.Event()
        self._overrun = asyncio.Event()

    def wake(self) -> None:
        """There is more to take, or too much."""
        self._changed.set()
        if self.waiting.too_slow is not None:
            self._overrun.set()

    async def overrun(self) -> None:
        """Wait until too much waits."""
        await self._overrun.wait()

    async def next(self) -> bytes:
        """Wait for the next message."""
        while (message := self.waiting.take()) is None:
            self._changed.clear()
            await self._changed.wait()
        return message

    def follow(self) -> None:
        """From now on just these filters."""
        self.means = matcher([one for broker in self.filters.values() for one in broker])


class Hub:
    """All readers. Told by the live states what is heard."""

    def __init__(self, live: Live) -> None:
        self._live = live
        live.listener = self
        self._readers: set[Reader] = set()
        self._heard = 0
        self._routes: dict[str, list[Reader]] = {}
        self._last: tuple[str, bytes] = ("", b"")

    @property
    def broker(self) -> str:
        """`ok`, or what is wrong with the line to the broker."""
        return self._live.broker

    def join(self) -> Reader:
        """A new reader. Raises Refused if there are too many."""
        if len(self._readers) >= MOST_READERS:
            raise Refused(f"there are {MOST_READERS} readers already: try again later")
        reader = Reader()
        self._readers.add(reader)
        return reader

    async def leave(self, reader: Reader) -> None:
        self._readers.discard(reader)
        await self._drop(reader, [*reader.filters])

    async def subscribe(self, reader: Reader, filters: Sequence[str]) -> list[str]:
        """Follow these, too: what the broker knows of them comes first. All filters by now; raises Refused."""
        fresh = self._fresh(reader, filters)
        heard = [one for broker in fresh.values() for one in broker]
        if self._heard + len(heard) > MOST_HEARD:
            raise Refused(f"all readers together have more than {MOST_HEARD} filters")
        reader.filters |= fresh
        self._heard += len(heard)
        if refused := await self._live.hear(heard):
            await self._drop(reader, [*fresh])
            raise Refused(f"the broker refuses {', '.join(refused)[:200]}: see its acl")
        self._follow(reader)
        for state in self._live.snapshot(heard):
            reader.waiting.before(state.topic, written(state.topic, state.payload, state))
        reader.wake()
        return [*reader.filters]

    async def unsubscribe(self, reader: Reader, filters: Sequence[str]) -> list[str]:
        """Follow these no longer. All filters by now; raises Refused for one that was not subscribed."""
        for one in filters:
            if one not in reader.filters:
                raise Refused(f"{one[:60]!r} is not subscribed")
        await self._drop(reader, list(dict.fromkeys(filters)))
        return [*reader.filters]

    def _fresh(self, reader: Reader, filters: Sequence[str]) -> dict[str, tuple[str, ...]]:
        try:
            fresh = {one: expanded(one) for one in filters if one not in reader.filters}
        except ValueError as error:
            raise Refused(str(error)) from error
        if len(reader.filters) + len(fresh) > MOST_FILTERS:
            raise Refused(f"one reader has at most {MOST_FILTERS} filters")
        return fresh

    async def _drop(self, reader: Reader, filters: list[str]) -> None:
        heard = [one for text in filters for one in reader.filters.pop(text)]
        self._heard -= len(heard)
        self._follow(reader)
        reader.waiting.forget(lambda topic: not reader.means(topic))
        await self._live.unhear(heard)

    def _follow(self, reader: Reader) -> None:
        reader.follow()
        self._routes.clear()

    # --- what the live states tell ------------------------------------------------------------------
    def heard(self, topic: str, payload: bytes) -> None:
        # the broker sends a copy for each of our filters that means the topic, one after the other
        if not self._readers or self._last == (topic, payload):
            return
        self._last = (topic, payload)
        readers = self._route(topic)
        if not readers:
            return
        message, stream = written(topic, payload), topic.partition("/")[0] in STREAM_ROOTS
        for reader in readers:
            (reader.waiting.stream if stream else reader.waiting.state)(topic, message)
            reader.wake()

    def retained(self, state: Snapshot) -> None:
        for reader in self._route(state.topic):
            reader.waiting.before(state.topic, written(state.topic, state.payload, state))
            reader.wake()

    def line(self, broker: str) -> None:
        for reader in self._readers:
            reader.waiting.answer(msgspec.json.encode({"broker": broker}))
            reader.wake()

    def _route(self, topic: str) -> list[Reader]:
        readers = self._routes.get(topic)
        if readers is None:
            if len(self._routes) >= MOST_ROUTES:
                self._routes.clear()
            readers = self._routes[topic] = [reader for reader in self._readers if reader.means(topic)]
        return readers


def written(topic: str, payload: bytes, before: Snapshot | None = None) -> bytes:
    """One message for readers; a state that is no more has the payload null."""
    marks = b"" if before is None else b',"snapshot":true' + (b',"provisional":true' if before.provisional else b"")
    return b'{"topic":%b%b,"payload":%b}' % (msgspec.json.encode(topic), marks, payload or b"null")
