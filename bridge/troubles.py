"""The error table's live side: what goes to `errors/…`, at most ten a second, the rest as one counted summary. Pure."""

from collections import Counter

from bridge import topics
from bridge.streams import Streams
from bridge.topics import Trouble

MOST_A_SECOND = 10


class Troubles:
    """One `errors/` topic."""

    def __init__(self, streams: Streams, topic: str) -> None:
        self._streams = streams
        self._stream = streams.stream(topic)
        self._this_second = 0
        self._left_out: Counter[str] = Counter()
        self.count = 0

    def note(self, trouble: Trouble, now_ns: int) -> bool:
        """Publish one entry, or count it for the summary. True: it was published, so it may be logged as well."""
        self.count += 1
        if self._this_second >= MOST_A_SECOND:
            self._left_out[trouble.kind] += 1
            return False
        self._this_second += 1
        self._publish(trouble, now_ns)
        return True

    def flush(self, now_ns: int) -> None:
        """Once a second: the summary of what was left out."""
        self._this_second = 0
        if self._left_out:
            told = ", ".join(f"{count} of {kind}" for kind, count in self._left_out.most_common())
            self._left_out.clear()
            self._publish(Trouble("summary", f"left out in a second: {told}"), now_ns)

    def _publish(self, trouble: Trouble, now_ns: int) -> None:
        time_ns = self._streams.observed_ns(self._stream, now_ns)
        self._streams.publish(self._stream, topics.trouble_body(trouble, time_ns), time_ns, now_ns)
