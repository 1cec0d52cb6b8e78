"""The newest state of every topic, and which of them are still to be sent. Pure.

Bounded by the number of topics. A state is rendered at the moment of sending, so its age is true.
"""

from bridge.topics import State


def _nothing(_now_ns: int) -> bytes:
    return b""


class States:
    """Newest per topic. `last`: the topic that is sent behind all others (the bridge's own health)."""

    def __init__(self, last: str = "") -> None:
        self._last = last
        self._states: dict[str, State] = {}
        self._changed: dict[str, State] = {}
        self.merged = 0
        """States that a newer one replaced before they were sent."""
        self.parked = 0
        """States that the broker cut the line for, never sent again."""

    def __len__(self) -> int:
        return len(self._states)

    @property
    def waiting(self) -> int:
        """How many are to be sent."""
        return len(self._changed)

    def put(self, state: State) -> None:
        """The topic's newest state: to be sent."""
        topic = state.topic
        self._states[topic] = state
        if topic in self._changed:
            self.merged += 1
        self._changed[topic] = state

    def remove(self, topic: str, *, clear: bool = False) -> None:
        """Forget a topic; `clear` empties what the broker retains of it."""
        self._states.pop(topic, None)
        self._changed.pop(topic, None)
        if clear:
            self._changed[topic] = State(topic, _nothing, qos=1)

    def park(self, topic: str) -> None:
        """The broker does not bear this one: forget it and count it."""
        self.parked += 1
        self.remove(topic)

    def refill(self) -> None:
        """All are to be sent again: the broker may have forgotten them."""
        cleared = {topic: state for topic, state in self._changed.items() if topic not in self._states}
        self._changed = {**cleared, **self._states}

    def take(self, now_ns: int, most: int | None = None, confirmed: int | None = None) -> list[tuple[State, bytes]]:
        """Those changed since they were last taken, rendered now; what renders to None is skipped.

        At most `most` of them, and at most `confirmed` of QoS 1 or more; the others wait for the next time.
        """
        if not self._changed:
            return []
        chosen, self._changed = _part(self._in_order(), most, confirmed)
        rendered = ((state, state.render(now_ns)) for state in chosen)
        return [(state, payload) for state, payload in rendered if payload is not None]

    def _in_order(self) -> list[State]:
        last = self._changed.pop(self._last, None)
        return [*self._changed.values(), *([last] if last is not None else [])]


def _part(states: list[State], most: int | None, confirmed: int | None) -> tuple[list[State], dict[str, State]]:
    """Which are sent now, and which wait."""
    room = len(states) if most is None else most
    slots = len(states) if confirmed is None else confirmed
    chosen: list[State] = []
    waiting: dict[str, State] = {}
    for state in states:
        if len(chosen) >= room or (state.qos > 0 and slots <= 0):
            waiting[state.topic] = state
            continue
        slots -= state.qos > 0
        chosen.append(state)
    return chosen, waiting
