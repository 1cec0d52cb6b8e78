"""One MQTT 5 connection of a publisher, as bytes and values. Pure: no socket, no clock, no log.

A fresh `Line` per connection: Clean Start, no session of its own; what must be sent again is the outbox's to know.
Streams use the lower packet ids, states and the subscription the upper ones. Times are monotonic ns.
mqtt5's reason codes are no true enumerations: they are compared as integers.
"""

from collections.abc import Sequence

import mqtt5

from bridge.entries import Entry
from bridge.errors import BrokerLost
from bridge.mqtt.acks import Acks
from bridge.mqtt.encode import MAX_REMAINING, Encoder
from bridge.mqtt.told import (
    Acked,
    Connected,
    Ended,
    Event,
    Login,
    Pong,
    Rejected,
    StateAcked,
    Subscribed,
    Told,
    words,
)
from bridge.topics import CONTENT_TYPE

STATE_IDS = 256
"""Packet ids kept for QoS 1 states, the subscription and the nonce."""
MAX_INCOMING = 64 * 1024
"""Only our own marker and health come back; a longer packet is not for us."""
ACK_WAIT_NS = 30_000_000_000
"""A broker that answers pings but acknowledges nothing for so long is given up."""
FAILED = 0x80


class Line:
    """The state of one connection. `max_inflight` bounds the window of unacknowledged stream messages."""

    def __init__(self, keepalive_s: int, max_inflight: int, now_ns: int) -> None:
        self._keepalive_ns = keepalive_s * 1_000_000_000
        self._max_inflight = max_inflight
        self._receive_max = 0
        self.max_packet: int | None = None
        """The largest packet that the broker takes, in bytes; None: it named no limit."""
        self._acks = Acks(1)
        self._encoder = Encoder(1, None)
        self._rest = b""
        self._state_topics: dict[int, str] = {}
        self._filters: list[str] = []
        self._state_id = 0
        self._pings = 0
        self._heard_ns = self._pinged_ns = self._progress_ns = now_ns

    # --- what is sent -------------------------------------------------------------------------------
    def connect(self, login: Login) -> bytes:
        """The first packet. The will is retained, QoS 1, and never expires."""
        will = mqtt5.Will(
            login.will_topic,
            payload=login.will,
            qos=mqtt5.QoS.AT_LEAST_ONCE,
            retain=True,
            content_type=CONTENT_TYPE,
        )
        return mqtt5.ConnectPacket(
            login.client_id,
            username=login.user,
            password=None if login.password is None else login.password.encode(),
            clean_start=True,
            will=will,
            keep_alive=self._keepalive_ns // 1_000_000_000,
            max_packet_size=MAX_INCOMING,
        ).write()

    def subscribe(self, topics: Sequence[str]) -> bytes:
        self._filters = list(topics)
        filters = [mqtt5.TopicFilter(topic, max_qos=mqtt5.QoS.AT_MOST_ONCE) for topic in topics]
        return mqtt5.SubscribePacket(self._free_id("the subscription"), filters).write()

    def unsubscribe(self, topic: str) -> bytes:
        return mqtt5.UnsubscribePacket(self._free_id("the subscription"), [topic]).write()

    def publish(self, entries: Sequence[Entry], now_ns: int) -> tuple[bytes, list[Entry]]:
        """Stream messages, at most `room`, and those among them that are too large for the broker."""
        data, unfit = self._encoder.encode(entries)
        if not self._acks.in_flight:
            self._progress_ns = now_ns
        self._acks.sent(len(entries) - len(unfit))
        return data, unfit

    def state(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool,
        expiry_s: int | None,
        content_type: str = CONTENT_TYPE,
    ) -> bytes | None:
        """A state; None if it is too large for the broker. QoS 1 needs `state_room`."""
        packet = mqtt5.PublishPacket(
            topic,
            payload,
            qos=mqtt5.QoS(qos),
            retain=retain,
            packet_id=self._free_id(topic) if qos else None,
            message_expiry_interval=expiry_s,
            content_type=content_type if payload else None,
        ).write()
        if len(packet) <= (self.max_packet or MAX_REMAINING):
            return packet
        self._state_topics.pop(self._state_id if qos else 0, None)
        return None

    def ping(self, now_ns: int) -> bytes:
        self._pings += 1
        self._pinged_ns = now_ns
        return mqtt5.PingReqPacket().write()

    def disconnect(self) -> bytes:
        """A clean leave: no will is told."""
        return mqtt5.DisconnectPacket().write()

    def keep_alive(self, now_ns: int) -> bytes:
        """Call it about once a second. A ping when it is due; raises BrokerLost when the broker is silent."""
        if now_ns - self._heard_ns >= self._keepalive_ns:
            raise BrokerLost(f"is silent for {(now_ns - self._heard_ns) / 1e9:.0f} s")
        if self._acks.in_flight and now_ns - self._progress_ns >= ACK_WAIT_NS:
            raise BrokerLost(f"acknowledges nothing since {(now_ns - self._progress_ns) / 1e9:.0f} s")
        return self.ping(now_ns) if now_ns - self._pinged_ns >= self._keepalive_ns // 2 else b""

    # --- figures ------------------------------------------------------------------------------------
    @property
    def in_flight(self) -> int:
        return self._acks.in_flight

    @property
    def window(self) -> int:
        return self._acks.ids

    @property
    def room(self) -> int:
        """How many stream messages may be sent now."""
        return min(self._acks.ids, self._receive_max - len(self._state_topics)) - self._acks.in_flight

    @property
    def state_room(self) -> int:
        """How many QoS 1 states may be sent now."""
        used = len(self._state_topics)
        return max(0, min(STATE_IDS - used, self._receive_max - used - self._acks.in_flight))

    @property
    def unheard(self) -> int:
        return self._acks.unheard

    # --- what is received ---------------------------------------------------------------------------
    def receive(self, data: bytes, now_ns: int) -> list[Event]:
        """What these bytes tell; half a packet waits for the rest. Raises BrokerLost for what is no MQTT."""
        self._heard_ns = now_ns
        buffer = self._rest + data if self._rest else data
        events: list[Event] = []
        place = 0
        while True:
            count, place = self._acks.run(buffer, place)
            if count:
                self._progress_ns = now_ns
                events.append(Acked(count))
            end = packet_end(buffer, place)
            if end is None:
                self._rest = buffer[place:]
                return events
            events += self._read(buffer[place:end])
            place = end

    def _read(self, packet: bytes) -> list[Event]:
        try:
            told, _ = mqtt5.read(memoryview(packet))
        except (ValueError, IndexError) as error:
            raise BrokerLost(f"sends what is no MQTT 5: {error}") from error
        match told:
            case mqtt5.PubAckPacket():
                return self._acknowledged(told)
            case mqtt5.PublishPacket():
                return [Told(told.topic, told.payload)]
            case mqtt5.PingRespPacket():
                self._pings -= 1
                return [Pong()] if self._pings == 0 else []
            case mqtt5.DisconnectPacket():
                return [Ended(int(told.reason_code), words(told.reason_code, told.reason_str))]
            case _:
                return self._seldom(told)

    def _seldom(self, told: mqtt5.Packet) -> list[Event]:
        match told:
            case mqtt5.ConnAckPacket():
                self._accepted(told)
                return [Connected()]
            case mqtt5.SubAckPacket():
                self._state_topics.pop(told.packet_id, None)
                codes = zip(self._filters, told.reason_codes, strict=False)
                return [
                    Subscribed({topic: words(code, told.reason_str) for topic, code in codes if int(code) >= FAILED})
                ]
            case mqtt5.UnsubAckPacket():
                self._state_topics.pop(told.packet_id, None)
                return []
        raise BrokerLost(f"sends a packet that a publisher never gets: {type(told).__name__}")

    def _accepted(self, told: mqtt5.ConnAckPacket) -> None:
        if int(told.reason_code) >= FAILED:
            raise BrokerLost(f"refuses us: {words(told.reason_code, told.reason_str)}")
        if int(told.max_qos) < 1 or not told.retain_available:
            raise BrokerLost("offers no QoS 1 or keeps no retained messages: another broker is needed")
        self._receive_max = told.receive_max
        self.max_packet = told.max_packet_size
        if told.server_keep_alive:
            self._keepalive_ns = min(self._keepalive_ns, told.server_keep_alive * 1_000_000_000)
        window = max(1, min(self._max_inflight, told.receive_max, 65_535 - STATE_IDS))
        self._acks = Acks(window)
        self._encoder = Encoder(window, told.max_packet_size)

    def _acknowledged(self, told: mqtt5.PubAckPacket) -> list[Event]:
        if told.packet_id > self._acks.ids:
            topic = self._state_topics.pop(told.packet_id, "")
            refused = int(told.reason_code) >= FAILED
            return [StateAcked(topic, words(told.reason_code, told.reason_str) if refused else None)]
        settled = self._acks.answered(told.packet_id, int(told.reason_code))
        self._progress_ns = self._heard_ns
        reasons = [words(mqtt5.PubAckReasonCode(code), told.reason_str) if code >= FAILED else None for code in settled]
        return [Acked(1) if reason is None else Rejected(reason) for reason in reasons]

    def _free_id(self, topic: str) -> int:
        """The next packet id above those of the streams that is not in use."""
        first = self._acks.ids + 1
        used = self._state_topics
        self._state_id = next(pid for pid in range(first, first + STATE_IDS) if pid not in used)
        used[self._state_id] = topic
        return self._state_id


def packet_end(buffer: bytes, place: int) -> int | None:
    """Where the packet that begins here ends, None if that is not there yet. Raises BrokerLost for a wrong length."""
    remaining = shift = 0
    for at in range(place + 1, min(place + 5, len(buffer))):
        remaining |= (buffer[at] & 127) << shift
        shift += 7
        if buffer[at] < 128:
            if remaining > MAX_INCOMING:
                raise BrokerLost(f"sends a packet of {remaining} bytes")
            end = at + 1 + remaining
            return end if end <= len(buffer) else None
    if len(buffer) - place >= 5:
        raise BrokerLost("sends a packet without an end")
    return None
