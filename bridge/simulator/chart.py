"""One market's minutes: those before it began from its path, those since from its own trades. Pure, bounded."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable

from bridge.simulator.history import Path, Row

COLUMNS = 11
DAY_MINUTES = 1440
Sum = tuple[int, int, int, int, int, int]
"""open, high, low, volume, turnover, trades."""


class Chart:
    """Minutes as rows. Beyond `kept` live minutes the oldest are read from the path again."""

    def __init__(self, path: Path, began: int, kept: int) -> None:
        self._path = path
        self._began = began
        self._kept = kept
        self._closed = array("q")
        self._minutes = array("q")
        self._hours: dict[int, Sum] = {}
        self._day: tuple[int, Sum] | None = None
        self.forming: Row | None = None

    def trade(self, minute: int, price: int, size: int, first_id: int, count: int, *, bought: bool) -> None:
        """Enter one trade (steps; `count` single trades from `first_id`) into the minute it belongs to."""
        taker = (size, size * price) if bought else (0, 0)
        row = self.forming
        if row is None or minute > row[0]:
            self._close()
            self.forming = (minute, price, price, price, price, size, size * price, count, first_id, *taker)
            return
        _, open_, high, low, _, volume, turnover, trades, first, bought_volume, bought_turnover = row
        self.forming = (
            row[0], open_, max(high, price), min(low, price), price, volume + size, turnover + size * price,
            trades + count, first, bought_volume + taker[0], bought_turnover + taker[1],
        )  # fmt: skip

    def row(self, minute: int) -> Row | None:
        """One minute, None if it had no trades."""
        if self.forming is not None and minute == self.forming[0]:
            return self.forming
        at = bisect_left(self._minutes, minute)
        if at < len(self._minutes) and self._minutes[at] == minute:
            return tuple(self._closed[at * COLUMNS : (at + 1) * COLUMNS])
        return self._path.row(minute) if minute < self._began else None

    def day(self, minute: int) -> Sum:
        """The 24 hours that end now, in `minute`: whole hours are summed once, the edges minute by minute."""
        if self._day is None or self._day[0] != minute:
            self._day = (minute, self._closed_day(minute))
        row = self.row(minute)
        return self._day[1] if row is None else fold((self._day[1], _sum(row)))

    def _closed_day(self, minute: int) -> Sum:
        first, last = minute - DAY_MINUTES + 1, minute
        edge, floor = -(-first // 60), last // 60
        for hour in [hour for hour in self._hours if hour < edge]:
            del self._hours[hour]
        for hour in range(edge, floor):
            if hour not in self._hours:
                self._hours[hour] = self._sum_of(hour * 60, hour * 60 + 60)
        hours = (self._hours[hour] for hour in range(edge, floor))
        return fold((self._sum_of(first, edge * 60), *hours, self._sum_of(floor * 60, last)))

    def _sum_of(self, since: int, until: int) -> Sum:
        rows = (self.row(minute) for minute in range(since, until))
        return fold(_sum(row) for row in rows if row is not None)

    def _close(self) -> None:
        if self.forming is None:
            return
        self._minutes.append(self.forming[0])
        self._closed.extend(self.forming)
        if len(self._minutes) > self._kept:
            forgotten = self._kept // 4 + 1
            del self._minutes[:forgotten], self._closed[: forgotten * COLUMNS]
            self._began = self._minutes[0] if self._minutes else self.forming[0]


def fold(sums: Iterable[Sum]) -> Sum:
    """Several stretches of time as one; those without trades (all zeros) do not count."""
    open_ = high = low = volume = turnover = trades = 0
    for one in sums:
        if one[5] == 0:
            continue
        if trades == 0:
            open_, high, low = one[0], one[1], one[2]
        high, low = max(high, one[1]), min(low, one[2])
        volume, turnover, trades = volume + one[3], turnover + one[4], trades + one[5]
    return open_, high, low, volume, turnover, trades


def _sum(row: Row) -> Sum:
    return row[1], row[2], row[3], row[5], row[6], row[7]
