"""What a simulated exchange has really told at least one client. Bounded: the oldest is forgotten, and counted.

A frame stands here once, however many lines it went to, in the order of sending. What a fault damaged, repeated,
invented or withheld is not here (of withheld trades the exchange's REST side still knows).
"""

from collections import deque

from bridge.simulator.values import Bar, Deal, Event, Quote

REMEMBERED = 20_000


class Truth:
    """`frames` holds the raw texts as they were sent; quotes, trades and closed candles are asked by symbol."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self.frames: deque[bytes] = deque(maxlen=remembered)
        self.sent = 0
        self._events: deque[Event | Bar] = deque(maxlen=remembered)
        self.told = 0

    @property
    def forgotten(self) -> int:
        """How many frames or events are no longer remembered."""
        return self.sent - len(self.frames) + self.told - len(self._events)

    def frame(self, text: bytes) -> None:
        """A frame has gone out."""
        self.sent += 1
        self.frames.append(text)

    def event(self, event: Event | Bar) -> None:
        """What an honest frame told. Of candles only the last state of a minute is entered."""
        self.told += 1
        self._events.append(event)

    def quotes(self, native: str | None = None) -> list[Quote]:
        """The quotes told, oldest first."""
        return [e for e in self._events if isinstance(e, Quote) and native in (None, e.native)]

    def trades(self, native: str) -> dict[int, Deal]:
        """The trades told, by id."""
        return {e.id: e for e in self._events if isinstance(e, Deal) and e.native == native}

    def candles(self, native: str) -> dict[int, Bar]:
        """The candles told in their last state, by open time in s."""
        return {e.open_s: e for e in self._events if isinstance(e, Bar) and e.native == native}
