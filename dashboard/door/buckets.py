"""Token buckets by key: so many at once, so many a minute after that. Bounded, and pure: time is an argument."""

from collections import OrderedDict


class Buckets:
    """`burst` at once, then `per_minute`. Of more than `most` keys the one that was longest silent is forgotten."""

    def __init__(self, per_minute: float, burst: int, most: int) -> None:
        self._per_s = per_minute / 60
        self._burst = float(burst)
        self._most = most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """What each has left, and when that was reckoned."""

    def __len__(self) -> int:
        return len(self._left)

    def take(self, key: str, now_s: float) -> float:
        """Take one: 0.0, or the seconds until there is one again."""
        left, since_s = self._left.pop(key, (self._burst, now_s))
        left = min(self._burst, left + max(0.0, now_s - since_s) * self._per_s)
        wait_s = 0.0 if left >= 1 else (1 - left) / self._per_s
        self._left[key] = (left if wait_s else left - 1, now_s)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return wait_s

    def give_back(self, key: str) -> None:
        """One that was taken and need not have been."""
        if key in self._left:
            left, since_s = self._left[key]
            self._left[key] = (min(self._burst, left + 1), since_s)

    def forget(self, key: str) -> None:
        """As if this one had never asked."""
        self._left.pop(key, None)
