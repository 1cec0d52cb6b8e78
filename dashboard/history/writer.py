"""The half of the file that changes it: journal of commits, segments of folded rows. Blocking, for one thread.

A commit appends one journal entry per kind. When a kind has many rows there, they are folded: sorted by series and
time into one segment, a piece per series, and their journal entries go. So every row is written twice, packed, always
appended; no index is kept up.
"""

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from dashboard.history.bars import merge_bars
from dashboard.history.heard import Heard
from dashboard.history.memory import Layer, Memory
from dashboard.history.packing import Packing, entry_lines, entry_rows
from dashboard.history.reader import SERIES_BITS, piece_rows
from dashboard.history.rows import KINDS, NUMBER, Merge, merge_fields, settled
from dashboard.history.schema import open_writer, telling, transaction

MERGE: dict[str, Merge] = {kind: merge_bars if kind == "bars" else merge_fields for kind in KINDS}
Piece = tuple[int, bytes]


class Writer:
    """Everything that changes the file. Every method raises StoreError and then has changed nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = open_writer(path)
        with telling(path):
            (dictionary,) = self._db.execute("SELECT value FROM meta WHERE name = 'dictionary'").fetchone()
        self.packing = Packing(dictionary)
        self.known = set(self.topics().values())
        """The numbers of series that the file has."""

    def close(self) -> None:
        self._db.close()

    # --- what a start reads -------------------------------------------------------------------------
    def topics(self) -> dict[str, int]:
        with telling(self._path):
            return {topic: number for number, topic in self._db.execute("SELECT id, topic FROM series ORDER BY id")}

    def heard(self, kind: str) -> Heard:
        """What was heard of a kind up to its last fold."""
        with telling(self._path):
            row = self._db.execute("SELECT packed FROM heard WHERE kind = ?", (NUMBER[kind],)).fetchone()
        return Heard() if row is None else Heard.decode(zlib.decompress(row[0]))

    def journal(self) -> Iterator[tuple[str, int, bytes]]:
        """Kind, series and payload of every row that is not folded yet, in the order of their arrival."""
        with telling(self._path):
            for kind, packed in self._db.execute("SELECT kind, packed FROM journal ORDER BY id"):
                for series, payload in entry_rows(self.packing.unpack(packed)):
                    yield KINDS[kind - 1], series, payload

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Rows and bytes in segments, by kind."""
        with telling(self._path):
            sums = self._db.execute("SELECT kind, sum(rows), sum(bytes) FROM segments GROUP BY kind").fetchall()
        return {KINDS[kind - 1]: (rows, size) for kind, rows, size in sums}

    # --- writing ------------------------------------------------------------------------------------
    def commit(self, layers: Iterable[Layer]) -> None:
        """Append what the layers hold, on disk when this returns."""
        entries = [
            (NUMBER[kind], self.packing.pack(entry_lines((s, c.payloads) for s, c in memory.columns.items())))
            for layer in layers
            for kind, memory in layer.kinds.items()
        ]
        topics = [topic for layer in layers for topic in layer.topics]
        with telling(self._path), transaction(self._db):
            self._db.executemany("INSERT INTO series(id, topic) VALUES (?, ?)", topics)
            self._db.executemany("INSERT INTO journal(kind, packed) VALUES (?, ?)", entries)
        self.known.update(number for number, _ in topics)

    def fold(self, kind: str, memory: Memory, heard: Heard, beside: Layer | None = None) -> None:
        """Make one segment of all of a kind's journal. `beside` is committed in the same breath."""
        pieces: list[Piece] = []
        first_ns, last_ns, count = 2**63 - 1, 0, 0
        for series in sorted(memory.columns):
            rows = settled(memory.of(series), MERGE[kind])
            pieces.append((series, self.packing.pack(payload for _, payload in rows)))
            first_ns, last_ns = min(first_ns, rows[0][0]), max(last_ns, rows[-1][0])
            count += len(rows)
        with telling(self._path), transaction(self._db):
            self._db.execute("DELETE FROM journal WHERE kind = ?", (NUMBER[kind],))
            self._insert(kind, 0, (first_ns, last_ns, count), pieces)
            self._db.execute("REPLACE INTO heard VALUES (?, ?)", (NUMBER[kind], zlib.compress(heard.encode())))
            for other, rows_beside in beside.kinds.items() if beside else ():
                lines = entry_lines((s, c.payloads) for s, c in rows_beside.columns.items())
                entry = (NUMBER[other], self.packing.pack(lines))
                self._db.execute("INSERT INTO journal(kind, packed) VALUES (?, ?)", entry)

    def _insert(self, kind: str, level: int, extent: tuple[int, int, int], pieces: list[Piece]) -> None:
        size = sum(len(packed) for _, packed in pieces)
        values = (NUMBER[kind], level, *extent, size)
        cursor = self._db.execute(
            "INSERT INTO segments(kind, level, first_ns, last_ns, rows, bytes) VALUES (?, ?, ?, ?, ?, ?)", values
        )
        base = (cursor.lastrowid or 0) << SERIES_BITS
        self._db.executemany("INSERT INTO pieces VALUES (?, ?)", ((base | series, packed) for series, packed in pieces))

    def merge(self, kind: str, fan: int) -> bool:
        """Make one larger segment of a kind's small ones, if there are `fan` of them."""
        query = "SELECT id, first_ns, last_ns FROM segments WHERE kind = ? AND level = 0 ORDER BY id"
        with telling(self._path), transaction(self._db):
            segments = self._db.execute(query, (NUMBER[kind],)).fetchall()
            if len(segments) < fan:
                return False
            pieces, count = self._merged(kind, [number for number, _, _ in segments])
            for number, _, _ in segments:
                self._delete(number)
            extent = min(s[1] for s in segments), max(s[2] for s in segments), count
            self._insert(kind, 1, extent, pieces)
        return True

    def _merged(self, kind: str, segments: list[int]) -> tuple[list[Piece], int]:
        holders: dict[int, list[int]] = {}
        for segment in segments:
            for (number,) in self._db.execute("SELECT id FROM pieces WHERE id BETWEEN ? AND ?", _numbers(segment)):
                holders.setdefault(number & ~(-1 << SERIES_BITS), []).append(number)
        pieces, count = [], 0
        for series, numbers in sorted(holders.items()):
            rows = [row for number in numbers for row in piece_rows(self._db, self.packing, number)]
            rows = settled(rows, MERGE[kind])
            pieces.append((series, self.packing.pack(payload for _, payload in rows)))
            count += len(rows)
        return pieces, count

    def prune(self, kind: str, before_ns: int) -> int:
        """Delete the segments whose rows are all older; how many rows that were."""
        query = "SELECT id, rows FROM segments WHERE kind = ? AND last_ns < ?"
        pruned = 0
        with telling(self._path):
            for number, rows in self._db.execute(query, (NUMBER[kind], before_ns)).fetchall():
                with transaction(self._db):
                    self._delete(number)
                pruned += rows
        return pruned

    def _delete(self, segment: int) -> None:
        self._db.execute("DELETE FROM pieces WHERE id BETWEEN ? AND ?", _numbers(segment))
        self._db.execute("DELETE FROM segments WHERE id = ?", (segment,))


def _numbers(segment: int) -> tuple[int, int]:
    """The least and the greatest number of a segment's pieces."""
    return segment << SERIES_BITS, (segment + 1 << SERIES_BITS) - 1
