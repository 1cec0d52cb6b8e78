"""`tickbridge backfill`: asks the running bridge for candles of the past, and shows how far it has come."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

import aiomqtt
import msgspec
from msgspec import Struct
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from tqdm import tqdm

from bridge import tls
from bridge.errors import BrokerLost, SettingsError, TickbridgeError
from bridge.exchanges import EXCHANGES
from bridge.mistakes import nearest
from bridge.mqtt.client import client
from bridge.settings import Settings
from bridge.topics import INTERVALS_NS, Topics

ANSWER_S = 10.0
"""How long a living bridge takes to answer at most."""
SILENCE_S = 45.0
"""A living job says so every 10 s."""
CANCEL_S = 3.0


class Wish(Struct, frozen=True):
    """What was typed. Times in ns; no symbols: all of the exchange."""

    exchange: str
    symbols: tuple[str, ...]
    from_ns: int
    to_ns: int
    interval: str = "1m"
    again: bool = False


class Told(Struct, frozen=True):
    """A job's state, as on `jobs/<id>`, or what the bridge answers."""

    ok: bool = True
    error: str = ""
    job: str = ""
    state: str = ""
    done: int = 0
    total: int = 0
    rows: int = 0
    reason: str = ""


class BackfillFailed(TickbridgeError):
    """The backfill did not come to its end. The text says why."""


_told = msgspec.json.Decoder(Told).decode


class NoBridge(BackfillFailed):
    """Nobody answers at this broker."""


def run(ways: Sequence[Settings], wish: Wish) -> str:
    """Until the backfill is over; the line that says what came of it. `ways`: with which brokers to try, in order.

    Raises SettingsError for what cannot be asked, BrokerLost, BackfillFailed. Ctrl-C ends the backfill in the bridge.
    """
    check(wish)
    problems: list[str] = []
    for settings in ways:
        try:
            return asyncio.run(_run(settings, wish))
        except (BrokerLost, NoBridge) as error:
            problems.append(str(error))
    raise BrokerLost("\n".join(problems))


def check(wish: Wish) -> None:
    """What can be told to be wrong without asking anybody. Raises SettingsError."""
    kind = EXCHANGES.get(wish.exchange)
    if kind is None:
        close = nearest(wish.exchange, list(EXCHANGES))
        cure = f"did you mean {close}?" if close else f"there are {', '.join(EXCHANGES)}"
        raise SettingsError(f"{wish.exchange} is no exchange here: {cure}")
    if wish.interval not in kind.intervals:
        there = ", ".join(one for one in INTERVALS_NS if one in kind.intervals)
        raise SettingsError(f"--interval {wish.interval}: {kind.title} has {there}")
    if wish.from_ns >= wish.to_ns:
        raise SettingsError("--to must be later than --from")


async def _run(settings: Settings, wish: Wish) -> str:
    broker = settings.broker
    try:
        async with _client(settings) as client:
            return await _Asking(client, settings).follow(wish)
    except (aiomqtt.MqttError, OSError) as error:
        raise BrokerLost(
            f"the broker at {broker.host}:{broker.port} cannot be used: {tls.words(error, broker)}"
        ) from error


class _Asking:
    """One backfill, from the request to its end."""

    def __init__(self, client: aiomqtt.Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._names = Topics(settings.prefix, settings.shard)
        self._answers = self._names.answers(settings.broker.user, f"backfill-{uuid4().hex[:12]}")

    async def follow(self, wish: Wish) -> str:
        await self._client.subscribe(self._answers, qos=1)
        fields = {"exchange": wish.exchange, "symbols": wish.symbols, "interval": wish.interval}
        job = await self._ask("backfill", fields | {"from": wish.from_ns, "to": wish.to_ns, "again": wish.again})
        topic = self._names.job(job.job)
        await self._client.subscribe(topic, qos=1)
        try:
            return _verdict(await self._watch(topic, job))
        except asyncio.CancelledError:
            with suppress(TickbridgeError, aiomqtt.MqttError, TimeoutError):
                async with asyncio.timeout(CANCEL_S):
                    await self._ask("cancel", {"job": job.job})
            sys.stderr.write("cancelled: the same command goes on from here\n")
            raise

    async def _watch(self, topic: str, job: Told) -> Told:
        """Show what the job tells until it is over."""
        with tqdm(total=job.total, unit=" candles", unit_scale=True, desc=job.state) as bar:
            while True:
                job = await self._next(topic, SILENCE_S)
                bar.total = job.total
                bar.set_description(job.state, refresh=False)
                bar.update(job.done - bar.n)
                if job.state not in ("waiting", "running"):
                    return job

    async def _ask(self, what: str, fields: Mapping[str, Any]) -> Told:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = self._answers
        await self._client.publish(self._names.request(what), msgspec.json.encode(fields), qos=1, properties=properties)
        answer = await self._next(self._answers, ANSWER_S)
        if not answer.ok:
            raise SettingsError(answer.error)
        return answer

    async def _next(self, topic: str, within_s: float) -> Told:
        """The next message of a topic. Raises BackfillFailed when there is none in time, or it makes no sense."""
        try:
            async with asyncio.timeout(within_s):
                async for message in self._client.messages:
                    if str(message.topic) == topic:
                        return _told(bytes(message.payload))
        except TimeoutError:
            if topic == self._answers:
                raise NoBridge(self._nobody()) from None
            raise BackfillFailed(
                "the bridge says nothing any more; when it runs again, the same command goes on"
            ) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BackfillFailed(f"what the bridge says cannot be read: {error}") from error
        raise BackfillFailed("the broker has ended the connection; the same command goes on")

    def _nobody(self) -> str:
        broker = self._settings.broker
        user = f", and may the user {broker.user} ask for it (operator and bridge may)" if broker.user else ""
        where = f"{broker.host}:{broker.port}"
        return f"no bridge answers at {where}: is `tickbridge run` (or `up`) running, with these settings{user}?"


def _verdict(job: Told) -> str:
    if job.state == "done" and not job.total:
        return "nothing to fetch: all of it was told before (--again fetches it once more)"
    if job.state == "done":
        return f"done: {job.rows:,} candles" + (f"; {job.reason}" if job.reason else "")
    if job.state == "cancelled":
        raise BackfillFailed(f"cancelled after {job.rows:,} candles: the same command goes on from here")
    raise BackfillFailed(
        f"{job.rows:,} candles, but {job.reason or 'it failed'}; the same command tries the rest again"
    )


def _client(settings: Settings) -> aiomqtt.Client:
    """A connection of its own."""
    broker = settings.broker
    return client(broker, f"{settings.instance}-backfill-{uuid4().hex[:12]}", broker.secret())
