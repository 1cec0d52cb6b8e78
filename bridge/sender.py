"""Paces what is sent on a line: subscriptions by the exchange's stated limit, a ping before everything else. Pure."""

from collections import deque
from collections.abc import Iterable

MAX_WAITING = 10_000
BURST_S = 1.0


class Sender:
    """Texts that wait for their turn; `due(mono_ns)` hands out those that may go now."""

    def __init__(self, per_s: float, mono_ns: int) -> None:
        self._per_s = per_s
        self._tokens = per_s * BURST_S
        self._since_ns = mono_ns
        self._texts: deque[str] = deque()

    def add(self, texts: Iterable[str]) -> None:
        """Raises OverflowError past a bound that no subscription of ours comes near."""
        self._texts.extend(texts)
        if len(self._texts) > MAX_WAITING:
            raise OverflowError("too many texts wait to be sent")

    def first(self, text: str) -> None:
        """Something that must not wait behind subscriptions."""
        self._texts.appendleft(text)

    def due(self, mono_ns: int) -> list[str]:
        elapsed_s = (mono_ns - self._since_ns) / 1e9
        self._tokens = min(self._per_s * BURST_S, self._tokens + elapsed_s * self._per_s)
        self._since_ns = mono_ns
        texts = []
        while self._texts and self._tokens >= 1:
            self._tokens -= 1
            texts.append(self._texts.popleft())
        return texts

    def spend(self) -> None:
        """Something else used up a client message (a ping frame counts, too)."""
        self._tokens -= 1

    @property
    def waiting(self) -> int:
        return len(self._texts)
