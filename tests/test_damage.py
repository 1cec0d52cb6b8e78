"""Damaged files of the bridge: put aside under a new name, reported, and the bridge goes on."""

import errno
import json
import os
import resource
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings

from bridge import aside
from bridge.aside import MARK, asides, put_aside
from bridge.errors import StoreError
from bridge.exchanges import EXCHANGES
from bridge.ledger import Job, Ledger, Published
from bridge.simulator import Simulator
from bridge.topics import Gap, Topics
from tests.broker import Broker
from tests.damage import harmed, harms
from tests.rig import rigged
from tests.running import environment, subscribed, tickbridge

S = 1_000_000_000
RUN = 7
REASON = "what was missing before then cannot be named"


def published(run: int, count: int) -> list[Published]:
    return [Published(f"prices/kucoin/A{k}-B", run, None, 4, 4, S, S) for k in range(count)]


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A ledger with something in each of its tables."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    ledger = Ledger(path, Topics())
    ledger.begin(RUN, S)
    gaps = [Gap(f"g{k}", "kucoin", "prices", k * S, "line lost", "unfillable", k * S + 5) for k in range(60)]
    jobs = [Job("1-kucoin-backfill-1", "backfill", "kucoin", "candles", 1, 2, "cancelled")]
    covered = {f"candles/kucoin/A{k}-B/1m": [(0, 60), (120, 180)] for k in range(40)}
    ledger.save(RUN, 9 * S, published(RUN, 300), gaps, jobs, covered)
    ledger.close()
    return path.read_bytes()


@given(harm=harms)
@settings(deadline=None, max_examples=80)
def test_no_damage_of_the_ledger_keeps_a_bridge_from_working(
    body: bytes, harm: tuple[Callable[[bytes, Random], bytes], int]
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        path.write_bytes(harmed(body, harm))
        ledger = Ledger.open(path, Topics())
        ledger.begin(RUN + 1, 2 * S)
        ledger.save(RUN + 1, 3 * S, published(RUN + 1, 5), [])
        assert ledger.latest_run() == RUN + 1
        ledger.close()
        kept = asides(path.parent)
        assert (ledger.loss is not None) == bool(kept)
        if ledger.loss is not None:
            assert (path.parent / kept[0]).read_bytes() == harmed(body, harm)
            assert kept[0] in ledger.loss.reason
            assert REASON in ledger.loss.reason


@pytest.mark.parametrize("kept", ["", "garbage", "9" * 40, "\0" * 14])
async def test_a_run_is_later_than_those_of_a_lost_ledger_though_broker_and_clock_know_of_none(
    tmp_path: Path, kept: str
) -> None:
    from tests.test_books import Desk  # noqa: PLC0415 - pytest would collect its tests here, too

    file, last = tmp_path / "ledger.db", tmp_path / "ledger.last-run"
    ledger = Ledger(file, Topics())
    ledger.begin(9_000_000_000_000, S)
    ledger.close()
    file.write_bytes(file.read_bytes()[:5000])
    if kept:
        last.write_text(kept)
    Ledger.open(file, Topics()).close()
    desk = Desk(file)
    await desk.books.begin(0)
    run = desk.streams.run
    assert run is not None
    assert (run == 9_000_000_000_001) == (not kept), "a damaged note is none"
    assert last.read_text() == f"{run}\n"
    desk.ledger.close()


def test_an_empty_ledger_is_a_lost_one(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").touch()
    os.utime(tmp_path / "ledger.db", (100, 100))
    ledger = Ledger.open(tmp_path / "ledger.db", Topics())
    assert ledger.loss is not None
    assert ledger.loss.known_ns == 100 * S
    ledger.close()


def test_what_sqlite_keeps_beside_a_file_goes_with_it(tmp_path: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        (tmp_path / f"ledger.db{suffix}").write_text(f"this{suffix}")
    kept = put_aside(tmp_path / "ledger.db")
    assert asides(tmp_path) == [kept.name]
    assert not (tmp_path / "ledger.db-journal").exists()
    assert (tmp_path / f"{kept.name}-wal").read_text() == "this-wal"


@pytest.mark.parametrize("statement", ["PRAGMA user_version=9", "DROP TABLE runs"])
def test_a_later_version_s_ledger_or_that_of_others_is_no_damage(tmp_path: Path, body: bytes, statement: str) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(body)
    db = sqlite3.connect(path)
    if "DROP" in statement:
        db.execute("PRAGMA application_id=5")
    db.execute(statement)
    db.close()
    with pytest.raises(StoreError, match=r"newer Tickbridge|is no ledger"):
        Ledger.open(path, Topics())
    assert asides(tmp_path) == []


def test_a_ledger_that_another_bridge_uses_is_left_to_it(
    tmp_path: Path, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.ledger.schema.BUSY_S", 0.05)
    (tmp_path / "ledger.db").write_bytes(body)
    first = Ledger.open(tmp_path / "ledger.db", Topics())
    with pytest.raises(StoreError, match="in use by another bridge"):
        Ledger.open(tmp_path / "ledger.db", Topics())
    assert asides(tmp_path) == []
    first.close()


# --- names --------------------------------------------------------------------------------------------
def clock_of(monkeypatch: pytest.MonkeyPatch, *days: int) -> None:
    at = iter([time.gmtime(day * 86_400) for day in days])
    monkeypatch.setattr(aside.time, "gmtime", lambda: next(at))


def test_the_first_the_largest_and_the_last_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.db"
    clock_of(monkeypatch, 1, 1, 2, 3, 4)
    for size in (5, 3, 90, 7, 1):
        path.write_text("x" * size)
        put_aside(path)
    (tmp_path / f"other.db{MARK}19700101T000000Z").touch()
    assert [(tmp_path / name).stat().st_size for name in asides(tmp_path) if name.startswith("ledger")] == [5, 90, 1]
    assert asides(tmp_path)[-1] == f"ledger.db{MARK}19700105T000000Z-5"


def test_one_that_was_just_made_stays_though_the_clock_went_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    path.with_name(f"x{MARK}20261127T120000Z").write_text("of an earlier version")
    clock_of(monkeypatch, 900, 800, 700, 0)
    for k in range(4):
        path.write_text(str(k))
        kept = put_aside(path)
    assert [(tmp_path / name).read_text() for name in asides(tmp_path)] == ["of an earlier version", "0", "3"]
    assert kept.name == f"x{MARK}19700101T000000Z-4"


@pytest.mark.parametrize("links", [True, False])
def test_a_crash_amid_leaves_a_file_with_its_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool
) -> None:
    class PowerCut(Exception):
        pass

    def cut(*_: object) -> None:
        raise PowerCut

    def refused(*_: object) -> None:
        raise PermissionError

    path, journal = tmp_path / "x", tmp_path / "x-journal"
    path.write_text("the file")
    journal.write_text("its journal")
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refused)
    with monkeypatch.context() as power:
        power.setattr(Path, "replace", cut)
        with pytest.raises(PowerCut):
            put_aside(path)
    assert (path.read_text(), journal.read_text()) == ("the file", "its journal")
    with monkeypatch.context() as power:
        power.setattr(Path, "unlink", lambda one, missing_ok: cut() if one == journal else None)
        power.setattr(aside.time, "gmtime", lambda: time.struct_time((2030, 1, 1, 0, 0, 0, 0, 1, 0)))
        with pytest.raises(PowerCut):
            put_aside(path)
    (kept,) = asides(tmp_path)
    assert (tmp_path / kept).read_text() == "the file"
    assert (tmp_path / f"{kept}-journal").read_text() == "its journal"
    sqlite3.connect(path).execute("CREATE TABLE a(b)").connection.close()
    assert not journal.exists()


def test_a_file_that_cannot_be_renamed_is_told_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="move it away"):
        put_aside(tmp_path / "missing")


# --- the running bridge -------------------------------------------------------------------------------
@pytest.mark.real
async def test_a_bridge_whose_ledger_was_cut_short_says_so_and_goes_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    ledger = data / "bridge" / "ledger.db"
    with Broker(tmp_path / "mosquitto") as broker:
        async with (
            Simulator(seed=5, rate=100, invented=0) as sim,
            subscribed(broker, ("prices/#", "gaps/#", "errors/#", "health/#")) as heard,
        ):
            env = environment(broker, data, sim, FEED__FIRST_CANDLES_H=0, EXCHANGES__KUCOIN__ENABLED="false")
            price = "prices/binance/BTC-USDT"
            with tickbridge("run", data, env):
                await heard.until(lambda: heard.told(price))
            first = heard.told(price)[-1]["run"]
            ledger.write_bytes(ledger.read_bytes()[:9000])
            stopped_ns = ledger.stat().st_mtime_ns
            with tickbridge("run", data, env):
                await heard.until(lambda: heard.told("errors/bridge") and heard.told(price)[-1]["run"] > first)
                await heard.until(lambda: len(told_gaps(heard.told("gaps/binance"))) == 3)
                await heard.until(lambda: "put_aside" in heard.told("health/bridge")[-1])
    (name,) = heard.told("health/bridge")[-1]["put_aside"]
    assert name.startswith(f"ledger.db{MARK}")
    assert (ledger.parent / name).exists()
    trouble = heard.told("errors/bridge")[0]
    assert trouble["kind"] == "store"
    assert name in trouble["reason"]
    for gap in told_gaps(heard.told("gaps/binance")).values():
        assert gap["from_ns"] == stopped_ns
        assert REASON in gap["reason"]


def told_gaps(told: list[dict[str, object]]) -> dict[object, dict[str, object]]:
    return {one["channel"]: one for one in told if one["cause"] == "stopped" and REASON in str(one.get("reason"))}


@pytest.mark.real
async def test_a_damaged_catalogue_is_put_aside_and_asked_for_again(tmp_path: Path) -> None:
    for name in EXCHANGES:
        (tmp_path / f"{name}.json").write_text('{"code":"200000","data":[{"symb')
    async with Simulator(seed=3, rate=60, invented=5) as sim:
        for faults in sim.faults.values():
            faults.refuse(503)
        async with rigged(sim, tmp_path) as rig:
            await rig.until(lambda: len(rig.damaged) == len(EXCHANGES))
            for faults in sim.faults.values():
                faults.heal()
            for name in EXCHANGES:
                await rig.online(name)
                assert json.loads((tmp_path / f"{name}.json").read_text())
    assert sorted(name.partition(".")[0] for name in asides(tmp_path)) == sorted(EXCHANGES)
    assert all("was damaged" in told and MARK in told for told in rig.damaged)


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process grows."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def refuse(self: Path, target: Path) -> Path:
    raise OSError(errno.EROFS, "Read-only file system", str(self), None, str(target))


def test_a_ledger_that_the_disk_refuses_at_the_start_is_in_memory_until_it_takes_it(tmp_path: Path) -> None:
    path = tmp_path / "bridge" / "ledger.db"
    with full_disk():
        ledger = Ledger.open(path, Topics())
        assert ledger.away is not None
        assert ledger.loss is not None
        ledger.begin(RUN, S)
        with pytest.raises(StoreError, match="in memory only"):
            ledger.regain()
        assert ledger.latest_run() == RUN
    assert ledger.regain() == "the ledger is on the disk again"
    assert asides(path.parent) == [], "a try leaves no empty file"
    assert ledger.away is None
    ledger.begin(RUN, S)
    ledger.close()
    again = Ledger(path, Topics())
    assert again.latest_run() == RUN
    again.close()


def test_a_damaged_ledger_that_cannot_be_put_aside_at_the_start_is_in_memory_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.db"
    path.write_text("zeros" * 500)
    with monkeypatch.context() as disk:
        disk.setattr(Path, "replace", refuse)
        ledger = Ledger.open(path, Topics())
        assert ledger.loss is not None
        assert "in memory only" in ledger.loss.reason
        with pytest.raises(StoreError, match="Read-only file system"):
            ledger.regain()
    assert REASON in ledger.regain()
    assert len(asides(tmp_path)) == 1
    ledger.close()


def test_a_disk_that_became_read_only_is_no_wrong_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bridge").write_text("a file in the way")
    monkeypatch.setattr("bridge.ledger.schema._is_read_only", lambda folder: True)
    ledger = Ledger.open(tmp_path / "bridge" / "ledger.db", Topics())
    assert ledger.away is not None
    ledger.close()


async def test_a_bridge_goes_on_in_memory_where_its_damaged_ledger_cannot_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.test_books import TOPIC, Desk  # noqa: PLC0415 - pytest would collect its tests here, too

    desk = Desk(tmp_path / "ledger.db")
    await desk.books.begin(0)
    desk.tell(1)
    await desk.books.save()
    harm(desk.ledger, tmp_path / "ledger.db")
    with monkeypatch.context() as disk:
        disk.setattr(Path, "replace", refuse)
        desk.tell(2)
        desk.outbox.take(100)
        desk.outbox.acknowledge(2, 1)
        for _ in range(3):
            await desk.books.save()
        assert desk.books.ledger.away is not None
        assert any("Read-only file system" in told for told in desk.books.to_tell)
        assert list(desk.ledger.covered()) == [TOPIC]
        await desk.books._regain()
        assert desk.books.trouble is not None
    await desk.books._regain()
    await desk.books.save()
    assert (desk.books.trouble, desk.ledger.away) == (None, None)
    desk.ledger.close()
    again = Ledger(tmp_path / "ledger.db", Topics())
    assert [one.run for one in again.runs()] == [desk.streams.run]
    assert list(again.covered()) == [TOPIC]
    again.close()


def harm(ledger: Ledger, file: Path) -> None:
    ledger._db.execute("PRAGMA shrink_memory")
    with file.open("r+b") as opened:
        opened.seek(4096)
        opened.write(Random(1).randbytes(file.stat().st_size - 4096))


async def test_a_ledger_that_is_damaged_while_it_is_used_is_written_anew(tmp_path: Path) -> None:
    from tests.test_books import TOPIC, Desk  # noqa: PLC0415 - pytest would collect its tests here, too

    desk = Desk(tmp_path / "ledger.db")
    await desk.books.begin(0)
    desk.tell(1)
    await desk.books.save()
    harm(desk.ledger, tmp_path / "ledger.db")
    desk.tell(2)
    desk.outbox.take(100)
    desk.outbox.acknowledge(2, 1)
    await desk.books.save()
    assert desk.books.to_tell
    await desk.books.save()
    assert desk.books.trouble is None
    assert len(asides(tmp_path)) == 1
    run = desk.streams.run
    assert [one.run for one in desk.ledger.runs()] == [run]
    assert list(desk.ledger.covered()) == [TOPIC]
    desk.books.tell_losses()
    assert desk.books.to_tell == []
    assert "errors/bridge" in {entry[0] for entry in desk.outbox.take(100)}
    desk.ledger.close()
