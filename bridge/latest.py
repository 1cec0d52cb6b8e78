"""Conflation of states: the newest per topic, trailing edge, repeated while true. Pure; times are monotonic ns."""

from collections.abc import Callable

from bridge.topics import State

Render = Callable[[int], bytes | None]


class Slot:
    """One topic's state: what it says now, and when it was last sent."""

    __slots__ = ("alive", "pending", "sent_ns", "state")

    def __init__(self, state: State) -> None:
        self.state = state
        self.pending = False
        self.alive = True
        self.sent_ns = -(2**62)


class Conflation:
    """Sends each slot at most once an interval, the last change always, and again every `repeat_ns` while alive."""

    def __init__(self, put: Callable[[State], None], interval_ns: int, repeat_ns: int) -> None:
        self._put = put
        self._interval_ns = interval_ns
        self._repeat_ns = repeat_ns
        self._pending: list[Slot] = []
        self._slots: list[Slot] = []

    def slot(self, state: State) -> Slot:
        """A new slot; it sends nothing before its first `touch`."""
        slot = Slot(state)
        self._slots.append(slot)
        return slot

    def touch(self, slot: Slot) -> None:
        """The slot has something new to say."""
        if not slot.pending:
            slot.pending = True
            self._pending.append(slot)

    def end(self, slot: Slot) -> None:
        """What the slot says is true no more: it is not repeated."""
        slot.alive = False

    def drop(self, slot: Slot) -> None:
        """Forget the slot altogether."""
        self._slots.remove(slot)
        if slot.pending:
            self._pending.remove(slot)

    def flush(self, now_ns: int) -> None:
        """Send what is pending and whose interval is over; call it several times an interval."""
        waiting = []
        for slot in self._pending:
            if now_ns - slot.sent_ns >= self._interval_ns:
                self._send(slot, now_ns)
            else:
                waiting.append(slot)
        self._pending = waiting

    def send_now(self, slot: Slot, now_ns: int) -> None:
        """Send without waiting for the interval: becoming stale is news."""
        if slot.pending:
            self._pending.remove(slot)
        self._send(slot, now_ns)

    def repeat(self, now_ns: int) -> None:
        """Repeat what is still true; call it about once a second."""
        for slot in self._slots:
            if slot.alive and not slot.pending and slot.sent_ns > 0 and now_ns - slot.sent_ns >= self._repeat_ns:
                self._send(slot, now_ns)

    def _send(self, slot: Slot, now_ns: int) -> None:
        slot.pending = False
        slot.sent_ns = now_ns
        self._put(slot.state)
