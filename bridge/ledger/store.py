"""The ledger on disk: every run, what it published per topic, every job and gap. Few writes, each one whole.

All calls block (they wait for the disk) and may come from any thread; one that raises StoreError has done nothing.
"""

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Self

import msgspec
from msgspec import Struct, structs

from bridge.aside import put_aside
from bridge.coverage import Span
from bridge.errors import Damaged, DiskAway, StoreError
from bridge.gaps import Stopped
from bridge.ledger import last_run
from bridge.ledger.rows import ALIVE, Job, Published, Query, Run
from bridge.ledger.schema import CURES, connect, in_memory, using
from bridge.topics import Gap, Topics

RUNS_KEPT_DAYS = 400
DAY_NS = 86_400_000_000_000
MAX_ROWS = 50_000
"""Rows of one answer: a run of a whole market on every channel has less."""
MAX_RUNS = 200
MAX_GAPS = 10_000
CLOCKS_DIFFER_NS = 60_000_000_000
"""Rather a minute of trades told twice (they have the same keys) than one trade never told."""
PROVEN_BYTES = 32 * 1024 * 1024
"""A larger file is not read whole at every start; what of it is damaged is met when it is used."""
INTERRUPTED = "the bridge was stopped"

log = logging.getLogger(__name__)
_encode = msgspec.json.encode
_gap = msgspec.json.Decoder(Gap).decode
_job = msgspec.json.Decoder(Job).decode
_spans = msgspec.json.Decoder(list[Span]).decode


class Loss(Struct, frozen=True):
    """A ledger that was put aside. `known_ns`: it was written then for the last time."""

    reason: str
    known_ns: int


class Ledger:
    """One file, one bridge. `names` tell which exchange and channel a topic is of."""

    def __init__(self, path: Path, names: Topics, db: sqlite3.Connection | None = None) -> None:
        self._path = path
        self._names = names
        self._lock = Lock()
        self.loss: Loss | None = None
        """What `open` could not use."""
        self.away: str | None = None
        """Why it is kept in memory only, until `regain`."""
        self._db = db or connect(path)

    @classmethod
    def open(cls, path: Path, names: Topics) -> Self:
        """The ledger. A damaged one is put aside before; where the disk refuses that or another one, it is in memory.

        Raises StoreError for a file of others, of another version or in use, and for a folder without rights.
        """
        known_ns = path.stat().st_mtime_ns if path.is_file() else 0
        try:
            return cls._proven(path, names)
        except (Damaged, DiskAway) as error:
            ledger = cls(path, names, in_memory())
            ledger.loss = Loss(ledger.renew(error), known_ns)
        return ledger

    @classmethod
    def _proven(cls, path: Path, names: Topics) -> Self:
        if path.is_file() and not path.stat().st_size:
            raise Damaged(f"{path} is empty")
        ledger = cls(path, names)
        try:
            ledger.prove()
        except BaseException:
            ledger.close()
            raise
        return ledger

    def renew(self, error: StoreError) -> str:
        """It cannot be used: another one in its place, in memory if that is refused. What is to be said."""
        with self._lock:
            said = str(error)
            try:
                if isinstance(error, Damaged):
                    said = _put_aside(self._path, error)
                db, self.away = connect(self._path), None
            except StoreError as trouble:
                db, self.away = in_memory(), f"the ledger is in memory only: {trouble}"
                said = f"{said}; {self.away}" if str(trouble) not in said else self.away
            used, self._db = self._db, db
            used.close()
        return said

    def regain(self) -> str:
        """From memory to the disk again, empty or with what is still there; what is to be said. Raises StoreError."""
        other = self.open(self._path, self._names)
        if other.away is not None:
            self.away = other.away
            other.close()
            raise StoreError(other.away)
        with self._lock:
            used, self._db, self.away = self._db, other._db, None
            used.close()
        reason = f" ({other.loss.reason})" if other.loss is not None else ""
        return f"the ledger is on the disk again{reason}"

    def prove(self) -> None:
        """Read all that a start reads, and the whole file if that is quickly done. Raises Damaged."""
        damaged = f"{self._path} {CURES['SQLITE_CORRUPT']}"
        if self._path.stat().st_size <= PROVEN_BYTES and self._read("PRAGMA quick_check(1)") != [("ok",)]:
            raise Damaged(damaged)
        try:
            for read in (self.runs, self.stopped, self.covered, self.gaps):
                read()
            self.known_until(0)
            for (body,) in self._read("SELECT body FROM jobs"):
                _job(body)
        except (msgspec.MsgspecError, ValueError, TypeError) as error:
            raise Damaged(damaged) from error

    def close(self) -> None:
        """Nothing is pending: every call is whole."""
        with self._lock:
            self._db.close()

    # --- writing ------------------------------------------------------------------------------------
    def begin(self, run: int, started_ns: int, gaps: Iterable[Gap] = ()) -> None:
        """A run starts; `gaps` are what `recover` made of the runs before, which are answered for by that."""
        with self._writing() as db:
            db.execute("UPDATE runs SET told=1, how=coalesce(how, 'killed') WHERE told=0")
            known = (run, started_ns, started_ns)
            db.execute("INSERT INTO runs(run, started_ns, known_ns) VALUES(?, ?, ?) ON CONFLICT DO NOTHING", known)
            self._put_gaps(db, gaps)
        last_run.write(self._path, max(run, last_run.read(self._path)))

    def save(
        self,
        run: int,
        known_ns: int,
        rows: Sequence[Published],
        gaps: Sequence[Gap],
        jobs: Sequence[Job] = (),
        covered: Mapping[str, Sequence[Span]] | None = None,
    ) -> None:
        """What has changed. `known_ns`: until then everything published was with the broker."""
        with self._writing() as db:
            db.execute("UPDATE runs SET known_ns=? WHERE run=?", (known_ns, run))
            self._put_rows(db, rows)
            self._put_gaps(db, gaps)
            jobs_told = [(job.id, run, _encode(job)) for job in jobs]
            db.executemany(
                "INSERT INTO jobs VALUES(?, ?, ?) ON CONFLICT(id) DO UPDATE SET body=excluded.body", jobs_told
            )
            stretches = [(topic, _encode(spans)) for topic, spans in (covered or {}).items()]
            db.executemany("INSERT OR REPLACE INTO covered VALUES(?, ?)", stretches)

    def interrupt_jobs(self) -> list[Job]:
        """At the start of a process: what waits or runs by the file ended with the process before. Those jobs."""
        with self._writing() as db:
            alive = [one for (body,) in db.execute("SELECT body FROM jobs") if (one := _job(body)).state in ALIVE]
            ended = [structs.replace(job, state="failed", reason=INTERRUPTED) for job in alive]
            db.executemany("UPDATE jobs SET body=? WHERE id=?", [(_encode(job), job.id) for job in ended])
        return ended

    def end(self, run: int, ended_ns: int, how: str) -> None:
        """The run ended by intent. `how`: stopped, or clock (another run follows at once, so nothing is missing)."""
        with self._writing() as db:
            told = how == "clock"
            db.execute("UPDATE runs SET ended_ns=?, how=?, told=? WHERE run=?", (ended_ns, how, told, run))

    def prune(self, before_ns: int) -> None:
        """Forget runs that ended before, and gaps that were over before."""
        with self._writing() as db:
            old = "SELECT run FROM runs WHERE max(known_ns, coalesce(ended_ns, 0)) < ?"
            for table in ("published", "jobs", "runs"):
                db.execute(f"DELETE FROM {table} WHERE run IN ({old})", (before_ns,))
            db.execute("DELETE FROM gaps WHERE to_ns < ?", (before_ns,))
            db.execute("DELETE FROM topics WHERE id NOT IN (SELECT topic FROM published)")

    # --- reading ------------------------------------------------------------------------------------
    def latest_run(self) -> int:
        """The highest run id there is, also of a ledger that is no more, 0 if none: a new one is always later."""
        return max(last_run.read(self._path), int(self._read("SELECT coalesce(max(run), 0) FROM runs")[0][0]))

    def runs(self) -> list[Run]:
        """The newest runs, newest first."""
        found = self._read(
            "SELECT run, started_ns, known_ns, ended_ns, how FROM runs ORDER BY run DESC LIMIT ?", MAX_RUNS
        )
        return [Run(*row) for row in found]

    def rows(self, query: Query) -> list[Published]:
        """What a run or a fill published, at most `MAX_ROWS` topics."""
        where, values = (["1=1"], []) if query.fills else (["p.fill=?"], [query.fill or ""])
        for column, value in (("p.run", query.run), ("t.topic", query.topic), ("t.exchange", query.exchange)):
            if value is not None:
                where.append(f"{column}=?")
                values.append(value)  # type: ignore[arg-type]
        found = self._read(
            "SELECT t.topic, p.run, nullif(p.fill, ''), p.n, p.acknowledged, p.first_ns, p.last_ns FROM published p "
            f"JOIN topics t ON t.id=p.topic WHERE {' AND '.join(where)} LIMIT ?",
            *values,
            MAX_ROWS,
        )
        return [Published(*row) for row in found]

    def gaps(self) -> list[Gap]:
        """Every gap that still runs and the newest others, oldest first."""
        found = self._read("SELECT body FROM gaps ORDER BY to_ns IS NULL DESC, from_ns DESC LIMIT ?", MAX_GAPS)
        return sorted((_gap(body) for (body,) in found), key=lambda gap: gap.from_ns)

    def jobs(self, run: int) -> list[Job]:
        """The jobs of a run."""
        return [_job(body) for (body,) in self._read("SELECT body FROM jobs WHERE run=?", run)]

    def stopped(self) -> list[Stopped]:
        """Until when the runs that no later one has answered for had published, per exchange and channel."""
        found = self._read(
            "SELECT t.exchange, t.channel, max(coalesce(r.ended_ns, r.known_ns)), r.how IS NULL FROM runs r "
            "JOIN published p ON p.run=r.run JOIN topics t ON t.id=p.topic "
            "WHERE r.told=0 AND t.channel IN ('prices', 'trades', 'candles') GROUP BY t.exchange, t.channel"
        )
        reasons = ("the bridge was stopped", "the bridge was killed or lost its power")
        return [Stopped(exchange, channel, at_ns, reasons[killed]) for exchange, channel, at_ns, killed in found]

    def covered(self) -> dict[str, list[Span]]:
        """Which stretches of time of each candle topic were told, over all runs."""
        return {topic: _spans(spans) for topic, spans in self._read("SELECT topic, spans FROM covered")}

    def known_until(self, since_ns: int) -> dict[str, int]:
        """Until when a topic's rows are with the broker for sure, over all runs that lived after `since_ns`.

        That is the newest row's time, unless the broker lacked some when their run was killed: those stood behind
        `known_ns`, by our clock, which is not the exchange's.
        """
        found = self._read(
            "SELECT t.topic, max(CASE WHEN p.acknowledged < p.n AND r.how IS NOT 'stopped' "
            "THEN max(min(p.last_ns, r.known_ns - ?), 1) ELSE p.last_ns END) FROM published p "
            "JOIN topics t ON t.id=p.topic JOIN runs r ON r.run=p.run "
            "WHERE max(r.known_ns, coalesce(r.ended_ns, 0)) >= ? GROUP BY p.topic",
            CLOCKS_DIFFER_NS,
            since_ns,
        )
        return dict(found)

    # --- inside -------------------------------------------------------------------------------------
    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction."""
        with self._lock, using(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk has rolled back by itself
                    self._db.execute("ROLLBACK")
                raise

    def _read(self, sql: str, *values: object) -> list[Any]:
        with self._lock, using(self._path):
            return self._db.execute(sql, values).fetchall()

    def _put_rows(self, db: sqlite3.Connection, rows: Sequence[Published]) -> None:
        parts = {row.topic: self._names.parts(row.topic) or ("errors", "bridge", None) for row in rows}
        named = [(topic, exchange, channel) for topic, (channel, exchange, _) in parts.items()]
        db.executemany("INSERT INTO topics(topic, exchange, channel) VALUES(?, ?, ?) ON CONFLICT DO NOTHING", named)
        db.executemany(
            "INSERT INTO published SELECT ?, ?, id, ?, ?, ?, ? FROM topics WHERE topic=? ON CONFLICT DO UPDATE SET "
            "n=excluded.n, acknowledged=excluded.acknowledged, first_ns=excluded.first_ns, last_ns=excluded.last_ns",
            [(r.run, r.fill or "", r.n, r.acknowledged, r.first_ns, r.last_ns, r.topic) for r in rows],
        )

    def _put_gaps(self, db: sqlite3.Connection, gaps: Iterable[Gap]) -> None:
        rows = [(gap.id, gap.from_ns, gap.to_ns, gap.state, _encode(gap)) for gap in gaps]
        db.executemany("INSERT OR REPLACE INTO gaps VALUES(?, ?, ?, ?, ?)", rows)


def _put_aside(path: Path, error: Damaged) -> str:
    aside = put_aside(path)
    log.error("%s", error)
    return f"the ledger was damaged and is kept as {aside.name}: what was missing before then cannot be named any more"
