"""When which part of the log was acknowledged, to the second. Pure; times are monotonic ns."""

from collections import deque

STEP_NS = 1_000_000_000


class Kept:
    """Marks of (position, time): everything before the position was acknowledged by that time at the latest.

    At most one mark a second, so their number is bounded by how long messages are kept while connected.
    """

    def __init__(self, keep_s: float) -> None:
        self._keep_ns = int(keep_s * 1e9)
        self._marks: deque[tuple[int, int]] = deque()

    def acknowledged(self, position: int, now_ns: int) -> None:
        """Everything before this position is acknowledged now."""
        last, until_ns = self._marks[-1] if self._marks else (-1, now_ns)
        if now_ns < until_ns:
            self._marks[-1] = (position, until_ns)
        elif position > last:
            self._marks.append((position, now_ns + STEP_NS))

    def rewound(self, position: int) -> None:
        """What lies behind this position is no more acknowledged."""
        while self._marks and self._marks[-1][0] > position:
            _, until_ns = self._marks.pop()
            if not self._marks or self._marks[-1][0] < position:
                self._marks.append((position, until_ns))

    def over(self, now_ns: int) -> int:
        """The position before which everything was kept long enough, 0 if nothing was."""
        position = 0
        while self._marks and self._marks[0][1] + self._keep_ns <= now_ns:
            position = self._marks.popleft()[0]
        return position
