"""The ledger's file: its tables, its version, and how it is opened. Nothing of a file that is not ours is touched."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bridge.aside import is_broken
from bridge.errors import Damaged, DiskAway, NewerData, StoreError

VERSION = 1
APPLICATION_ID = 0x7469636C
"""`ticl`: tells our ledger from any other SQLite file."""
BUSY_S = 2.0
TABLES = """
CREATE TABLE runs(run INTEGER PRIMARY KEY, started_ns INTEGER NOT NULL, known_ns INTEGER NOT NULL,
    ended_ns INTEGER, how TEXT, told INTEGER NOT NULL DEFAULT 0);
CREATE TABLE topics(id INTEGER PRIMARY KEY, topic TEXT NOT NULL UNIQUE, exchange TEXT NOT NULL, channel TEXT NOT NULL);
CREATE TABLE published(run INTEGER, fill TEXT, topic INTEGER, n INTEGER NOT NULL, acknowledged INTEGER NOT NULL,
    first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, PRIMARY KEY(run, fill, topic)) WITHOUT ROWID;
CREATE TABLE jobs(id TEXT PRIMARY KEY, run INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE gaps(id TEXT PRIMARY KEY, from_ns INTEGER NOT NULL, to_ns INTEGER, state TEXT NOT NULL,
    body BLOB NOT NULL);
"""
"""Rows of one run lie together, so that a save touches few pages. `fill` is '' for live messages."""
ADDED = "CREATE TABLE IF NOT EXISTS covered(topic TEXT PRIMARY KEY, spans BLOB NOT NULL) WITHOUT ROWID"
"""Came later: a file without it gets it, and a program that does not know it leaves it alone."""
CURES = {
    "SQLITE_BUSY": "is in use by another bridge: stop that one, or give this one its own data_dir",
    "SQLITE_FULL": "cannot be written, the disk is full: make room",
    "SQLITE_NOTADB": "is no ledger: move it away, and a new one is made",
    "SQLITE_CORRUPT": "is damaged: move it away, and a new one is made (what was missing before can then not be told)",
}


DAMAGE = frozenset({"SQLITE_NOTADB", "SQLITE_CORRUPT"})
DOUBTFUL = frozenset({"SQLITE_READONLY", "SQLITE_ERROR"})
"""What a damaged head may look like."""
PASSING = frozenset({"SQLITE_FULL", "SQLITE_IOERR"})
SYSTEM_PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})
OURS = frozenset({"runs", "topics", "published", "jobs", "gaps"})
LIKELY_VERSION = 100
"""A schema beyond is none of a later Tickbridge."""


@contextmanager
def using(path: Path) -> Iterator[None]:
    """Any trouble with the file becomes a StoreError: one line with the cure."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # our bug, no trouble of the file
    except UnicodeDecodeError as error:
        raise Damaged(f"{path} {CURES['SQLITE_CORRUPT']}") from error
    except (sqlite3.Error, OSError) as error:
        name = getattr(error, "sqlite_errorname", "")
        family = "_".join(name.split("_")[:2])
        cure = CURES.get(family, f"cannot be used ({error}): check the folder's rights and the disk")
        if family in DAMAGE or (family in DOUBTFUL and is_broken(path)) or "decode to UTF-8" in str(error):
            raise Damaged(f"{path} {cure}") from error
        passing = family in PASSING or getattr(error, "errno", None) in SYSTEM_PASSING or _is_read_only(path.parent)
        kind = DiskAway if passing else StoreError
        raise kind(f"{path} {cure}") from error


def _is_read_only(folder: Path) -> bool:
    """Whether the disk is, as one becomes by itself that fails. Wrong rights are another matter."""
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def in_memory() -> sqlite3.Connection:
    """A ledger for as long as the process lives."""
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _prepare(db, Path(":memory:"))
    return db


def connect(path: Path) -> sqlite3.Connection:
    """Open the ledger, or make it. One bridge at a time. Raises StoreError; nothing is ever overwritten."""
    with using(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        made = not path.exists()
        db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            _prepare(db, path)
        except BaseException:
            db.close()
            if made and path.exists() and not path.stat().st_size:
                path.unlink()  # else the next try takes it for a file that was cut short
            raise
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA locking_mode=EXCLUSIVE")
    db.execute("BEGIN EXCLUSIVE")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    application = db.execute("PRAGMA application_id").fetchone()[0]
    if version == 0 and not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        for statement in TABLES.strip().split(";\n"):
            db.execute(statement.rstrip(";"))
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")
        db.execute(f"PRAGMA user_version={VERSION}")
    elif not {name for (name,) in db.execute("SELECT name FROM sqlite_master")} >= OURS:
        kind = Damaged if application == APPLICATION_ID and version == VERSION else StoreError
        raise kind(f"{path} {CURES['SQLITE_NOTADB']}")
    elif application != APPLICATION_ID or not 0 < version < LIKELY_VERSION:
        raise Damaged(f"{path} {CURES['SQLITE_CORRUPT']}")
    elif version != VERSION:
        newer = version > VERSION
        age, kind = ("a newer", NewerData) if newer else ("an older", StoreError)
        cure = "use that one, or move the file away and a new one is made"
        raise kind(f"{path} is of {age} Tickbridge (schema {version}, this one knows {VERSION}): {cure}")
    db.execute(ADDED)
    db.execute("COMMIT")
    db.execute("PRAGMA journal_mode=TRUNCATE")
    db.execute("PRAGMA synchronous=FULL")
