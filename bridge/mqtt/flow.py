"""What goes out on a greeted connection, and in which order; what the broker's answers mean for the outbox. Pure.

After the greeting: rewind, then states, the birth behind them, then streams; suspects of an earlier break go singly.
"""

import msgspec

from bridge.entries import Entry
from bridge.mqtt.parts import Marker, OwnHealth, Parts
from bridge.mqtt.protocol import Line
from bridge.mqtt.suspects import Key
from bridge.mqtt.told import Acked, Event, Pong, Rejected, StateAcked, Told
from bridge.topics import State

BIRTH_EXPIRY_S = 30
STATES_A_BATCH = 1_000
"""States in one write; the rest follows in the next."""
SECOND_NS = 1_000_000_000


class Flow:
    """One connection's traffic over a `Line`. `number`: the connection's."""

    def __init__(self, parts: Parts, line: Line, number: int) -> None:
        self._parts = parts
        self._line = line
        self._number = number
        self._health_topic = parts.topics.health("bridge")
        self._marker_topic = parts.topics.marker(parts.client_id)
        self._unheard_before = parts.figures.unheard
        self._alone: Entry | State | None = None
        self._marked: tuple[int, int] | None = None
        self._born_ns: int | None = None
        self._birth_due = self._born = False
        self.live = False
        self.stopped = False
        """`stopped` was said: nothing else is published any more."""
        self.stop_answered = False
        self.refusals: list[tuple[str, str]] = []
        """Topic roots and reasons that were not refused for this reason before: to be logged."""

    def begin(self, position: int | None) -> None:
        """The broker remembers everything before this position; None: nobody knows what."""
        self._parts.outbox.rewind(position)
        self._parts.states.refill()
        self._birth_due = True
        self.live = True

    # --- what goes out ------------------------------------------------------------------------------
    @property
    def starved(self) -> bool:
        """Whether something waits that the next answer may make room for."""
        return self._parts.outbox.untaken > 0 or self._parts.states.waiting > 0 or self._birth_due

    @property
    def roomy(self) -> bool:
        """Whether a write is worth while: a quarter of the window is free."""
        return self._line.room * 4 >= self._line.window or not self._line.in_flight

    def batch(self) -> bytes:
        """Everything that may be sent now, for one write."""
        if self.stopped or self._alone is not None:
            return b""
        suspects, outbox = self._parts.suspects, self._parts.outbox
        if suspects.span is not None:
            first, behind = suspects.span
            if outbox.taken < first:
                return self._streams(min(self._line.room, first - outbox.taken))
            if self._line.in_flight:
                return b""
            if outbox.taken < behind:
                return self._one_stream()
            suspects.span = None
        data = self._one_state() if suspects.states else self._states()
        return data if self._alone is not None else data + self._birth() + self._streams(self._line.room)

    def marker(self) -> bytes:
        """The marker, if it moved."""
        run, position = self._parts.identity.run, self._parts.outbox.acknowledged
        if run is None or self._marked == (run, position):
            return b""
        self._marked = (run, position)
        payload = msgspec.json.encode(Marker(run, position))
        return self._line.state(self._marker_topic, payload, qos=0, retain=True, expiry_s=None) or b""

    def tick(self, now_ns: int) -> bytes:
        """Once a second. Raises BrokerLost when the broker is silent. `now_ns`: monotonic."""
        self._parts.outbox.forget(now_ns)
        return self._line.keep_alive(now_ns) + (b"" if self.stopped else self.marker())

    def stop(self) -> bytes:
        """The last words: what the states still have to say, and `stopped`, for ever retained."""
        states = self._states() if self._alone is None else b""
        self.stopped = True
        return states + self.marker() + self._health("stopped", None)

    def _states(self) -> bytes:
        now_ns = self._parts.clock.now_ns()
        taken = self._parts.states.take(now_ns, STATES_A_BATCH, self._line.state_room)
        return b"".join([self._state(state, payload) for state, payload in taken])

    def _one_state(self) -> bytes:
        """The next state alone, and a ping whose answer clears it."""
        states = self._parts.states
        while states.waiting:
            waiting = states.waiting
            taken = states.take(self._parts.clock.now_ns(), 1, self._line.state_room)
            if data := b"".join([self._state(state, payload) for state, payload in taken]):
                self._alone = taken[0][0]
                return data + self._line.ping(self._parts.clock.monotonic_ns())
            if states.waiting == waiting:
                return b""
        self._parts.suspects.states = False
        return b""

    def _state(self, state: State, payload: bytes) -> bytes:
        data = self._line.state(
            state.topic,
            payload,
            qos=state.qos,
            retain=state.retain,
            expiry_s=state.expiry_s,
            content_type=state.content_type,
        )
        if data is None:
            self._refuse(state.topic, f"{len(payload)} bytes are too large for the broker")
            return b""
        self._parts.figures.states += 1
        return data

    def _birth(self) -> bytes:
        """`online`, behind the states; and again when somebody else spoke in our name, at most once a second."""
        now_ns = self._parts.clock.monotonic_ns()
        early = self._born_ns is not None and now_ns - self._born_ns < SECOND_NS
        if not self._birth_due or early or self._parts.states.waiting or not self._line.state_room:
            return b""
        self._birth_due = False
        self._born_ns = now_ns
        return self._health("online", BIRTH_EXPIRY_S)

    def _health(self, status: str, expiry_s: int | None) -> bytes:
        payload = self._parts.identity.bridge_health(status, self._number, self._parts.clock.now_ns())
        qos = 1 if self._line.state_room else 0
        return self._line.state(self._health_topic, payload, qos=qos, retain=True, expiry_s=expiry_s) or b""

    def _streams(self, room: int) -> bytes:
        data = b""
        while room > 0 and (entries := self._parts.outbox.take(room)):
            room -= len(entries)
            data += self._publish(entries)
        return data

    def _one_stream(self) -> bytes:
        entries = self._parts.outbox.take(1)
        data = self._publish(entries)
        self._alone = entries[0] if data else None
        return data

    def _publish(self, entries: list[Entry]) -> bytes:
        data, unfit = self._line.publish(entries, self._parts.clock.monotonic_ns())
        for entry in unfit:
            self._parts.outbox.park(entry)
            self._refuse(entry[0], f"{len(entry[1])} bytes are too large for the broker")
        return data

    # --- what comes back ----------------------------------------------------------------------------
    def acked(self, count: int) -> None:
        """The oldest so many stream messages are with the broker."""
        self._parts.outbox.acknowledge(count, self._parts.clock.monotonic_ns())
        figures = self._parts.figures
        figures.published += count
        figures.unheard = self._unheard_before + self._line.unheard
        self._settle(tuple)

    def on(self, event: Event) -> None:
        """Any answer or message of a greeted connection."""
        match event:
            case Acked(count):
                self.acked(count)
            case Rejected(reason):
                entry = self._parts.outbox.refuse(self._parts.clock.monotonic_ns())
                if entry is not None:
                    self._refuse(entry[0], reason)
                self._settle(tuple)
            case StateAcked(topic, reason):
                self._state_acked(topic, reason)
            case Pong():
                self._settle(State)
            case Told(topic, payload) if topic == self._health_topic and not self._ours(payload):
                self._parts.figures.overwritten += 1
                self._birth_due = True

    def broke(self, code: int | None) -> None:
        """The broker cut the line; `code` is its DISCONNECT reason, if it gave one."""
        if not self.live or self.stopped:
            return
        outbox, suspects = self._parts.outbox, self._parts.suspects
        if self._alone is None:
            suspects.broke((outbox.acknowledged, outbox.taken), outbox.furthest, code, born=self._born)
        elif suspects.broke_alone(_key(self._alone), code):
            self._park(self._alone)

    def _settle(self, kind: type) -> None:
        if self._alone is not None and isinstance(self._alone, kind):
            self._parts.suspects.innocent(_key(self._alone))
            self._alone = None

    def _state_acked(self, topic: str, reason: str | None) -> None:
        if topic == self._health_topic:
            self._born = True
            self.stop_answered = self.stopped
        if reason is not None:
            self._refuse(topic, reason)

    def _ours(self, payload: bytes) -> bool:
        if self._born_ns is None or self.stopped:
            return True
        try:
            told = msgspec.json.decode(payload, type=OwnHealth)
        except msgspec.DecodeError:
            return False
        return (told.connection, told.run) == (self._number, self._parts.identity.run) and told.status == "online"

    def _park(self, alone: Entry | State) -> None:
        if isinstance(alone, State):
            self._parts.states.park(alone.topic)
            self._refuse(alone.topic, "the broker cuts the line for it")
        elif self._parts.outbox.park(alone):
            self._refuse(alone[0], "the broker cuts the line for it")

    def _refuse(self, topic: str, reason: str) -> None:
        root = topic.removeprefix(self._parts.topics.prefix).split("/", 1)[0][:40]
        if self._parts.figures.refuse(root, reason):
            self.refusals.append((root, reason))


def _key(alone: Entry | State) -> Key:
    return (alone.topic, "", 0) if isinstance(alone, State) else (alone[0], alone[2], alone[3])
