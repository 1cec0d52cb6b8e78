"""The acknowledged part of the log, packed in blocks: a sixth of the room, for 1 to 3 µs a message. Pure.

What the broker has acknowledged is almost never read again: only a rewind or a repair unpacks it.
"""

import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from sys import intern

import msgspec
from msgspec import Struct

from bridge.entries import PARKED, Entry, sizes

BLOCK = 256
"""Messages a block."""
BLOCK_BYTES = 500
"""What Python needs for a block beside its data."""
LEVEL = 1
SHADES = 2048
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Entry]).decode


class Block(Struct):
    """Messages from position `first` on."""

    first: int
    since_ns: int
    """When the oldest was appended; 0 if all are parked."""
    loose: int
    """What they take unpacked, in bytes."""
    parked: int
    shades: int
    """A bit for every topic; some share one."""
    data: bytes


class Packed:
    """Blocks in the order of their positions, `size` messages each."""

    def __init__(self, size: int = BLOCK) -> None:
        self.size = size
        self._blocks: deque[Block] = deque()
        self.bytes = 0
        """What they take."""
        self.loose = 0
        """What their messages take unpacked."""

    def __len__(self) -> int:
        """Messages in all blocks."""
        return len(self._blocks) * self.size

    def __iter__(self) -> Iterator[Block]:
        return iter(self._blocks)

    def pack(self, first: int, entries: Sequence[Entry]) -> None:
        """Add a block of the next `size` entries; `first` is the position of the first one."""
        shades = 0
        for topic in {entry[0] for entry in entries}:
            shades |= _shade(topic)
        told = [entry for entry in entries if entry is not PARKED]
        since_ns = told[0][4] if told else 0
        data = zlib.compress(_encode(entries), LEVEL)
        self._blocks.append(Block(first, since_ns, sizes(entries), len(entries) - len(told), shades, data))
        self._count(self._blocks[-1], 1)

    def unpack(self, position: int) -> list[Entry]:
        """Remove the blocks that reach beyond a position; their messages."""
        gone: deque[Block] = deque()
        while self._blocks and self._blocks[-1].first + self.size > position:
            gone.appendleft(self._blocks.pop())
            self._count(gone[0], -1)
        return [entry for block in gone for entry in _shared(_entries(block))]

    def drop(self, position: int) -> list[Block]:
        """Remove the blocks that end before or at a position."""
        gone = []
        while self._blocks and self._blocks[0].first + self.size <= position:
            gone.append(self._blocks.popleft())
            self._count(gone[-1], -1)
        return gone

    def whole(self, position: int) -> int:
        """This position, or the beginning of the block that it lies within."""
        within = (block.first for block in self._blocks if block.first + self.size > position)
        return min(position, next(within, position))

    def newest_of(self, topic: str) -> Iterator[Entry]:
        """The messages of the blocks that may hold a topic, the newest first."""
        shade = _shade(topic)
        for block in reversed(self._blocks):
            if block.shades & shade:
                yield from reversed(list(_entries(block)))

    def _count(self, block: Block, sign: int) -> None:
        self.bytes += sign * (len(block.data) + BLOCK_BYTES)
        self.loose += sign * block.loose


def _shade(topic: str) -> int:
    return 1 << hash(topic) % SHADES


def _entries(block: Block) -> Iterator[Entry]:
    return (entry if entry[0] else PARKED for entry in _decode(zlib.decompress(block.data)))


def _shared(entries: Iterable[Entry]) -> Iterator[Entry]:
    """One object for what many entries have in common, as when they came: else they take half as much room again."""
    known: dict[int | str, int | str] = {}
    times: dict[int, int] = {}
    for entry in entries:
        if entry is PARKED:
            yield entry
            continue
        topic, payload, run, n, at_ns, again = entry
        yield intern(topic), payload, known.setdefault(run, run), n, times.setdefault(at_ns, at_ns), again
