"""Numbering: gives every stream message its run and `n`, at the moment it enters the outbox. Pure.

`n` counts the messages of one topic within the run, from 1: a hole among stored rows is a lost message.
Fills carry their job's id and `fill_n` instead.
"""

from collections.abc import Callable, Iterator

from bridge import topics
from bridge.outbox import Outbox

FILL_AHEAD = 500
"""A live message finds at most so many messages of fills before it that the broker has yet to be sent."""


class Stream:
    """One stream topic of this run: its last number and its first and last row's time."""

    __slots__ = ("first_ns", "n", "time_ns", "topic")

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.n = 0
        self.first_ns = 0
        self.time_ns = 0


class Streams:
    """All streams of the bridge. `run` is None until the clock is synchronised: then nothing is published yet."""

    def __init__(self, outbox: Outbox, wake: Callable[[], None]) -> None:
        self.run: int | None = None
        self.unclocked = 0
        self._outbox = outbox
        self._wake = wake
        self._streams: dict[str, Stream] = {}
        self._fills: dict[tuple[str, str], Stream] = {}
        self.over: set[str] = set()
        """Jobs that bring no more."""

    def begin(self, run: int) -> None:
        """A new run: every topic counts from 1 again."""
        self.run = run
        for stream in self._streams.values():
            stream.n = stream.first_ns = stream.time_ns = 0

    def stream(self, topic: str) -> Stream:
        """The stream of this topic, made when first asked for."""
        return self._streams.get(topic) or self._streams.setdefault(topic, Stream(topic))

    def observed_ns(self, stream: Stream, now_ns: int) -> int:
        """An observed row's time: its arrival, made strictly increasing per topic."""
        return now_ns if now_ns > stream.time_ns else stream.time_ns + 1

    def publish(self, stream: Stream, body: str, time_ns: int, now_ns: int) -> bool:
        """Number a body and append it. False while there is no run: nothing was published."""
        run = self.run
        if run is None:
            self.unclocked += 1
            return False
        n = stream.n = stream.n + 1
        stream.time_ns = time_ns
        if n == 1:
            stream.first_ns = time_ns
        self._outbox.append(stream.topic, topics.numbered(body, run, n), run, n, now_ns)
        self._wake()
        return True

    def fill(self, topic: str, body: str, job: str, source: str, row_ns: int, now_ns: int) -> None:
        """Append a told row that REST, a snapshot or a correction brought: `fill` and `fill_n` instead of a number."""
        key = (job, topic)
        stream = self._fills.get(key) or self._fills.setdefault(key, Stream(topic))
        stream.n += 1
        stream.first_ns = min(stream.first_ns or row_ns, row_ns)
        stream.time_ns = max(stream.time_ns, row_ns)
        # the stream's own text: a job of many candles would else hold as many copies of it
        self._outbox.append(stream.topic, topics.filled(body, job, stream.n, source), job, stream.n, now_ns)
        self._wake()

    def room_for_fill(self) -> bool:
        """Fills wait while live messages do, and never stand in a long line before one."""
        return self._outbox.untaken < FILL_AHEAD and self._outbox.room_for_fill()

    def end_fill(self, job: str) -> None:
        """A job brings no more; it is counted until `forget_fill`."""
        self.over.add(job)

    def forget_fill(self, job: str) -> None:
        """All that a job has brought is with the broker and in the ledger."""
        self.over.discard(job)
        self._fills = {key: stream for key, stream in self._fills.items() if key[0] != job}

    def tally(self) -> Iterator[tuple[int | str, Stream]]:
        """Every stream that published something, with its run or its job."""
        if self.run is not None:
            yield from ((self.run, stream) for stream in self._streams.values() if stream.n)
        yield from ((job, stream) for (job, _), stream in self._fills.items())
