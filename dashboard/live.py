"""States as they are now, from the broker: health and catalogues always, `latest/` while somebody asks for it.

A whole market's `latest/` is 1,300 messages a second, too many to be heard for nobody.
"""

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any

import aiomqtt
import msgspec
from msgspec import Raw

from bridge.settings import Settings
from bridge.topics import Topics
from dashboard.broker import Inbox, backoff_s, passing_client, refused_topics

LATEST_EXPIRY_S = 30
MOST_EXPIRY_S = 3600
"""The longest expiry that the bridge gives any state (`jobs/`)."""
ASKED_S = 60.0
"""`latest/` is heard for so long after somebody asked."""
SETTLE_S = 1.0
"""How long the first one who asks waits for the retained values: one `latest.interval` of a living market."""
MOST_STATES = 20_000
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


class LiveStates:
    """`run` until cancelled. What has expired is never given out."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._prefix = Topics(settings.prefix).prefix
        self._states: dict[str, State] = {}
        self._live: set[str] = set()
        """Exchanges that spoke on this connection: what the broker retained of any other is provisional."""
        self._client: aiomqtt.Client | None = None
        self._asked_until_s = 0.0
        self._hears_latest = False
        self._settled_s = 0.0
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
                log.debug("live states: the broker is away: %s", error)
            finally:
                self.broker, self._client = "away", None
            await asyncio.sleep(backoff_s(self._tries))
            self._tries += 1

    async def _hear(self) -> None:
        inbox = Inbox()
        async with passing_client(self._settings.broker, f"{self._settings.instance}-page", inbox) as client:
            topics = [f"{self._prefix}{root}/#" for root in ("health", "catalogue")]
            refused = refused_topics(topics, await client.subscribe([(topic, 0) for topic in topics]))
            self.broker = f"refuses {', '.join(refused)}: see its acl" if refused else "ok"
            self._client, self._hears_latest = client, False
            self._live.clear()
            async for message in client.messages:
                self._note(message)
                while not inbox.empty():
                    self._note(inbox.get_nowait())
                await self._mind_latest(client)

    def _note(self, message: aiomqtt.Message) -> None:
        self._tries = 0
        topic = message.topic.value.removeprefix(self._prefix)
        if not message.payload:
            self._states.pop(topic, None)
        elif topic in self._states or len(self._states) < MOST_STATES:
            try:
                self._states[topic] = State(message, time.monotonic(), latest=topic.partition("/")[0] == "latest")
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self.unreadable += 1
            if not message.retain and "/" in topic:
                self._live.add(topic.split("/")[1])

    async def _mind_latest(self, client: aiomqtt.Client) -> None:
        """Stop hearing `latest/` when nobody has asked for a while."""
        if self._hears_latest and time.monotonic() > self._asked_until_s:
            self._hears_latest = False
            await client.unsubscribe(f"{self._prefix}latest/#")

    # --- what others ask ----------------------------------------------------------------------------
    async def latest(self) -> dict[tuple[str, str], bytes]:
        """Every symbol's `latest/` payload with its age by now, by exchange and symbol. Empty without a broker."""
        self._asked_until_s = time.monotonic() + ASKED_S
        client = self._client
        if client is not None and not self._hears_latest:
            self._hears_latest = True
            self._settled_s = time.monotonic() + SETTLE_S
            with suppress(aiomqtt.MqttError):
                await client.subscribe(f"{self._prefix}latest/#", 0)
        await asyncio.sleep(max(0.0, self._settled_s - time.monotonic()))
        return {
            (parts[1], parts[2]): _aged(state) if parts[1] in self._live else _provisional(state)
            for topic, state in self._living("latest")
            if len(parts := topic.split("/")) == 3
        }

    def health(self) -> dict[str, Any]:
        """The newest health of bridge and feeds, by the topic's rest."""
        return {topic.partition("/")[2]: Raw(state.payload) for topic, state in self._living("health")}

    def instruments(self) -> dict[tuple[str, str], dict[str, Raw]]:
        """Every instrument of the catalogues, by exchange and symbol."""
        return {
            (topic.split("/")[1], symbol): one
            for topic, state in self._living("catalogue")
            for symbol, one in state.instruments
        }

    def _living(self, root: str) -> list[tuple[str, State]]:
        now_s = time.monotonic()
        for topic in [topic for topic, state in self._states.items() if state.until_s and state.until_s < now_s]:
            del self._states[topic]
        return [(topic, state) for topic, state in sorted(self._states.items()) if topic.startswith(root + "/")]


def _provisional(state: State) -> bytes:
    """A retained value says nothing about now before its exchange has spoken on this connection."""
    told = {"stale": True, "reason": "nothing was heard of this exchange yet"}
    return msgspec.json.encode({name: raw for name, raw in state.fields.items() if name != "age_ms"} | told)


def _aged(state: State) -> bytes:
    """`age_ms` as of now: what it was when sent, the time with the broker, the time with us."""
    aged_ms = state.age_ms + int((time.monotonic() - state.received_s) * 1000)
    return msgspec.json.encode({**state.fields, "age_ms": aged_ms})
