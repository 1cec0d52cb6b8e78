"""What a piece on disk holds, written beside it: its publication numbers, its extent, and a check sum. Pure.

Made of the very rows that are packed and written in one transaction with them, deleted likewise. Whoever counts reads
the piece back and compares the sum, so a number counts only while its row can be read.
"""

import zlib
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from dashboard.history.columns import Marks
from dashboard.history.ranges import Pair, joined
from dashboard.history.rows import Row, read_publications


class Tally(Struct, frozen=True, array_like=True):
    """One piece: numbers by run or fill."""

    crc: int
    first_ns: int
    last_ns: int
    numbers: dict[str, list[Pair]]


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Tally).decode


def tally(packed: bytes, rows: list[Row], numbers: dict[str, list[Pair]]) -> Tally:
    """Of a packed piece with these rows (by time).

    Of two messages of one key only one row stays, with the fields of both: both numbers count, for what either told
    is there or was told anew.
    """
    return Tally(zlib.crc32(packed), rows[0][0], rows[-1][0], numbers)


def merged(numbers: Iterable[dict[str, list[Pair]]]) -> dict[str, list[Pair]]:
    """The numbers of several pieces together."""
    found: dict[str, list[Pair]] = {}
    for one in numbers:
        for key, pairs in one.items():
            found.setdefault(key, []).extend(pairs)
    return {key: joined(pairs) for key, pairs in found.items()}


def read_marks(payloads: Iterable[bytes]) -> Marks:
    """The publications of rows, as the payloads themselves say."""
    marks = Marks()
    for time_ns, publications in map(read_publications, payloads):
        for publication in publications:
            marks.mark(time_ns, publication)
    return marks
