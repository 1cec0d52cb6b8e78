"""The half of the file that changes it: journal of commits, segments of folded rows. Blocking, for one thread.

A commit appends one journal entry per kind. When a kind has many rows there, they are folded: sorted by series and
time into one segment, a piece per series, and their journal entries go. So every row is written twice, packed, always
appended; no index is kept up.
"""

import logging
import zlib
from collections.abc import Iterable
from pathlib import Path

from dashboard.history import tally
from dashboard.history.bars import merge_bars
from dashboard.history.heard import Heard
from dashboard.history.memory import Layer, Memory
from dashboard.history.packing import BrokenPiece, Packing, entry_lines
from dashboard.history.ranges import Pair
from dashboard.history.reader import SERIES_BITS, piece_payloads, piece_rows, pieces_of, read_dictionary, since_name
from dashboard.history.rows import KINDS, NUMBER, Merge, Row, merge_fields, settled
from dashboard.history.schema import BORN, UNBORN, open_writer, telling, transaction

log = logging.getLogger(__name__)
MERGE: dict[str, Merge] = {kind: merge_bars if kind == "bars" else merge_fields for kind in KINDS}
Piece = tuple[int, bytes, tally.Tally]


class Writer:
    """Everything that changes the file. Every method raises StoreError and then has changed nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = open_writer(path)
        try:
            self.packing = Packing(read_dictionary(path, self._db))
            with telling(path):
                self.known = {number for (number,) in self._db.execute("SELECT id FROM series")}
                """The numbers of series that the file has."""
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

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
        instruments = [(*key, payload) for layer in layers for key, payload in layer.instruments.items()]
        with telling(self._path), transaction(self._db):
            self._db.executemany("INSERT INTO series(id, topic) VALUES (?, ?)", topics)
            self._db.executemany("INSERT INTO journal(kind, packed) VALUES (?, ?)", entries)
            self._db.executemany("REPLACE INTO instruments VALUES (?, ?, ?)", instruments)
        self.known.update(number for number, _ in topics)

    def fold(self, kind: str, memory: Memory, heard: Heard, beside: Layer | None = None) -> None:
        """Make one segment of all of a kind's journal. `beside` is committed in the same breath."""
        pieces: list[Piece] = []
        first_ns, last_ns, count = 2**63 - 1, 0, 0
        for series in sorted(memory.columns):
            column = memory.columns[series]
            rows = settled(column.rows(), MERGE[kind])
            pieces.append(self._piece(series, rows, column.by_key()))
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

    def _piece(self, series: int, rows: list[Row], numbers: dict[str, list[Pair]]) -> Piece:
        packed = self.packing.pack(payload for _, payload in rows)
        return series, packed, tally.tally(packed, rows, numbers)

    def _insert(self, kind: str, level: int, extent: tuple[int, int, int], pieces: list[Piece]) -> None:
        size = sum(len(packed) for _, packed, _ in pieces)
        values = (NUMBER[kind], level, *extent, size)
        cursor = self._db.execute(
            "INSERT INTO segments(kind, level, first_ns, last_ns, rows, bytes) VALUES (?, ?, ?, ?, ?, ?)", values
        )
        base = (cursor.lastrowid or 0) << SERIES_BITS
        self._db.executemany("INSERT INTO pieces VALUES (?, ?)", ((base | one[0], one[1]) for one in pieces))
        tallies = ((base | one[0], tally.encode(one[2])) for one in pieces)
        self._db.executemany("INSERT INTO tallies VALUES (?, ?)", tallies)

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
            for (number,) in self._db.execute("SELECT id FROM pieces WHERE id BETWEEN ? AND ?", pieces_of(segment)):
                holders.setdefault(number & ~(-1 << SERIES_BITS), []).append(number)
        pieces, count = [], 0
        for series, numbers in sorted(holders.items()):
            rows, marks = self._readable(numbers)
            if rows:
                rows = settled(rows, MERGE[kind])
                pieces.append(self._piece(series, rows, tally.merged(marks)))
                count += len(rows)
        return pieces, count

    def _readable(self, pieces: list[int]) -> tuple[list[Row], list[dict[str, list[Pair]]]]:
        """Rows and numbers of these pieces; a broken one goes with what it claimed, and the audit names it."""
        rows: list[Row] = []
        marks = []
        for piece in pieces:
            try:
                found, numbers = piece_rows(self._db, self.packing, piece), self._numbers(piece)
            except BrokenPiece as error:
                log.error("%s: left out when segments were merged: %s", self._path, error)
                continue
            rows += found
            marks.append(numbers)
        return rows, marks

    def _numbers(self, piece: int) -> dict[str, list[Pair]]:
        row = self._db.execute("SELECT packed FROM tallies WHERE id = ?", (piece,)).fetchone()
        if row is not None:
            return tally.decode(row[0]).numbers
        return tally.read_marks(piece_payloads(self._db, self.packing, piece)).by_key()

    def be_born(self, now_ns: int) -> None:
        """Note that somebody listens, if it is the first time."""
        with telling(self._path), transaction(self._db):
            self._db.execute("UPDATE meta SET value = ? WHERE name = ? AND value = ?", (now_ns, BORN, UNBORN))

    def prune(self, kind: str, before_ns: int) -> int:
        """Delete the segments whose rows are all older; how many rows that were."""
        query = "SELECT id, rows FROM segments WHERE kind = ? AND last_ns < ?"
        pruned = 0
        with telling(self._path):
            for number, rows in self._db.execute(query, (NUMBER[kind], before_ns)).fetchall():
                with transaction(self._db):
                    self._delete(number)
                    self._db.execute("REPLACE INTO meta VALUES (?, ?)", (since_name(kind), before_ns))
                pruned += rows
        return pruned

    def _delete(self, segment: int) -> None:
        self._db.execute("DELETE FROM pieces WHERE id BETWEEN ? AND ?", pieces_of(segment))
        self._db.execute("DELETE FROM tallies WHERE id BETWEEN ? AND ?", pieces_of(segment))
        self._db.execute("DELETE FROM segments WHERE id = ?", (segment,))
