"""States as they are now, from the broker: health and catalogues always, `latest/` while somebody asks for it.

A whole market's `latest/` is 1,300 messages a second, too many to be heard for nobody. Others may have more heard,
streams, too, while they need it: a listener is told every message.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any, Protocol

import aiomqtt
import msgspec
from msgspec import Raw, Struct

from bridge.renewal import renewed
from bridge.settings import Settings
from bridge.tls import words
from bridge.topics import STREAM_ROOTS, Topics
from bridge.vitals import Vitals
from dashboard.broker import Inbox, backoff_s, passing_client
from dashboard.filters import matcher
from dashboard.subscriptions import Subscriptions

LATEST_EXPIRY_S = 30
MOST_EXPIRY_S = 3600
"""The longest expiry that the bridge gives any state (`jobs/`)."""
ASKED_S = 60.0
"""`latest/` is heard for so long after somebody asked."""
SETTLE_S = 1.0
"""How long the first one who asks waits for the retained values: one `latest.interval` of a living market."""
MOST_STATES = 20_000
AT_ONCE = 500
"""So many messages are taken in before others get their turn."""
TAKEN_S = 10.0
NAME, SUBSCRIPTIONS = "live states", "live states' subscriptions"
HEALTH, CATALOGUE, LATEST = (f"{root}/#" for root in ("health", "catalogue", "latest"))
LASTING = ("catalogue", "jobs")
"""What holds whether its exchange speaks or not."""
log = logging.getLogger(__name__)
_decode = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_list = msgspec.json.Decoder(list[dict[str, Raw]]).decode


class State:
    """One topic's newest payload, and until when it may be believed (monotonic seconds; None: it never expires).

    Raises msgspec.DecodeError if the payload is not what its topic promises.
    """

    __slots__ = ("age_ms", "fields", "instruments", "payload", "received_s", "until_s")

    def __init__(self, message: aiomqtt.Message, now_s: float, *, latest: bool) -> None:
        self.payload = bytes(message.payload)
        self.payload.decode()
        self.fields = _decode(self.payload)
        self.received_s = now_s
        left_s = getattr(message.properties, "MessageExpiryInterval", None)
        # the broker counts by its own clock, which may be wrong: nothing is believed for longer than it was given
        most_s = LATEST_EXPIRY_S if latest else MOST_EXPIRY_S
        self.until_s = (
            None if left_s is None and not latest else now_s + (most_s if left_s is None else min(left_s, most_s))
        )
        with_broker_s = 0 if left_s is None else max(0, LATEST_EXPIRY_S - left_s)
        self.age_ms = msgspec.json.decode(self.fields.get("age_ms", Raw(b"0")), type=int) + with_broker_s * 1000
        listed = _decode_list(self.fields.get("instruments", Raw(b"[]")))
        self.instruments = [(msgspec.json.decode(one["symbol"], type=str), one) for one in listed if "symbol" in one]


class Snapshot(Struct, frozen=True):
    """A state that was there before: its payload with its age by now; `provisional`: it says nothing about now yet."""

    topic: str
    payload: bytes
    provisional: bool


class Listener(Protocol):
    """Who is told what is heard, topics without the prefix."""

    def heard(self, topic: str, payload: bytes) -> None:
        """A message, as it was published; an empty payload: the state is no more."""

    def retained(self, state: Snapshot) -> None:
        """A state from before, because a subscription is new."""

    def line(self, broker: str) -> None:
        """The connection to the broker came or went: `ok`, or what is wrong."""

    def status(self) -> dict[str, int]:
        """Counters for health."""


class LiveStates:
    """`run` until cancelled. What has expired is never given out."""

    def __init__(self, settings: Settings, vitals: Vitals | None = None) -> None:
        self._settings = settings
        self._vitals = vitals or Vitals(time.monotonic_ns, 0.0)
        self._prefix = Topics(settings.prefix).prefix
        self._states: dict[str, State] = {}
        self._live: set[str] = set()
        """Exchanges that spoke on this connection: what the broker retained of any other is provisional."""
        self._client: aiomqtt.Client | None = None
        self._subscriptions = Subscriptions(self._prefix, [HEALTH, CATALOGUE])
        self._asked_until_s = 0.0
        self._hears_latest = False
        self._settled_s = 0.0
        self.listener: Listener | None = None
        self.broker = "away"
        """`ok` or what is wrong."""
        self._tries = 0
        self.unreadable = 0

    @property
    def connected(self) -> bool:
        return self._client is not None

    async def run(self) -> None:
        while True:
            try:
                await self._hear()
            except (aiomqtt.MqttError, OSError) as error:
                log.debug("live states: the broker is away: %s", words(error, self._settings.broker))
            finally:
                self._client = None
                self._subscriptions.end()
                self._line("away")
            delay_s = backoff_s(self._tries)
            self._vitals.promise(NAME, delay_s)
            await asyncio.sleep(delay_s)
            self._tries += 1

    async def _hear(self) -> None:
        inbox = Inbox()
        self._vitals.promise(NAME, 3 * self._settings.broker.connect_timeout_s)
        async with passing_client(self._settings.broker, self._settings.client_id("page"), inbox) as client:
            self._live.clear()
            refused = await self._subscriptions.begin(client)
            self._client = client
            self._settled_s = time.monotonic() + SETTLE_S
            self._line(f"refuses {', '.join(refused)}: see its acl" if refused else "ok")
            self._vitals.rest(NAME)
            answer_s, again = self._settings.broker.connect_timeout_s, self._subscriptions.renew
            await renewed(self._take_in(client, inbox), again, self._vitals, SUBSCRIPTIONS, answer_s)

    async def _take_in(self, client: aiomqtt.Client, inbox: Inbox) -> None:
        async for message in client.messages:
            self._vitals.promise(NAME, TAKEN_S)
            self._note(message)
            for _ in range(min(AT_ONCE, inbox.qsize())):
                self._note(inbox.get_nowait())
            await self._mind_latest()
            self._vitals.rest(NAME)

    def _line(self, broker: str) -> None:
        self.broker = broker
        if self.listener is not None:
            self.listener.line(broker)

    def _note(self, message: aiomqtt.Message) -> None:
        self._tries = 0
        topic = message.topic.value.removeprefix(self._prefix)
        try:
            if topic.partition("/")[0] in STREAM_ROOTS:
                self._tell(topic, checked(bytes(message.payload)))
            elif not message.payload:
                self._states.pop(topic, None)
                self._tell(topic, b"")
            elif topic in self._states or len(self._states) < MOST_STATES:
                self._note_state(topic, message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.unreadable += 1

    def _note_state(self, topic: str, message: aiomqtt.Message) -> None:
        known = self._states.get(topic)
        state = State(message, time.monotonic(), latest=topic.partition("/")[0] == "latest")
        self._states[topic] = state
        if not message.retain:
            self._live.add(exchange_of(topic))
            self._tell(topic, state.payload)
        elif self.listener is not None and (known is None or known.payload != state.payload):
            self.listener.retained(self._snapshot(topic, state))

    def _tell(self, topic: str, payload: bytes) -> None:
        if self.listener is not None:
            self.listener.heard(topic, payload)

    async def _mind_latest(self) -> None:
        """Stop hearing `latest/` when nobody has asked for a while."""
        if self._hears_latest and time.monotonic() > self._asked_until_s:
            self._hears_latest = False
            await self.unhear([LATEST])

    # --- what is heard for others -------------------------------------------------------------------
    async def hear(self, filters: Sequence[str]) -> list[str]:
        """Hear these filters (without the prefix) until `unhear`, over breaks; which of them the broker refuses."""
        return await self._subscriptions.want(filters)

    async def unhear(self, filters: Sequence[str]) -> None:
        """No longer needed by one who did `hear` them; states that nothing renews any more are forgotten."""
        await self._subscriptions.release(filters)
        gone, kept = matcher(filters), matcher([*self._subscriptions])
        for topic in [topic for topic in self._states if gone(topic) and not kept(topic)]:
            del self._states[topic]

    def snapshot(self, filters: Sequence[str]) -> list[Snapshot]:
        """The states of some filters as they are now."""
        meant = matcher(filters)
        return [self._snapshot(topic, state) for topic, state in self._living() if meant(topic)]

    def _snapshot(self, topic: str, state: State) -> Snapshot:
        root = topic.partition("/")[0]
        provisional = exchange_of(topic) not in self._live and root not in LASTING
        if root != "latest":
            return Snapshot(topic, state.payload, provisional)
        return Snapshot(topic, _provisional(state) if provisional else _aged(state), provisional)

    # --- what others ask ----------------------------------------------------------------------------
    async def latest(self) -> dict[tuple[str, str], bytes]:
        """Every symbol's `latest/` payload with its age by now, by exchange and symbol. Empty without a broker."""
        self._asked_until_s = time.monotonic() + ASKED_S
        if not self._hears_latest:
            self._hears_latest = True
            self._settled_s = time.monotonic() + (SETTLE_S if self.connected else 0.0)
            await self.hear([LATEST])
        await asyncio.sleep(max(0.0, self._settled_s - time.monotonic()))
        return {
            (parts[1], parts[2]): _aged(state) if parts[1] in self._live else _provisional(state)
            for topic, state in self._living("latest")
            if len(parts := topic.split("/")) == 3
        }

    def health(self) -> dict[str, Any]:
        """The newest health of bridge and feeds, by the topic's rest."""
        return {topic.partition("/")[2]: Raw(state.payload) for topic, state in self._living("health")}

    def stream(self) -> dict[str, int] | None:
        """Counters of those who are told what is heard, if there is anybody."""
        return None if self.listener is None else {**self.listener.status(), "unreadable": self.unreadable}

    def instruments(self) -> dict[tuple[str, str], dict[str, Raw]]:
        """Every instrument of the catalogues, by exchange and symbol."""
        return {
            (topic.split("/")[1], symbol): one
            for topic, state in self._living("catalogue")
            for symbol, one in state.instruments
        }

    def _living(self, root: str = "") -> list[tuple[str, State]]:
        now_s = time.monotonic()
        for topic in [topic for topic, state in self._states.items() if state.until_s and state.until_s < now_s]:
            del self._states[topic]
        return [one for one in sorted(self._states.items()) if not root or one[0].startswith(root + "/")]


def exchange_of(topic: str) -> str:
    """The level after the root: whom a topic is about (`bridge` is one, too)."""
    return topic.partition("/")[2].partition("/")[0]


def checked(payload: bytes) -> bytes:
    """A stream's payload, if it is a JSON object. Raises msgspec.DecodeError or UnicodeDecodeError."""
    payload.decode()
    _decode(payload)
    return payload


def _provisional(state: State) -> bytes:
    """A retained value says nothing about now before its exchange has spoken on this connection."""
    told = {"stale": True, "reason": "nothing was heard of this exchange yet"}
    return msgspec.json.encode({name: raw for name, raw in state.fields.items() if name != "age_ms"} | told)


def _aged(state: State) -> bytes:
    """`age_ms` as of now: what it was when sent, the time with the broker, the time with us."""
    aged_ms = state.age_ms + int((time.monotonic() - state.received_s) * 1000)
    return msgspec.json.encode({**state.fields, "age_ms": aged_ms})
