"""Asks the bridge by MQTT: a request out, its answer's pages in. Foreign bytes never get further than a typed value."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

import aiomqtt
import msgspec
from msgspec import Meta, Raw, Struct
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bridge.errors import BrokerLost, TickbridgeError
from bridge.settings import Settings
from bridge.tls import words
from bridge.topics import Topics
from dashboard.audit.values import Book, GapTold, Number, Published, RunTold, parts
from dashboard.broker import Inbox, passing_client

ANSWER_S = 5.0
"""How long the bridge may be silent before it counts as away."""
MOST_PAGES = 2_000
MOST_GAPS_READ = 200
"""Gaps whose long lists of lost messages are asked for one by one."""
LISTED_WHOLE = 50
"""A gap's list in a listing is cut there."""
log = logging.getLogger(__name__)


class BridgeAway(TickbridgeError):
    """Nobody answers, or what answers makes no sense."""


class BridgeRefuses(TickbridgeError):
    """The bridge answers that the request is wrong."""


class Page(Struct, frozen=True):
    """One page of an answer. What only some answers have is absent in others."""

    ok: bool
    error: str | None = None
    page: Annotated[int, Meta(ge=1, le=MOST_PAGES)] = 1
    pages: Annotated[int, Meta(ge=1, le=MOST_PAGES)] = 1
    rows: list[Raw] = []
    runs: list[RunTold] | None = None
    run: Number | None = None
    time_ns: Number | None = None
    version: Number | None = None
    cramped_s: Annotated[float, Meta(ge=0)] | None = None


class Told(Struct, frozen=True):
    """What the living bridge's ledger says. `version`: ask with it again to hear only what has changed since.

    `cramped_s`: the bridge can send again only what is that old, because its log is full.
    """

    rows: list[Published]
    runs: list[RunTold]
    run: int | None
    at_ns: int
    version: int
    cramped_s: float | None = None


class Sent(Struct, frozen=True):
    """What became of a resend: found in the log, sent again, left for later."""

    found: Number = 0
    resent: Number = 0
    later: Number = 0
    gone_count: Number = 0


class Entered(Struct, frozen=True):
    """What became of a loss: its gap, or `known` as it stands in one already."""

    gap: str | None = None
    known: bool = False


_page = msgspec.json.Decoder(Page).decode
_sent = msgspec.json.Decoder(Sent).decode
_entered = msgspec.json.Decoder(Entered).decode
_published = msgspec.json.Decoder(Published).decode
_gap = msgspec.json.Decoder(GapTold).decode
FOREIGN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Asking:
    """One connection to the broker; questions are asked one after the other."""

    def __init__(self, client: aiomqtt.Client, names: Topics, answers: str) -> None:
        self._client = client
        self._names = names
        self._answers = answers
        self._turn = asyncio.Lock()

    # --- questions ----------------------------------------------------------------------------------
    async def ledger(self, since: int | None = None) -> Told:
        """What this process published, or what of it has changed since a version."""
        pages = await self._pages("ledger", {} if since is None else {"since": since})
        first = _page(pages[0])
        if first.time_ns is None or first.version is None:
            raise BridgeAway("the bridge is of an older version, which the audit cannot ask")
        rows = self._rows(pages)
        return Told(rows, first.runs or [], first.run, first.time_ns, first.version, first.cramped_s)

    async def run(self, run: int) -> list[Published]:
        """All of an earlier run, its fills included; nothing if the bridge does not know it."""
        try:
            return self._rows(await self._pages("ledger", {"run": run, "fills": True}))
        except BridgeRefuses:
            return []

    async def gaps(self, from_ns: int, to_ns: int) -> list[GapTold]:
        """Every gap of a span of time, with all that is lost in it."""
        rows = [row for page in await self._pages("gaps", {"from": from_ns, "to": to_ns}) for row in _page(page).rows]
        gaps = [_read(_gap, row) for row in rows]
        long = [gap.id for gap in gaps if (gap.lost_count or 0) > LISTED_WHOLE][:MOST_GAPS_READ]
        whole = {gap_id: await self._lost_in(gap_id) for gap_id in long}
        return [msgspec.structs.replace(gap, lost=whole.get(gap.id, gap.lost)) for gap in gaps]

    async def resend(self, asked: Mapping[str, Any]) -> Sent:
        """Have a range sent again."""
        sent: Sent = _read(_sent, (await self._pages("resend", asked))[0])
        return sent

    async def lost(self, asked: Mapping[str, Any]) -> Entered:
        """Tell that a range is beyond repair."""
        entered: Entered = _read(_entered, (await self._pages("lost", asked))[0])
        return entered

    async def found(self, asked: Mapping[str, Any]) -> None:
        """Tell that a range is there after all."""
        await self._pages("found", asked)

    # --- the protocol -------------------------------------------------------------------------------
    async def _lost_in(self, gap_id: str) -> list[Any]:
        decode = msgspec.json.Decoder(GapTold.__annotations__["lost"]).decode
        pages = [_page(page) for page in await self._pages("gaps", {"id": gap_id})]
        return _read(decode, b"[" + b",".join(bytes(row) for page in pages for row in page.rows) + b"]") or []

    def _rows(self, pages: list[bytes]) -> list[Published]:
        """Rows with topics that have lost their prefix; what has another one, or is no stream, is not ours."""
        prefix = self._names.prefix
        rows = [_read(_published, row) for page in pages for row in _page(page).rows]
        ours = (row for row in rows if row.topic.startswith(prefix))
        plain = (msgspec.structs.replace(row, topic=row.topic.removeprefix(prefix)) for row in ours)
        return [row for row in plain if parts(row.topic) is not None]

    async def _pages(self, what: str, fields: Mapping[str, Any]) -> list[bytes]:
        """The pages of one answer. Raises BridgeAway, BridgeRefuses or BrokerLost."""
        async with self._turn:
            correlation = await self._send(what, fields)
            pages: list[bytes] = []
            expected = 1
            while len(pages) < expected:
                payload = await self._next(correlation)
                page = _read(_page, payload)
                if not page.ok:
                    raise BridgeRefuses(f"{what}: {(page.error or 'no reason given')[:300]}")
                if page.page != len(pages) + 1:
                    raise BridgeAway(f"{what}: page {page.page} came where {len(pages) + 1} was due")
                expected = page.pages
                pages.append(payload)
            return pages

    async def _send(self, what: str, fields: Mapping[str, Any]) -> bytes:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = self._answers
        properties.CorrelationData = correlation = secrets.token_bytes(16)
        try:
            await self._client.publish(
                self._names.request(what), msgspec.json.encode(fields), qos=1, properties=properties
            )
        except aiomqtt.MqttError as error:
            raise BrokerLost(str(error)) from error
        return correlation

    async def _next(self, correlation: bytes) -> bytes:
        """The next page of this answer; what belongs to an earlier question is passed over."""
        try:
            async with asyncio.timeout(ANSWER_S):
                while True:
                    message = await anext(self._client.messages)
                    if getattr(message.properties, "CorrelationData", None) == correlation:
                        return bytes(message.payload)
        except TimeoutError:
            raise BridgeAway("the bridge does not answer") from None
        except (aiomqtt.MqttError, StopAsyncIteration) as error:
            raise BrokerLost(str(error)) from error


@asynccontextmanager
async def asking(settings: Settings, name: str) -> AsyncIterator[Asking]:
    """A connection of its own, as `<instance>-<name>`. Raises BrokerLost."""
    names = Topics(settings.prefix, settings.shard)
    identifier = settings.client_id(f"{name}{settings.shard.replace('/', '-')}")
    # whoever may ask can have an answer sent anywhere below answers: to a topic that it cannot guess it cannot
    answers = names.answers(settings.broker.user, f"{identifier}/{secrets.token_hex(8)}")
    try:
        async with passing_client(settings.broker, identifier, Inbox()) as client:
            await client.subscribe(answers, 1)
            yield Asking(client, names, answers)
    except (aiomqtt.MqttError, OSError) as error:
        raise BrokerLost(f"{settings.broker.host}:{settings.broker.port}: {words(error, settings.broker)}") from error


async def asked_book(bridge: Asking, from_ns: int, to_ns: int) -> Book:
    """The whole ledger of a living bridge, as far as it touches a span of time."""
    told = await bridge.ledger()
    rows = list(told.rows)
    mine = {row.run for row in rows if row.run is not None}
    for run in told.runs:
        if run.run not in mine and run.started_ns < to_ns and _last_ns(run) >= from_ns:
            rows += await bridge.run(run.run)
    gaps = await bridge.gaps(from_ns, to_ns)
    return Book("the bridge, which is running", rows, told.runs, gaps, told.run, told.at_ns)


def _last_ns(run: RunTold) -> int:
    return max(run.ended_ns or 0, run.known_ns)


def _read(decode: Any, payload: Any) -> Any:
    """Decode what somebody else sent. Raises BridgeAway."""
    try:
        return decode(payload)
    except FOREIGN as error:
        raise BridgeAway(f"an answer cannot be read: {str(error)[:200]}") from error
