"""The half of the file that only looks: finds rows in segments. Blocking, for one thread."""

import sqlite3
from bisect import bisect_left
from pathlib import Path

from msgspec import Struct

from dashboard.history.base import END_OF_TIME_NS
from dashboard.history.packing import Packing
from dashboard.history.rows import NUMBER, Row, time_of
from dashboard.history.schema import open_reader, telling, transaction

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


class Reader:
    """Everything that only looks. Used by one thread."""

    def __init__(self, path: Path, packing: Packing) -> None:
        self._path = path
        self._packing = packing
        self._db = open_reader(path)

    def close(self) -> None:
        self._db.close()

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


def piece_rows(db: sqlite3.Connection, packing: Packing, number: int) -> list[Row]:
    """The rows of a piece by time; none if the segment has none of this series."""
    row = db.execute("SELECT packed FROM pieces WHERE id = ?", (number,)).fetchone()
    return [] if row is None else [(time_of(payload), payload) for payload in packing.unpack(row[0])]


def _plenty(found: dict[int, list[Row]], want: Want, edge_ns: int) -> bool:
    """Whether more than enough rows lie before (for the newest: behind) every segment that was not looked at."""
    if sum(map(len, found.values())) <= want.enough:
        return False
    times = sorted(time_ns for rows in found.values() for time_ns, _ in rows)
    beyond = len(times) - bisect_left(times, edge_ns + 1) if want.newest else bisect_left(times, edge_ns)
    return beyond > want.enough
