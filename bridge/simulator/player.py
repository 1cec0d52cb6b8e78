"""Plays a recording to each line that has subscribed, at the recorded pace or as fast as the client reads."""

from collections.abc import Callable
from weakref import WeakKeyDictionary

from bridge.simulator.line import Line
from bridge.simulator.recording import Recorded, Recording

SETTLE_S = 1.0
"""A client's subscriptions come one by one: the play begins when none has come for so long."""
MAX_WAITING = 2 * 1024 * 1024
MOST_A_BEAT = 10_000
Send = Callable[[Line, Recorded], None]


class Player:
    """What has been played to which line. `laps`: how often the whole recording is played to each."""

    def __init__(
        self, recording: Recording, *, full_pace: bool = False, laps: int = 1, settle_s: float = SETTLE_S
    ) -> None:
        self.recording = recording
        self.full_pace = full_pace
        self.laps = laps
        self.settle_s = settle_s
        self.finished = 0
        """How many lines have been played to the end."""
        self._at: WeakKeyDictionary[Line, int] = WeakKeyDictionary()
        self._began_s: WeakKeyDictionary[Line, float] = WeakKeyDictionary()

    def play(self, line: Line, now_s: float, send: Send) -> None:
        """Send what is due. `now_s` is monotonic."""
        if line.subscribed_s is None or not line.topics:
            return
        if line not in self._began_s:
            if now_s - line.subscribed_s < self.settle_s:
                return
            self._began_s[line] = now_s
        first = self._at.get(line, 0)
        frames = self.recording.frames
        last = first + min(MOST_A_BEAT, len(frames) * self.laps - first)
        at = first
        while at < last and self._due(line, frames[at % len(frames)], at // len(frames), now_s):
            frame = frames[at % len(frames)]
            at += 1
            if frame.topic in line.topics:
                send(line, frame)
                if at % 256 == 0:
                    line.flush()
        self._at[line] = at
        if first < at == len(frames) * self.laps:
            self.finished += 1

    def _due(self, line: Line, frame: Recorded, lap: int, now_s: float) -> bool:
        if self.full_pace:
            return line.unread < MAX_WAITING
        lap_s = self.recording.frames[-1].after_s + 1.0
        return now_s - self._began_s[line] >= frame.after_s + lap * lap_s
