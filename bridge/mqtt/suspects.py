"""Which message does the broker cut the line for? Found by sending the suspects one at a time. Pure.

A line that breaks after messages were sent may have been cut for one of them, and would be again for ever. What tells
is whether more was acknowledged than ever before: what is merely sent again after a rewind is acknowledged each time.
So after two breaks without that (or one whose reason blames the packet) what was under way is sent singly; what is
alone under way when the line breaks twice (or once with blame) is parked.
"""

BLAMING = frozenset({0x81, 0x82, 0x90, 0x95, 0x99})
"""DISCONNECT reasons that blame a packet: malformed, protocol error, topic name, packet too large, payload format."""
EXCUSING = frozenset({0x89, 0x8B, 0x8D, 0x8E, 0x98, 0x9C, 0x9D, 0x9F, 0xA0})
"""DISCONNECT reasons that have nothing to do with a packet: busy, shutting down, taken over, administrator, …"""
BREAKS = 2
MAX_STRIKES = 1_000
"""Single messages remembered as once alone under way; more breaks than that begin anew."""

Key = tuple[str, int | str, int]
"""A message: topic, run, n. A state: topic, "", 0."""


class Suspects:
    """Remembers over connections; a `Connection` asks it how careful to be."""

    def __init__(self) -> None:
        self.span: tuple[int, int] | None = None
        """Outbox positions (the second not included) that go one at a time."""
        self.states = False
        """Whether states go one at a time."""
        self._breaks = self._furthest = 0
        self._strikes: dict[Key, int] = {}

    @property
    def active(self) -> bool:
        """Whether a message is being looked for: then the next attempt should not wait long."""
        return self._breaks > 0 or self.states or self.span is not None

    def broke(self, under_way: tuple[int, int], furthest: int, code: int | None, *, born: bool) -> None:
        """The line broke with these positions sent and not acknowledged. `code`: the broker's DISCONNECT, if any.

        `furthest`: the furthest position that was ever acknowledged. `born`: the birth behind the states was, so that
        an idle line has nobody to blame.
        """
        if code in EXCUSING:
            return
        idle = born and under_way[0] == under_way[1]
        self._breaks = 0 if idle or furthest > self._furthest else self._breaks + 1
        self._furthest = furthest
        if self._breaks >= BREAKS or code in BLAMING:
            self.span = under_way if under_way[0] < under_way[1] else None
            self.states = True

    def broke_alone(self, key: Key, code: int | None) -> bool:
        """The line broke with this message alone under way. True: park it."""
        if code in EXCUSING:
            return False
        if len(self._strikes) >= MAX_STRIKES:
            self._strikes.clear()
        strikes = self._strikes.get(key, 0) + (BREAKS if code in BLAMING else 1)
        self._strikes[key] = strikes
        return strikes >= BREAKS and self._strikes.pop(key) > 0

    def innocent(self, key: Key) -> None:
        """The broker read this one and lives."""
        self._strikes.pop(key, None)
        self._breaks = 0
