"""What was looked up lately, within a total size. Pure."""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """The newest entries, whose sizes are at most `most` together (or a single larger one)."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._entries: dict[K, tuple[V, int]] = {}

    def get(self, key: K) -> V | None:
        known = self._entries.get(key)
        return None if known is None else known[0]

    def put(self, key: K, value: V, size: int) -> V:
        """A new entry; it is given back."""
        self._entries[key] = value, size
        self._size += size
        while self._size > self._most and len(self._entries) > 1:
            self._size -= self._entries.pop(next(iter(self._entries)))[1]
        return value
