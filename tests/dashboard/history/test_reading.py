"""The history asked by another process while its recorder writes: all that is committed is there."""

import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.errors import StoreError
from bridge.settings import Settings
from dashboard.history import History, Sequence, Span, open_for_reading, tidy
from dashboard.history.sqlite import SqliteHistory
from tests.dashboard.history.conftest import Open
from tests.dashboard.payloads import NOON, RUN, SECOND, gap, tick

BTC = "prices/kucoin/BTC-USDT"
ALL = Span(10_000, 0)


def put(store: SqliteHistory, numbers: range) -> None:
    for n in numbers:
        store.append(BTC, tick(NOON + n * SECOND, f"{n}.5", n))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def numbers(history: History) -> list[int]:
    return [json.loads(row)["n"] for row in (await history.rows("prices", "kucoin", "BTC-USDT", ALL)).rows]


async def test_what_is_committed_folded_and_newly_met_is_seen_beside_the_recorder(
    open_store: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidy, "FOLD_ROWS", dict.fromkeys(tidy.FOLD_ROWS, 10))
    store = open_store()
    async with open_for_reading(Settings(data_dir=tmp_path)) as beside:
        assert beside.symbols() == []
        for last in range(5, 40, 7):
            put(store, range(1, last))
            assert (await numbers(beside))[last - 1 :] == []
            await store.commit()
            for _ in range(2):
                assert await numbers(beside) == list(range(1, last))
                assert await beside.numbers(Sequence(BTC, RUN), 1, 99, Span(1)) == [(1, last - 1)]
                await store.tidy()
        store.append("gaps/kucoin", gap("g1", NOON, None, 1))
        store.append("errors/kucoin", b'{"kind":"frame","reason":"x","time_ns":1,"run":1,"n":1}')
        await store.commit()
        assert len((await beside.gaps("kucoin", None, ALL)).rows) == 1
        assert len((await beside.errors(None, None, None, ALL)).rows) == 1
        assert [one[:2] for one in await beside.latest()] == [("kucoin", "BTC-USDT")]
        assert len((await beside.candles("kucoin", "BTC-USDT", "1m", ALL)).rows) == 1
        put(store, range(50, 60))
        await store.commit()
    assert await numbers(store) == [*range(1, 33), *range(50, 60)]


async def test_reading_changes_nothing(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    put(store, range(1, 9))
    await store.commit()
    store.close()
    before = contents(tmp_path)
    async with open_for_reading(Settings(data_dir=tmp_path)) as history:
        await numbers(history)
        await history.holds()
    with pytest.raises(StoreError, match="closed"):
        await numbers(history)
    assert contents(tmp_path) == before


KILLED_IN_MID_COMMIT = """
import os, signal, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA cache_size = 1")
db.execute("BEGIN IMMEDIATE")
db.executemany("INSERT INTO journal(kind, packed) VALUES (1, randomblob(9000))", [()] * 500)
db.execute("DELETE FROM series")
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_in_mid_commit(path: Path) -> int:
    return subprocess.run([sys.executable, "-c", KILLED_IN_MID_COMMIT, path], check=False).returncode


async def test_after_a_kill_in_mid_commit_what_was_committed_before_is_read(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    put(store, range(1, 9))
    await store.commit()
    store.close()
    assert killed_in_mid_commit(store.path) == -signal.SIGKILL
    assert (tmp_path / "history.sqlite-journal").stat().st_size > 0
    async with open_for_reading(Settings(data_dir=tmp_path)) as history:
        assert await numbers(history) == list(range(1, 9))


@pytest.mark.parametrize(
    ("statement", "cure"),
    [
        ("PRAGMA user_version = 3", "upgrade Tickbridge"),
        ("PRAGMA user_version = 1", "start the dashboard once"),
        ("PRAGMA application_id = 5", "set data_dir"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_its_cure(
    open_store: Open, tmp_path: Path, statement: str, cure: str
) -> None:
    open_store().close()
    db = sqlite3.connect(tmp_path / "history.sqlite")
    db.execute(statement)
    db.close()
    with pytest.raises(StoreError, match=cure):
        open_for_reading(Settings(data_dir=tmp_path))


def test_where_no_history_is_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no history yet"):
        open_for_reading(Settings(data_dir=tmp_path))
    assert contents(tmp_path) == {}


def test_where_only_a_demo_has_a_history_its_folder_is_named(tmp_path: Path) -> None:
    demo = tmp_path / "demo"
    demo.mkdir()
    (demo / "history.sqlite").touch()
    with pytest.raises(StoreError, match=f"for the demo's add --data-dir {demo}"):
        open_for_reading(Settings(data_dir=tmp_path))
