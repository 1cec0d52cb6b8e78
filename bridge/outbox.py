"""The log of stream messages: appended, taken, acknowledged, kept for a while, forgotten. Pure.

A position counts the messages ever appended, so it stays true while the log forgets its beginning:

    forgotten ≤ acknowledged ≤ taken ≤ end

Acknowledged messages stay readable, because a broker killed outright forgets what it acknowledged: a reconnect
rewinds to the position that the broker surely remembers. What is parked leaves an empty place, so that positions
stay true. Times: the wall clock for `append` and `reach_s`, the monotonic one for `acknowledge` and `forget`.

The oldest acknowledged messages stand packed in blocks; `_log` begins behind them. What counts for the limit is what
messages take unpacked, so that a rewind finds room for them.
"""

from collections.abc import Sequence
from itertools import chain

from bridge.dropped import Dropped, Ranges
from bridge.entries import ENTRY_BYTES, PARKED, Entry, sizes
from bridge.kept import Kept
from bridge.packed import BLOCK, Packed

ROOM_SHARE = 64
"""Room is made a 64th of the limit at a time, so that a full log does not move its list for every message."""
FILL_SHARE = 8
"""Fills are admitted while less than an eighth of the limit is unacknowledged."""
FILL_LOOSE_BYTES = 4 * 1024 * 1024
"""Fills wait while so much of what is acknowledged is yet to be packed."""


class Outbox:
    """One bounded log: `limit` in bytes as Python needs them, `keep_s` in seconds after the acknowledgement."""

    def __init__(self, limit: int, keep_s: float, block: int = BLOCK) -> None:
        self._limit = limit
        self._kept = Kept(keep_s)
        self._packed = Packed(block)
        self._log: list[Entry] = []
        self._push = self._log.append
        self._ever_taken = 0
        self._overtaken = self._parked = self._acknowledged_bytes = 0
        self._ranges = Ranges()
        self.forgotten = self.acknowledged = self.taken = 0
        self.furthest = 0
        """The furthest position ever acknowledged by the broker: neither a rewind nor a drop moves it."""
        self._size = 0
        """Bytes of all messages, as if none was packed."""
        self.unrepeated = 0
        """Dropped before they could be sent again, but once acknowledged: the audit finds what is truly missing."""

    def append(self, topic: str, payload: bytes, run: int | str, n: int, now_ns: int) -> None:
        """Put a message behind all others. Never waits: a full log drops its oldest first."""
        self._push((topic, payload, run, n, now_ns, False))
        self._size += len(payload) + ENTRY_BYTES
        if self._size > self._limit:
            self._make_room()

    def take(self, most: int) -> list[Entry]:
        """The next messages to send, at most so many; what may have been sent before is marked so."""
        if self.taken < self._ever_taken:
            return self._take_again(most)
        start = self.taken - self._begin
        batch = self._log[start : start + most]
        self.taken += len(batch)
        self._ever_taken = self.taken
        return batch

    def acknowledge(self, count: int, now_ns: int) -> None:
        """The oldest so many taken messages are with the broker. `now_ns`: monotonic."""
        late = min(count, self._overtaken)
        self._overtaken -= late
        start = self.acknowledged - self._begin
        end = min(self._behind(start, count - late), self.taken - self._begin)
        self._acknowledged_bytes += sizes(self._log[start:end])
        self.acknowledged = self._begin + end
        self._pass_parked()  # one may be the next to take
        self._mark(now_ns)

    # --- figures ------------------------------------------------------------------------------------
    def __len__(self) -> int:
        return len(self._packed) + len(self._log)

    @property
    def bytes(self) -> int:
        """What the log takes now."""
        return self._size - self._packed.loose + self._packed.bytes

    @property
    def end(self) -> int:
        """The position behind the newest message: how many were ever appended."""
        return self._begin + len(self._log)

    @property
    def untaken(self) -> int:
        """Messages that wait to be sent."""
        return self.end - self.taken

    @property
    def unacknowledged(self) -> int:
        """Messages that are not surely with the broker."""
        return self.end - self.acknowledged

    @property
    def unacknowledged_bytes(self) -> int:
        return self._size - self._acknowledged_bytes

    @property
    def dropped(self) -> int:
        """Messages dropped or parked since the start."""
        return self._ranges.count

    def drops(self) -> list[Dropped]:
        """What was dropped or parked since the last call, as ranges."""
        return self._ranges.fetch()

    def room_for_fill(self) -> bool:
        """Fills wait while live messages do, so that live is never dropped for them, and until what came is packed."""
        loose = self._acknowledged_bytes - self._packed.loose
        return self.unacknowledged_bytes < self._limit // FILL_SHARE and loose < FILL_LOOSE_BYTES

    def reach_s(self, now_ns: int) -> float:
        """How far back the log reaches, in seconds of the wall clock."""
        packed = (block.since_ns for block in self._packed if block.since_ns)
        loose = (entry[4] for entry in self._log if entry is not PARKED)
        return max(0.0, (now_ns - next(chain(packed, loose), now_ns)) / 1e9)

    def cramped_s(self, now_ns: int) -> float | None:
        """How far back it reaches, if its size and not `keep_s` sets that end to what can be sent again; else None."""
        block = next((block.loose for block in self._packed), 0)  # room is made by whole blocks
        is_full = self._size > self._limit - 2 * self._limit // ROOM_SHARE - block
        return self.reach_s(now_ns) if is_full and self._acknowledged_bytes else None

    # --- sending again ------------------------------------------------------------------------------
    def rewind(self, position: int | None) -> None:
        """Send again from this position on, None: from the log's beginning. Drops nothing; never goes forward."""
        back = self.forgotten if position is None else min(max(position, self.forgotten), self.acknowledged)
        self._log[:0] = self._packed.unpack(back)
        again = self._log[back - self._begin : self.acknowledged - self._begin]
        self._acknowledged_bytes -= sizes(again)
        self.acknowledged = self.taken = back
        self._overtaken = 0
        self._kept.rewound(back)
        self._pass_parked()

    def find(self, topic: str, run: int | str, from_n: int, to_n: int) -> list[Entry]:
        """What the log still holds of these numbers, both ends included, by number; the newest of each.

        Looks from the newest on until it has all: what is asked for is mostly new, and unpacking takes time.
        """
        held: dict[int, Entry] = {}
        for entry in chain(reversed(self._log), self._packed.newest_of(topic)):
            if from_n <= entry[3] <= to_n and entry[0] == topic and entry[2] == run:
                held.setdefault(entry[3], entry)
                if len(held) > to_n - from_n:
                    break
        return [held[n] for n in sorted(held)]

    def waiting(self) -> list[Entry]:
        """Everything that is not acknowledged, in order; a parked message leaves an empty place (no topic)."""
        return self._log[self.acknowledged - self._begin :]

    def resend(self, entries: Sequence[Entry]) -> int:
        """Put found entries behind all others, marked as sent before. How many there was a fill's room for."""
        for count, (topic, payload, run, n, at_ns, _) in enumerate(entries):
            if not self.room_for_fill():
                return count
            self._push((topic, payload, run, n, at_ns, True))
            self._size += len(payload) + ENTRY_BYTES
        if self._size > self._limit:
            self._make_room()
        return len(entries)

    # --- what goes ----------------------------------------------------------------------------------
    def oldest(self) -> Entry | None:
        """The taken message that the broker answers next, None if it was dropped meanwhile or none is under way."""
        place = self.acknowledged - self._begin
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
        for place in range(self.taken - self._begin - 1, self.acknowledged - self._begin - 1, -1):
            if self._log[place] is entry:
                self._log[place] = PARKED
                self._size -= len(entry[1])
                self._parked += 1
                self._ranges.add(entry, "refused")
                self._pass_parked()
                return True
        return False

    def forget(self, now_ns: int) -> None:
        """Let go what was acknowledged longer than `keep_s` ago. `now_ns`: monotonic.

        Call it while connected only: how long the broker was away must not shorten what a rewind can reach.
        """
        over = self._packed.whole(self._kept.over(now_ns))
        if over > self.forgotten:
            self._drop(over - self.forgotten, "kept")

    def abandon(self, cause: str = "stopped") -> int:
        """Drop everything, as a stop must; the unacknowledged are counted as dropped. How many those were."""
        before = self.dropped + self.unrepeated
        self._drop(len(self), cause)
        return self.dropped + self.unrepeated - before

    def pack(self, most: int) -> None:
        """Pack what is acknowledged, at most so many messages. Called often: memory and fills wait for it."""
        size = self._packed.size
        for _ in range(most // size):
            if self.acknowledged - self._begin < size:
                return
            self._packed.pack(self._begin, self._log[:size])
            del self._log[:size]

    # --- inside -------------------------------------------------------------------------------------
    @property
    def _begin(self) -> int:
        """The position of the first message that is not packed."""
        return self.forgotten + len(self._packed)

    def _take_again(self, most: int) -> list[Entry]:
        """Take only what may have been sent before. It is marked in the log too: parking finds an entry by identity."""
        batch: list[Entry] = []
        while len(batch) < most and self.taken < self._ever_taken:
            place = self.taken - self._begin
            topic, payload, run, n, at_ns, _ = entry = self._log[place]
            self.taken += 1
            if entry is not PARKED:
                self._log[place] = marked = (topic, payload, run, n, at_ns, True)
                batch.append(marked)
        return batch if batch else self.take(most)

    def _behind(self, place: int, count: int) -> int:
        """The place behind the next so many messages, and behind what is parked among and after them."""
        if not self._parked:
            return place + count
        while place < len(self._log) and (count > 0 or self._log[place] is PARKED):
            count -= self._log[place] is not PARKED
            place += 1
        return place

    def _pass_parked(self) -> None:
        start = self.acknowledged - self._begin
        end = self._behind(start, 0)
        self._acknowledged_bytes += (end - start) * ENTRY_BYTES
        self.acknowledged += end - start
        self.taken = max(self.taken, self.acknowledged)

    def _mark(self, now_ns: int) -> None:
        self.furthest = max(self.furthest, self.acknowledged)
        self._kept.acknowledged(self.acknowledged, now_ns)

    def _make_room(self) -> None:
        """Drop the oldest; acknowledged ones lie before all others, so they go first."""
        excess = self._size - self._limit + self._limit // ROOM_SHARE
        count = 0
        for block in self._packed:
            if excess <= 0:
                break
            excess -= block.loose
            count += self._packed.size
        for entry in self._log:
            if excess <= 0:
                break
            excess -= len(entry[1]) + ENTRY_BYTES
            count += 1
        self._drop(count, "outbox full")

    def _drop(self, count: int, cause: str) -> None:
        """Drop the oldest so many, which end with a block or behind all blocks."""
        blocks = self._packed.drop(self.forgotten + count)
        packed, loose = len(blocks) * self._packed.size, sum([block.loose for block in blocks])
        gone = self._log[: count - packed]
        del self._log[: count - packed]
        done = min(count, self.acknowledged - self.forgotten)
        self._size -= loose + sizes(gone)
        self._acknowledged_bytes -= loose + sizes(gone[: done - packed])
        self._parked -= sum([block.parked for block in blocks]) + (gone.count(PARKED) if self._parked else 0)
        for position, entry in enumerate(gone[done - packed :], self.forgotten + done):
            self._count(position, entry, cause)
        self.forgotten += count
        self.acknowledged = max(self.acknowledged, self.forgotten)
        self.taken = max(self.taken, self.forgotten)
        self._ever_taken = max(self._ever_taken, self.forgotten)
        self._pass_parked()

    def _count(self, position: int, entry: Entry, cause: str) -> None:
        if entry is PARKED:
            return
        self._overtaken += position < self.taken
        if position < self.furthest:
            self.unrepeated += 1
        else:
            self._ranges.add(entry, cause)
