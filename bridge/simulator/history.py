"""A price path that is known for every minute of the past: minutes before a market began are read from it. Pure.

The same seed and name always give the same minute, so REST history agrees with itself however it is paged.
"""

from math import sin, tau
from zlib import crc32

Row = tuple[int, ...]
"""minute, open, high, low, close, volume, turnover, trades, first trade's id, takers' volume, takers' turnover."""
MINUTE_S = 60
_WAVES = ((1440, 0.02), (97, 0.006), (17, 0.002))
_NOISE = 0.0008
_MEAN_COUNT = 11.5


class Path:
    """The path of one market: prices in steps around `start`, minutes around `usual_volume` (in steps of size)."""

    def __init__(self, name: str, seed: int, start: int, usual_volume: float) -> None:
        self._salt = crc32(name.encode(), seed & 0xFFFFFFFF)
        self._start = start
        self._usual_volume = usual_volume
        self._newest = (-1, 0)
        self._waves = [(tau / length, self._noise(i) * tau, deep) for i, (length, deep) in enumerate(_WAVES)]

    def price(self, minute: int) -> int:
        """The price in steps at the beginning of a minute (minutes since the epoch)."""
        if minute == self._newest[0]:
            return self._newest[1]
        offset = (self._noise(minute) - 0.5) * _NOISE
        for speed, phase, deep in self._waves:
            offset += deep * sin(speed * minute + phase)
        self._newest = (minute, max(2, round(self._start * (1 + offset))))
        return self._newest[1]

    def row(self, minute: int) -> Row:
        """The minute as a candle that joins its neighbours: it opens where the one before closed."""
        open_, close = self.price(minute), self.price(minute + 1)
        reach = max(1, round(self._start * _NOISE * self._noise(minute ^ 0x5A5A5A5A)))
        high, low = max(open_, close) + reach // 2, max(1, min(open_, close) - reach // 3)
        count = 2 + int(20 * self._noise(minute ^ 0x33333333))
        volume = 1 + int(self._usual_volume * count / _MEAN_COUNT * (0.5 + self._noise(minute ^ 0x0F0F0F0F)))
        bought = int(volume * self._noise(minute ^ 0x77777777))
        middle = (open_ + close) // 2
        # ids count up with time; 32 a minute leaves room for every minute's trades
        return (minute, open_, high, low, close, volume, volume * middle, count, minute * 32, bought, bought * middle)

    def _noise(self, number: int) -> float:
        return crc32(number.to_bytes(8, "little"), self._salt) / 2**32
