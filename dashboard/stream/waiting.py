"""What one reader has not taken yet: answers, states as they were, then what follows. Bounded.

Of a state only the newest waits. Stream messages all wait, so a reader that cannot follow them has to go.
"""

from collections import deque
from collections.abc import Callable

MOST_BYTES = 8 * 1024 * 1024
"""What may wait for one reader: twice the states of two whole markets."""
MOST_MESSAGES = 20_000


class Waiting:
    """`too_slow` says why nothing more is taken, once too much has waited."""

    def __init__(self, most_bytes: int = MOST_BYTES, most_messages: int = MOST_MESSAGES) -> None:
        self._most_bytes = most_bytes
        self._most_messages = most_messages
        self._answers: deque[bytes] = deque()
        self._before: dict[str, bytes] = {}
        """States as they were when they were subscribed: they go before all that follows."""
        self._states: dict[str, bytes] = {}
        self._streams: deque[tuple[str, bytes]] = deque()
        self._streams_next = False
        self._bytes = 0
        self.conflated = 0
        self.too_slow: str | None = None

    def answer(self, message: bytes) -> None:
        self._answers.append(message)
        self._count(len(message))

    def before(self, topic: str, message: bytes) -> None:
        """A state as it was; one that waits already is newer."""
        if topic not in self._before and topic not in self._states:
            self._before[topic] = message
            self._count(len(message))

    def state(self, topic: str, message: bytes) -> None:
        states = self._before if topic in self._before else self._states
        older = states.get(topic)
        if older is not None:
            self.conflated += 1
            self._bytes -= len(older)
        states[topic] = message
        self._count(len(message))

    def stream(self, topic: str, message: bytes) -> None:
        self._streams.append((topic, message))
        self._count(len(message))

    def take(self) -> bytes | None:
        """What goes next; states and streams take turns."""
        message = self._next()
        if message is not None:
            self._bytes -= len(message)
        return message

    def _next(self) -> bytes | None:
        if self._answers:
            return self._answers.popleft()
        if self._before:
            return self._before.pop(next(iter(self._before)))
        self._streams_next = not self._streams_next
        if self._streams and (self._streams_next or not self._states):
            return self._streams.popleft()[1]
        return self._states.pop(next(iter(self._states))) if self._states else None

    def forget(self, gone: Callable[[str], bool]) -> None:
        """Drop what waits of some topics: nothing of them comes after the answer that they are unsubscribed."""
        for states in (self._before, self._states):
            for topic in [topic for topic in states if gone(topic)]:
                self._bytes -= len(states.pop(topic))
        kept = deque(one for one in self._streams if not gone(one[0]))
        self._bytes -= sum(len(message) for _, message in self._streams) - sum(len(message) for _, message in kept)
        self._streams = kept

    def _count(self, size: int) -> None:
        self._bytes += size
        if len(self._streams) > self._most_messages:
            self._end(f"too slow: {len(self._streams)} messages wait")
        elif self._bytes > self._most_bytes:
            self._end(f"too slow: {self._bytes} bytes wait")

    def _end(self, reason: str) -> None:
        """What waits is of no use any more: this reader is sent away."""
        self.too_slow = self.too_slow or reason
        for held in (self._answers, self._before, self._states, self._streams):
            held.clear()
        self._bytes = 0
