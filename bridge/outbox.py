"""The log of stream messages: appended, taken, acknowledged, kept for a while, forgotten. Pure.

A position counts the messages ever appended, so it stays true while the log forgets its beginning:

    forgotten ≤ acknowledged ≤ taken ≤ end

Acknowledged messages stay readable, because a broker killed outright forgets what it acknowledged: a reconnect
rewinds to the position that the broker surely remembers. What is parked leaves an empty place, so that positions
stay true. Times: the wall clock for `append` and `reach_s`, the monotonic one for `acknowledge` and `forget`.
"""

from collections.abc import Iterable, Sequence

from bridge.dropped import Dropped, Ranges
from bridge.kept import Kept

Entry = tuple[str, bytes, int | str, int, int, bool]
"""topic, payload, run (of a live message) or job (of a fill), n or fill_n, appended at (ns), may have been sent before.

A plain tuple: several times cheaper to make than a named one, and the garbage collector stops looking at it.
"""

ENTRY_BYTES = 210
"""What Python needs for an entry beside its payload's own bytes; tests/test_outbox.py measures it."""
ROOM_SHARE = 64
"""Room is made a 64th of the limit at a time, so that a full log does not move its list for every message."""
FILL_SHARE = 8
"""Fills are admitted while less than an eighth of the limit is unacknowledged."""
_PARKED: Entry = ("", b"", "", 0, 0, True)


def _sizes(entries: Iterable[Entry]) -> int:
    return sum([len(entry[1]) + ENTRY_BYTES for entry in entries])


class Outbox:
    """One bounded log: `limit` in bytes as Python needs them, `keep_s` in seconds after the acknowledgement."""

    def __init__(self, limit: int, keep_s: float) -> None:
        self._limit = limit
        self._kept = Kept(keep_s)
        self._log: list[Entry] = []
        self._push = self._log.append
        self._ever_taken = 0
        self._overtaken = self._parked = self._acknowledged_bytes = 0
        self._ranges = Ranges()
        self.forgotten = self.acknowledged = self.taken = 0
        self.furthest = 0
        """The furthest position ever acknowledged by the broker: neither a rewind nor a drop moves it."""
        self.bytes = 0
        self.unrepeated = 0
        """Dropped before they could be sent again, but once acknowledged: the audit finds what is truly missing."""

    def append(self, topic: str, payload: bytes, run: int | str, n: int, now_ns: int) -> None:
        """Put a message behind all others. Never waits: a full log drops its oldest first."""
        self._push((topic, payload, run, n, now_ns, False))
        self.bytes += len(payload) + ENTRY_BYTES
        if self.bytes > self._limit:
            self._make_room()

    def take(self, most: int) -> list[Entry]:
        """The next messages to send, at most so many; what may have been sent before is marked so."""
        if self.taken < self._ever_taken:
            return self._take_again(most)
        start = self.taken - self.forgotten
        batch = self._log[start : start + most]
        self.taken += len(batch)
        self._ever_taken = self.taken
        return batch

    def acknowledge(self, count: int, now_ns: int) -> None:
        """The oldest so many taken messages are with the broker. `now_ns`: monotonic."""
        late = min(count, self._overtaken)
        self._overtaken -= late
        start = self.acknowledged - self.forgotten
        end = min(self._behind(start, count - late), self.taken - self.forgotten)
        self._acknowledged_bytes += _sizes(self._log[start:end])
        self.acknowledged = self.forgotten + end
        self._mark(now_ns)

    # --- figures ------------------------------------------------------------------------------------
    def __len__(self) -> int:
        return len(self._log)

    @property
    def end(self) -> int:
        """The position behind the newest message: how many were ever appended."""
        return self.forgotten + len(self._log)

    @property
    def untaken(self) -> int:
        """Messages that wait to be sent."""
        return self.forgotten + len(self._log) - self.taken

    @property
    def unacknowledged(self) -> int:
        """Messages that are not surely with the broker."""
        return self.forgotten + len(self._log) - self.acknowledged

    @property
    def unacknowledged_bytes(self) -> int:
        return self.bytes - self._acknowledged_bytes

    @property
    def dropped(self) -> int:
        """Messages dropped or parked since the start."""
        return self._ranges.count

    def drops(self) -> list[Dropped]:
        """What was dropped or parked since the last call, as ranges."""
        return self._ranges.fetch()

    def room_for_fill(self) -> bool:
        """Fills wait while live messages do, so that live is never dropped for them."""
        return self.unacknowledged_bytes < self._limit // FILL_SHARE

    def reach_s(self, now_ns: int) -> float:
        """How far back the log reaches, in seconds of the wall clock."""
        oldest = next((entry for entry in self._log if entry is not _PARKED), None)
        return max(0.0, (now_ns - oldest[4]) / 1e9) if oldest else 0.0

    def cramped_s(self, now_ns: int) -> float | None:
        """How far back it reaches, if its size and not `keep_s` sets that end to what can be sent again; else None."""
        is_full = self.bytes > self._limit - 2 * self._limit // ROOM_SHARE
        return self.reach_s(now_ns) if is_full and self._acknowledged_bytes else None

    # --- sending again ------------------------------------------------------------------------------
    def rewind(self, position: int | None) -> None:
        """Send again from this position on, None: from the log's beginning. Drops nothing; never goes forward."""
        back = self.forgotten if position is None else min(max(position, self.forgotten), self.acknowledged)
        again = self._log[back - self.forgotten : self.acknowledged - self.forgotten]
        self._acknowledged_bytes -= _sizes(again)
        self.acknowledged = self.taken = back
        self._overtaken = 0
        self._kept.rewound(back)
        self._pass_parked()

    def find(self, topic: str, run: int | str, from_n: int, to_n: int) -> list[Entry]:
        """What the log still holds of these numbers, both ends included, by number. Looks at the whole log."""
        held = {e[3]: e for e in self._log if from_n <= e[3] <= to_n and e[0] == topic and e[2] == run}
        return [held[n] for n in sorted(held)]

    def waiting(self) -> list[Entry]:
        """Everything that is not acknowledged, in order; a parked message leaves an empty place (no topic)."""
        return self._log[self.acknowledged - self.forgotten :]

    def resend(self, entries: Sequence[Entry]) -> int:
        """Put found entries behind all others, marked as sent before. How many there was a fill's room for."""
        for count, (topic, payload, run, n, at_ns, _) in enumerate(entries):
            if not self.room_for_fill():
                return count
            self._push((topic, payload, run, n, at_ns, True))
            self.bytes += len(payload) + ENTRY_BYTES
        if self.bytes > self._limit:
            self._make_room()
        return len(entries)

    # --- what goes ----------------------------------------------------------------------------------
    def oldest(self) -> Entry | None:
        """The taken message that the broker answers next, None if it was dropped meanwhile or none is under way."""
        place = self.acknowledged - self.forgotten
        return self._log[place] if not self._overtaken and self.acknowledged < self.taken else None

    def refuse(self, now_ns: int) -> Entry | None:
        """The broker refused the oldest taken message: it is parked. None if it was dropped before."""
        entry = self.oldest()
        if entry is None:
            self._overtaken = max(0, self._overtaken - 1)
        elif self.park(entry):
            self._mark(now_ns)
        return entry

    def park(self, entry: Entry) -> bool:
        """Never send this message again, which the last takes gave. False if it is no more under way."""
        for place in range(self.taken - self.forgotten - 1, self.acknowledged - self.forgotten - 1, -1):
            if self._log[place] is entry:
                self._log[place] = _PARKED
                self.bytes -= len(entry[1])
                self._parked += 1
                self._ranges.add(entry, "refused")
                self._pass_parked()
                return True
        return False

    def forget(self, now_ns: int) -> None:
        """Let go what was acknowledged longer than `keep_s` ago. `now_ns`: monotonic.

        Call it while connected only: how long the broker was away must not shorten what a rewind can reach.
        """
        over = self._kept.over(now_ns)
        if over > self.forgotten:
            self._drop(over - self.forgotten, "kept")

    def abandon(self, cause: str = "stopped") -> int:
        """Drop everything, as a stop must; the unacknowledged are counted as dropped. How many those were."""
        before = self.dropped + self.unrepeated
        self._drop(len(self._log), cause)
        return self.dropped + self.unrepeated - before

    # --- inside -------------------------------------------------------------------------------------
    def _take_again(self, most: int) -> list[Entry]:
        """Take only what may have been sent before. It is marked in the log too: parking finds an entry by identity."""
        batch: list[Entry] = []
        while len(batch) < most and self.taken < self._ever_taken:
            place = self.taken - self.forgotten
            topic, payload, run, n, at_ns, _ = entry = self._log[place]
            self.taken += 1
            if entry is not _PARKED:
                self._log[place] = marked = (topic, payload, run, n, at_ns, True)
                batch.append(marked)
        return batch if batch else self.take(most)

    def _behind(self, place: int, count: int) -> int:
        """The place behind the next so many messages, and behind what is parked among and after them."""
        if not self._parked:
            return place + count
        while place < len(self._log) and (count > 0 or self._log[place] is _PARKED):
            count -= self._log[place] is not _PARKED
            place += 1
        return place

    def _pass_parked(self) -> None:
        start = self.acknowledged - self.forgotten
        end = self._behind(start, 0)
        self._acknowledged_bytes += (end - start) * ENTRY_BYTES
        self.acknowledged += end - start
        self.taken = max(self.taken, self.acknowledged)

    def _mark(self, now_ns: int) -> None:
        self.furthest = max(self.furthest, self.acknowledged)
        self._kept.acknowledged(self.acknowledged, now_ns)

    def _make_room(self) -> None:
        """Drop the oldest; acknowledged ones lie before all others, so they go first."""
        excess = self.bytes - self._limit + self._limit // ROOM_SHARE
        count = 0
        while excess > 0 and count < len(self._log):
            excess -= len(self._log[count][1]) + ENTRY_BYTES
            count += 1
        self._drop(count, "outbox full")

    def _drop(self, count: int, cause: str) -> None:
        gone = self._log[:count]
        del self._log[:count]
        done = min(count, self.acknowledged - self.forgotten)
        self.bytes -= _sizes(gone)
        self._acknowledged_bytes -= _sizes(gone[:done])
        self._parked -= gone.count(_PARKED) if self._parked else 0
        for position, entry in enumerate(gone[done:], self.forgotten + done):
            self._count(position, entry, cause)
        self.forgotten += count
        self.acknowledged = max(self.acknowledged, self.forgotten)
        self.taken = max(self.taken, self.forgotten)
        self._ever_taken = max(self._ever_taken, self.forgotten)
        self._pass_parked()

    def _count(self, position: int, entry: Entry, cause: str) -> None:
        if entry is _PARKED:
            return
        self._overtaken += position < self.taken
        if position < self.furthest:
            self.unrepeated += 1
        else:
            self._ranges.add(entry, cause)
