"""The history's file: made, opened and checked. A file that is not ours, older, newer or in use is left as it is."""

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from bridge.aside import is_broken
from bridge.errors import Damaged, StoreError
from dashboard.history.base import StoreAway
from dashboard.history.packing import DICTIONARY

FILE = "history.sqlite"
"""In the data folder."""
VERSION = 2
APPLICATION_ID = 0x7469636B
BUSY_S = 30.0
MAY_PASS = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
DOUBTFUL = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_ERROR}
"""What a damaged head may look like."""
LIKELY_VERSION = 100
"""A format beyond is none of a later Tickbridge."""
OURS = {"meta", "series", "journal", "segments", "pieces", "heard"}
SYSTEM_MAY_PASS = {errno.ENOSPC, errno.EDQUOT, errno.EIO}

BORN = "born"
"""Since when (ns) this file's recorder has listened; absent in files that were made before this was noted."""
UNBORN = -1

SINCE_2 = """
CREATE TABLE tallies(id INTEGER PRIMARY KEY, packed BLOB NOT NULL);
CREATE TABLE instruments(exchange TEXT NOT NULL, symbol TEXT NOT NULL, payload BLOB NOT NULL,
  PRIMARY KEY(exchange, symbol)) WITHOUT ROWID;
"""
TABLES = f"""
CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE series(id INTEGER PRIMARY KEY, topic TEXT NOT NULL);
CREATE TABLE journal(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, packed BLOB NOT NULL);
CREATE TABLE segments(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, level INTEGER NOT NULL,
  first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL);
CREATE TABLE pieces(id INTEGER PRIMARY KEY, packed BLOB NOT NULL);
CREATE TABLE heard(kind INTEGER PRIMARY KEY, packed BLOB NOT NULL);
{SINCE_2}"""


def lock_file(path: Path) -> int:
    """Take the history for this process; the descriptor holds it. Raises StoreAway if another has it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        kind = StoreAway if error.errno in SYSTEM_MAY_PASS else StoreError
        raise kind(f"{path}: {error.strerror}: make the folder writable or set data_dir") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise StoreAway(f"{path} is in use by another dashboard: stop it or set another data_dir") from error
    return descriptor


def open_writer(path: Path) -> sqlite3.Connection:
    """The connection that writes; a missing or empty file is made. Raises StoreError with the cure."""
    with telling(path):
        db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            _check(db, path)
            _tune(db)
        except BaseException:
            db.close()
            raise
    return db


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    with telling(path):
        address = f"{path.resolve().as_uri()}?mode=ro"
        return sqlite3.connect(address, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)


def open_beside(path: Path) -> sqlite3.Connection:
    """A connection that only looks, whether a recorder has the file or not. Raises StoreError with the cure."""
    if not path.exists():
        raise StoreError(f"{path}: there is no history yet: {_elsewhere(path)}")
    with telling(path):
        # may write, because after a kill in mid-commit SQLite must undo it before anybody can read
        mode = "rw" if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK) else "ro"
        address = f"{path.resolve().as_uri()}?mode={mode}"
        db = sqlite3.connect(address, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA query_only = ON")
            _check_read(db, path)
        except BaseException:
            db.close()
            raise
    return db


def _elsewhere(path: Path) -> str:
    """The demo's history is the likely one where there is no other."""
    demo = path.parent / "demo"
    if (demo / path.name).exists():
        return f"for the demo's add --data-dir {demo}"
    return "start the dashboard, or set data_dir to where it is"


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into a StoreError that says what to do; a StoreAway if it may pass by itself."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise Damaged(f"{path}: {error}: {_cure(sqlite3.SQLITE_CORRUPT)}") from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        kind = StoreAway if code in MAY_PASS else StoreError
        if code in DAMAGE or (code in DOUBTFUL and is_broken(path)) or "decode to UTF-8" in str(error):
            kind = Damaged
        raise kind(f"{path}: {error}: {_cure(code)}") from error


def _cure(code: int) -> str:
    cures = {
        sqlite3.SQLITE_FULL: "free some space on its disk; nothing is lost meanwhile, the broker keeps the messages",
        sqlite3.SQLITE_NOTADB: "this is no Tickbridge history: move it away and a new one is begun",
        sqlite3.SQLITE_CORRUPT: "the file is damaged: restore a backup, or move it away and a new one is begun",
        sqlite3.SQLITE_READONLY: "make file and folder writable",
        sqlite3.SQLITE_CANTOPEN: "make file and folder readable and writable, or set data_dir",
        sqlite3.SQLITE_IOERR: "the disk fails: look at the system's log",
        sqlite3.SQLITE_BUSY: "another program holds the file: close it",
    }
    return cures.get(code, "if it stays, move the file away and a new one is begun")


@contextmanager
def transaction(db: sqlite3.Connection, mode: str = "IMMEDIATE") -> Iterator[None]:
    """All or nothing."""
    db.execute(f"BEGIN {mode}")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # a full disk may have rolled back already
        if db.in_transaction:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
        raise


def _check(db: sqlite3.Connection, path: Path) -> None:
    version, application = _pragma(db, "user_version"), _pragma(db, "application_id")
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    if not (tables or version or application):
        _make(db)
    elif is_broken(path) or _is_harmed(version, application, tables >= OURS):
        raise Damaged(f"{path} is no Tickbridge history any more: {_cure(sqlite3.SQLITE_CORRUPT)}")
    elif application != APPLICATION_ID:
        raise StoreError(f"{path} is no Tickbridge history: move it away and a new one is begun")
    elif version == 1:
        _upgrade(db)
    elif version != VERSION:
        way = "upgrade Tickbridge" if version > VERSION else "move it away and a new one is begun"
        raise StoreError(f"{path} has format {version}, this Tickbridge reads {VERSION}: {way}")


def _is_harmed(version: int, application: int, whole: bool) -> bool:
    """Our tables under another's name, or our name without our tables; a later version may have others."""
    if application == APPLICATION_ID:
        return not 1 <= version < LIKELY_VERSION or (version <= VERSION and not whole)
    return whole


def _check_read(db: sqlite3.Connection, path: Path) -> None:
    version = _pragma(db, "user_version")
    if _pragma(db, "application_id") != APPLICATION_ID:
        raise StoreError(f"{path} is no Tickbridge history: set data_dir to where it is")
    if version != VERSION:
        way = "upgrade Tickbridge" if version > VERSION else "start the dashboard once, which upgrades it"
        raise StoreError(f"{path} has format {version}, this Tickbridge reads {VERSION}: {way}")


def _upgrade(db: sqlite3.Connection) -> None:
    """From format 1: its pieces have no tallies, and are counted by their rows."""
    with transaction(db):
        _create(db, SINCE_2)
        db.execute(f"PRAGMA user_version = {VERSION}")


def _create(db: sqlite3.Connection, tables: str) -> None:
    for statement in tables.split(";"):
        db.execute(statement)


def _make(db: sqlite3.Connection) -> None:
    with transaction(db):
        _create(db, TABLES)
        db.execute("INSERT INTO meta VALUES ('dictionary', ?)", (DICTIONARY,))
        db.execute("INSERT INTO meta VALUES (?, ?)", (BORN, UNBORN))
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {VERSION}")


def _tune(db: sqlite3.Connection) -> None:
    """A rollback journal holds only old pages that change: rows that are appended are written once (WAL: twice)."""
    db.execute("PRAGMA journal_mode = TRUNCATE")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA secure_delete = OFF")
    db.execute("PRAGMA cache_size = -8000")
    db.execute("PRAGMA cache_spill = OFF")


def _pragma(db: sqlite3.Connection, name: str) -> int:
    with closing(db.execute(f"PRAGMA {name}")) as cursor:
        return int(cursor.fetchone()[0])
