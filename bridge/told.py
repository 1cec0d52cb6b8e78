"""Told rows: where a trade stands in time, and that each is numbered once. Pure.

A trade's row stands at the exchange's millisecond; below it, the number that live feed and REST share, mod 10⁶,
tells trades of one millisecond apart and carries no time.
"""

from collections import deque
from typing import NamedTuple

from bridge.events import Trade

MS = 1_000_000
REMEMBERED = 256
"""How many trades of one symbol are remembered, to know a repeat and a collision."""


def trade_key(trade: Trade) -> int:
    """The row's time in ns, before collisions are resolved."""
    return trade.exchange_time_ns // MS * MS + trade.number % MS


class ToldTrades:
    """The newest trades of one symbol that this run has published."""

    __slots__ = ("_keys", "_order", "collisions")

    def __init__(self) -> None:
        self._keys: dict[int, str] = {}
        self._order: deque[int] = deque()
        self.collisions = 0

    def place(self, trade: Trade) -> int | None:
        """The key of this trade's row, or None if it was told before. Two ids on one key: the later moves up."""
        key = trade_key(trade)
        while (known := self._keys.get(key)) is not None:
            if known == trade.id:
                return None
            self.collisions += 1
            key += 1
        self._keys[key] = trade.id
        self._order.append(key)
        if len(self._order) > REMEMBERED:
            del self._keys[self._order.popleft()]
        return key


class Hole(NamedTuple):
    """So many consecutive numbers from `first` on never came; the exchange's time before and after, in ns."""

    missing: int
    from_ns: int
    to_ns: int
    first: int


class Sequence:
    """Consecutive ids of one symbol: a number that is left out and does not come within `PATIENCE_NS` is a hole."""

    PATIENCE_NS = 2_000_000_000
    LONGEST = 100_000
    __slots__ = ("_last", "_last_ns", "_missing")

    def __init__(self) -> None:
        self._last: int | None = None
        self._last_ns = 0
        self._missing: dict[int, tuple[int, int, int]] = {}

    def restart(self) -> list[Hole]:
        """A new line: what lies between is the lost line's gap. Returns the holes before it that were not told yet."""
        self._last = None
        return self.holes(2**62)

    def seen(self, number: int, time_ns: int, now_ns: int) -> None:
        """Note a number and the exchange's time of what bears it."""
        if self._last is not None and number <= self._last:
            self._missing.pop(number, None)
            return
        if self._last is not None and number > self._last + 1:
            for missing in range(self._last + 1, min(number, self._last + 1 + self.LONGEST)):
                self._missing[missing] = (now_ns, self._last_ns, time_ns)
        self._last, self._last_ns = number, time_ns

    def holes(self, now_ns: int) -> list[Hole]:
        """Holes that are proven by now; each is told once."""
        found: list[Hole] = []
        for number, (since, before, after) in sorted(self._missing.items()) if self._missing else ():
            if now_ns - since < self.PATIENCE_NS:
                continue
            del self._missing[number]
            last = found[-1] if found else None
            if (
                last is not None
                and last.first + last.missing == number
                and (last.from_ns, last.to_ns) == (before, after)
            ):
                found[-1] = last._replace(missing=last.missing + 1)
            else:
                found.append(Hole(1, before, after, number))
        return found
