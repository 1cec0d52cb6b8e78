"""Waiting longer and longer, with full jitter, up to a ceiling."""

import random


class Backoff:
    """`next()` gives the next delay in seconds; `reset()` is earned by data (or an answer), never by a connect."""

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._tries = 0

    def next(self) -> float:
        ceiling = min(self._most_s, self._first_s * 2.0 ** min(self._tries, 30))
        self._tries += 1
        return random.uniform(0.0, ceiling)

    def reset(self) -> None:
        self._tries = 0
