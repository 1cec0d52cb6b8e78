"""The half of the file that only looks: finds rows in segments. Blocking, for one thread."""

import logging
import sqlite3
import zlib
from bisect import bisect_left
from pathlib import Path

import msgspec
from msgspec import Struct

from bridge.errors import Damaged
from dashboard.history import tally
from dashboard.history.base import END_OF_TIME_NS
from dashboard.history.heard import Heard
from dashboard.history.packing import BrokenPiece, Packing, entry_rows
from dashboard.history.rows import NUMBER, Instruments, Row, time_of
from dashboard.history.schema import BORN, telling, transaction

log = logging.getLogger(__name__)
SERIES_BITS = 24
"""A piece is found by its number, `segment << 24 | series`: the table's own order is the only index."""
MOST_SEGMENTS_A_SCAN = 4000


class Want(Struct, frozen=True):
    """Rows in [from_ns, to_ns): all, or at least the first `enough` (`newest`: the last ones)."""

    from_ns: int = 0
    to_ns: int = END_OF_TIME_NS
    enough: int = END_OF_TIME_NS
    newest: bool = False
    most_segments: int = MOST_SEGMENTS_A_SCAN


class Segment(Struct, frozen=True):
    """Folded rows of one kind. Equal ones are the same: a number may be given again, all of it never."""

    number: int
    first_ns: int
    last_ns: int
    rows: int
    bytes: int


class Counted(Struct, frozen=True):
    """A piece that was read back: its tally (None: an older format has none) and whether its bytes are unharmed."""

    series: int
    tally: tally.Tally | None
    sound: bool


def read_dictionary(path: Path, db: sqlite3.Connection) -> bytes:
    """What the file's pieces are packed with. Raises Damaged if it is gone."""
    with telling(path):
        row = db.execute("SELECT value FROM meta WHERE name = 'dictionary'").fetchone()
    if row is None or not isinstance(row[0], bytes):
        raise Damaged(f"{path} has lost what its rows are packed with")
    return row[0]


class Reader:
    """Everything that only looks. Used by one thread."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self._path = path
        self._db = db
        self.harmed = 0
        """Things that a start could not read, and left out."""
        self._packing = Packing(read_dictionary(path, db))

    def close(self) -> None:
        self._db.close()

    def harm(self, what: str) -> None:
        """Something is damaged without which the rest is of use: said and counted, and the audit names what it held."""
        self.harmed += 1
        log.error("%s: left out: %s", self._path, what[:300])

    # --- what a start reads -------------------------------------------------------------------------
    def version(self) -> int:
        """Another one than before: the file was changed by others meanwhile."""
        with telling(self._path):
            return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def topics(self) -> dict[str, int]:
        with telling(self._path):
            return {topic: number for number, topic in self._db.execute("SELECT id, topic FROM series ORDER BY id")}

    def heard(self, kind: str) -> Heard:
        """What was heard of a kind up to its last fold."""
        with telling(self._path):
            row = self._db.execute("SELECT packed FROM heard WHERE kind = ?", (NUMBER[kind],)).fetchone()
        try:
            return Heard() if row is None else Heard.decode(zlib.decompress(row[0]))
        except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError, TypeError) as error:
            self.harm(f"the numbers that were heard of {kind}: {error}")
            return Heard()

    def journal(self, after: int = 0) -> tuple[int, list[tuple[int, bytes]]]:
        """Series and payload of every row that is not folded yet, in the order of their arrival, and the last entry.

        `after`: only what came after that entry.
        """
        rows: list[tuple[int, bytes]] = []
        with telling(self._path):
            entries = self._db.execute("SELECT id, packed FROM journal WHERE id > ? ORDER BY id", (after,)).fetchall()
        for number, packed in entries:
            try:
                rows += entry_rows(self._packing.unpack(packed))
            except BrokenPiece as error:
                self.harm(f"entry {number} of the journal: {error}")
        return entries[-1][0] if entries else after, rows

    def shape(self) -> tuple[int, int, int]:
        """Another one than before: rows were folded, segments merged or pruned meanwhile."""
        query = "SELECT count(*), coalesce(max(id), 0), coalesce(sum(rows), 0) FROM segments"
        with telling(self._path):
            count, last, rows = self._db.execute(query).fetchone()
        return count, last, rows

    def instruments(self) -> Instruments:
        with telling(self._path):
            found = self._db.execute("SELECT exchange, symbol, payload FROM instruments").fetchall()
        return {(exchange, symbol): payload for exchange, symbol, payload in found}

    def newest_ns(self) -> int:
        """The greatest time of all rows in segments."""
        with telling(self._path):
            return int(self._db.execute("SELECT coalesce(max(last_ns), 0) FROM segments").fetchone()[0])

    def born_ns(self) -> int:
        """Since when a recorder has listened; 0: it is not known, UNBORN: none has yet."""
        with telling(self._path):
            row = self._db.execute("SELECT value FROM meta WHERE name = ?", (BORN,)).fetchone()
        return 0 if row is None else int(row[0])

    def since_ns(self, kind: str) -> int:
        """Before this, rows of a kind were pruned; 0: never."""
        with telling(self._path):
            row = self._db.execute("SELECT value FROM meta WHERE name = ?", (since_name(kind),)).fetchone()
        return 0 if row is None else int(row[0])

    # --- rows ---------------------------------------------------------------------------------------

    def scan(self, kind: str, series: int, want: Want) -> tuple[list[Row], int | None]:
        """Rows of one series in the order of their arrival, and how far in time they are complete if not to the end."""
        with telling(self._path), transaction(self._db, "DEFERRED"):
            segments = self._segments(kind, want)
            found: dict[int, list[Row]] = {}
            complete_ns = None
            for looked, (number, first_ns, last_ns) in enumerate(segments):
                edge_ns = last_ns if want.newest else first_ns
                if looked >= want.most_segments or _plenty(found, want, edge_ns):
                    complete_ns = edge_ns
                    break
                rows = piece_rows(self._db, self._packing, number << SERIES_BITS | series)
                found[number] = [row for row in rows if want.from_ns <= row[0] < want.to_ns]
        return [row for number in sorted(found) for row in found[number]], complete_ns

    def _segments(self, kind: str, want: Want) -> list[tuple[int, int, int]]:
        query = "SELECT id, first_ns, last_ns FROM segments WHERE kind = ? AND last_ns >= ? AND first_ns < ? ORDER BY "
        query += "last_ns DESC" if want.newest else "first_ns"
        return self._db.execute(query, (NUMBER[kind], want.from_ns, want.to_ns)).fetchall()

    def next_ns(self, kind: str, from_ns: int) -> int | None:
        """The least time from `from_ns` on at which a segment of this kind may have rows."""
        query = "SELECT min(max(first_ns, ?)) FROM segments WHERE kind = ? AND last_ns >= ?"
        with telling(self._path):
            row = self._db.execute(query, (from_ns, NUMBER[kind], from_ns)).fetchone()
        return None if row[0] is None else int(row[0])

    def last_folded(self, kind: str, series: int, most_segments: int) -> list[Row]:
        """The rows of a series that were folded last."""
        query = "SELECT id FROM segments WHERE kind = ? ORDER BY id DESC LIMIT ?"
        with telling(self._path), transaction(self._db, "DEFERRED"):
            for (number,) in self._db.execute(query, (NUMBER[kind], most_segments)).fetchall():
                if rows := piece_rows(self._db, self._packing, number << SERIES_BITS | series):
                    return rows
        return []

    # --- counting -----------------------------------------------------------------------------------
    def segments(self, kind: str, from_ns: int, to_ns: int) -> list[Segment]:
        """The segments that may have rows of a span."""
        query = "SELECT id, first_ns, last_ns, rows, bytes FROM segments "
        query += "WHERE kind = ? AND last_ns >= ? AND first_ns < ? ORDER BY id"
        with telling(self._path):
            found = self._db.execute(query, (NUMBER[kind], from_ns, to_ns)).fetchall()
        return [Segment(*one) for one in found]

    def counted(self, segment: Segment, series: int | None = None) -> list[Counted] | None:
        """The pieces of a segment, or that of one series; None if the segment is not there any more."""
        query = (
            "SELECT pieces.id, pieces.packed, tallies.packed FROM pieces LEFT JOIN tallies ON tallies.id = pieces.id "
        )
        first, last = pieces_of(segment.number)
        if series is not None:
            first = last = first | series
        with telling(self._path), transaction(self._db, "DEFERRED"):
            if not self._there(segment):
                return None
            found = self._db.execute(query + "WHERE pieces.id BETWEEN ? AND ?", (first, last))
            return [_counted(*row) for row in found]

    def payloads(self, segment: Segment, series: int) -> list[bytes] | None:
        """The rows of one piece; None if the segment is not there any more. Raises StoreError if it is damaged."""
        with telling(self._path), transaction(self._db, "DEFERRED"):
            if not self._there(segment):
                return None
            return piece_payloads(self._db, self._packing, segment.number << SERIES_BITS | series)

    def _there(self, segment: Segment) -> bool:
        row = self._db.execute(
            "SELECT id, first_ns, last_ns, rows, bytes FROM segments WHERE id = ?", (segment.number,)
        ).fetchone()
        return row is not None and Segment(*row) == segment


def since_name(kind: str) -> str:
    """Where in the file's `meta` it stands since when a kind is kept."""
    return f"since {kind}"


def pieces_of(segment: int) -> tuple[int, int]:
    """The least and the greatest number of a segment's pieces."""
    return segment << SERIES_BITS, (segment + 1 << SERIES_BITS) - 1


def _counted(number: int, packed: bytes, told: bytes | None) -> Counted:
    read = None if told is None else tally.decode(told)
    return Counted(number & ~(-1 << SERIES_BITS), read, read is None or zlib.crc32(packed) == read.crc)


def piece_payloads(db: sqlite3.Connection, packing: Packing, number: int) -> list[bytes]:
    """The payloads of a piece; none if the segment has none of this series."""
    row = db.execute("SELECT packed FROM pieces WHERE id = ?", (number,)).fetchone()
    return [] if row is None else packing.unpack(row[0])


def piece_rows(db: sqlite3.Connection, packing: Packing, number: int) -> list[Row]:
    """The rows of a piece by time."""
    try:
        return [(time_of(payload), payload) for payload in piece_payloads(db, packing, number)]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BrokenPiece(f"the history holds a damaged piece ({error}): restore the file from a backup") from error


def _plenty(found: dict[int, list[Row]], want: Want, edge_ns: int) -> bool:
    """Whether more than enough rows lie before (for the newest: behind) every segment that was not looked at."""
    if sum(map(len, found.values())) <= want.enough:
        return False
    times = sorted(time_ns for rows in found.values() for time_ns, _ in rows)
    beyond = len(times) - bisect_left(times, edge_ns + 1) if want.newest else bisect_left(times, edge_ns)
    return beyond > want.enough
