"""Reads the ledger of a bridge that does not live, from its file, which is never written."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from bridge.errors import StoreError
from dashboard.audit.values import Book, GapTold, Published, RunTold

APPLICATION_ID = 0x7469636C
VERSION = 1
"""The ledger's own: bridge/ledger/schema.py."""
BUSY_S = 2.0
MOST_RUNS = 1_000
_whole = msgspec.json.Decoder(GapTold).decode


class LedgerInUse(StoreError):
    """A bridge has the file: it must be asked."""


def read_ledger(path: Path, prefix: str, from_ns: int, to_ns: int) -> Book:
    """What the file says of a span of time. Raises StoreError with the cure, LedgerInUse if a bridge lives on it."""
    if not path.is_file():
        raise StoreError(f"{path}: there is no ledger: name the bridge's with --ledger, or its folder with --data-dir")
    with _telling(path), closing(_open(path)) as db:
        _check(db, path)
        runs = [
            RunTold(run, started_ns, known_ns, ended_ns, how)
            for run, started_ns, known_ns, ended_ns, how in db.execute(
                "SELECT run, started_ns, known_ns, ended_ns, how FROM runs WHERE started_ns < ? AND "
                "max(known_ns, coalesce(ended_ns, 0)) >= ? ORDER BY run DESC LIMIT ?",
                (to_ns, from_ns, MOST_RUNS),
            )
        ]
        rows = [row for run in runs for row in _rows(db, run.run, prefix)]
        gaps = [
            _whole(body)
            for (body,) in db.execute(
                "SELECT body FROM gaps WHERE from_ns < ? AND (to_ns IS NULL OR to_ns >= ?)", (to_ns, from_ns)
            )
        ]
    return Book(f"{path}", rows, runs, gaps)


def _rows(db: sqlite3.Connection, run: int, prefix: str) -> Iterator[Published]:
    """Live rows and fills of a run; a fill has no run of its own."""
    for topic, fill, n, acknowledged, first_ns, last_ns in db.execute(
        "SELECT t.topic, p.fill, p.n, p.acknowledged, p.first_ns, p.last_ns FROM published p "
        "JOIN topics t ON t.id=p.topic WHERE p.run=?",
        (run,),
    ):
        if topic.startswith(prefix):
            name, mark = topic.removeprefix(prefix), (None, fill) if fill else (run, None)
            yield Published(name, n, acknowledged, first_ns, last_ns, *mark)


def _open(path: Path) -> sqlite3.Connection:
    # immutable would read on while a bridge writes; with mode=ro SQLite takes the shared lock, or says that it cannot
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)


def _check(db: sqlite3.Connection, path: Path) -> None:
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise StoreError(f"{path} is no ledger: name the bridge's, it is called ledger.db")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version != VERSION:
        raise StoreError(f"{path} is of another Tickbridge (schema {version}, this one knows {VERSION}): use that one")


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise LedgerInUse(f"{path} is in use: a bridge is running there, and must be asked by MQTT") from error
        raise StoreError(f"{path}: {error}: check the file and its folder's rights") from error
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path} is damaged or no ledger ({error}): name the bridge's own") from error
    except msgspec.MsgspecError as error:
        raise StoreError(f"{path}: a gap cannot be read ({error}): it was written by another version") from error
