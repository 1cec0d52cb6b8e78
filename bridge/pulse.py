"""Whether the event loop itself stalled: stopped, suspended or starved, it must not stamp old frames as new."""

import asyncio
from collections.abc import Callable

BEAT_S = 0.5


class Pulse:
    """Beats twice a second. `is_late(mono_ns)` is asked with every frame, because sockets wake before timers do."""

    def __init__(self, monotonic_ns: Callable[[], int], stall_s: float) -> None:
        self._monotonic_ns = monotonic_ns
        self._stall_ns = int(stall_s * 1e9)
        self.beat_ns = monotonic_ns()
        self.stalls = 0
        self._listeners: list[Callable[[float], None]] = []

    def listen(self, stalled: Callable[[float], None]) -> None:
        """`stalled(seconds)` is called for every stall, before anything that waited is read."""
        self._listeners.append(stalled)

    def is_late(self, mono_ns: int) -> bool:
        return mono_ns - self.beat_ns > self._stall_ns

    def stalled(self, mono_ns: int) -> None:
        """Tell everybody, once a stall."""
        seconds = (mono_ns - self.beat_ns) / 1e9
        self.beat_ns = mono_ns
        self.stalls += 1
        for listener in self._listeners:
            listener(seconds)

    async def run(self) -> None:
        while True:
            now = self._monotonic_ns()
            if self.is_late(now):
                self.stalled(now)
            self.beat_ns = now
            await asyncio.sleep(BEAT_S)
