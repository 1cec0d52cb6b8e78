import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs

from bridge.entries import Entry
from bridge.errors import StoreError
from bridge.gaps import Gaps, Stopped
from bridge.ledger import Job, Ledger, Published, Query, Tally, next_run
from bridge.ledger.store import INTERRUPTED
from bridge.outbox import Outbox
from bridge.streams import Streams
from bridge.topics import Topics

S = 1_000_000_000
RUN = 1743147000123
BTC, ETH = "prices/kucoin/BTC-USDT", "trades/binance/ETH-USDT"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bridge" / "ledger.db"


def row(topic: str = BTC, run: int = RUN, n: int = 10, last_s: int = 50, fill: str | None = None) -> Published:
    return Published(topic, run, fill, n, n - 1, 5 * S, last_s * S)


def made(path: Path, *rows: Published, known_s: int = 60) -> Ledger:
    ledger = Ledger(path, Topics())
    ledger.begin(RUN, 4 * S)
    ledger.save(RUN, known_s * S, rows, [])
    return ledger


def streams() -> tuple[Streams, Outbox]:
    outbox = Outbox(10_000_000, 90)
    made = Streams(outbox, lambda: None)
    made.begin(RUN)
    return made, outbox


def waiting(outbox: Outbox) -> list[Entry]:
    """Everything that is not acknowledged."""
    outbox.rewind(outbox.acknowledged)
    return outbox.take(1_000_000)


# --- the tally ---------------------------------------------------------------------------------------


def test_a_new_run_is_later_than_any_known_one_whatever_the_clock_says() -> None:
    assert next_run(1743147000123_999_999) == 1743147000123
    assert next_run(5_000_000, 0, 1743147000123) == 1743147000124


def test_the_tally_tells_what_was_appended_and_what_is_acknowledged() -> None:
    counted, outbox = streams()
    btc, eth = counted.stream(BTC), counted.stream(ETH)
    for k in range(4):
        counted.publish(btc, '{"price":1', k * S, k * S)
        counted.publish(eth, '{"price":1', k * S, k * S)
    outbox.take(100)
    outbox.acknowledge(5, 9 * S)
    tally = Tally(Topics())
    tally.update(RUN, counted.tally(), waiting(outbox), 9 * S)
    assert tally.rows(Query()) == [
        Published(BTC, RUN, None, 4, 3, 0, 3 * S),
        Published(ETH, RUN, None, 4, 2, 0, 3 * S),
    ]
    assert tally.known_ns == 2 * S, "the oldest that waits was appended then"
    assert [one.topic for one in tally.rows(Query(exchange="binance"))] == [ETH]
    assert [one.topic for one in tally.rows(Query(run=RUN, topic=BTC))] == [BTC]


def test_with_nothing_waiting_all_is_acknowledged_until_now() -> None:
    counted, _ = streams()
    counted.publish(counted.stream(BTC), '{"price":1', S, S)
    tally = Tally(Topics())
    tally.update(RUN, counted.tally(), [], 9 * S)
    assert tally.known_ns == 9 * S
    assert tally.rows(Query())[0].acknowledged == 1


def test_fills_are_counted_by_their_job_and_belong_to_the_run_that_made_them() -> None:
    counted, outbox = streams()
    counted.fill(BTC, '{"open":1', f"{RUN}-snapshot", "snapshot", 5 * S, 6 * S)
    tally = Tally(Topics())
    tally.update(RUN, counted.tally(), waiting(outbox), 9 * S)
    counted.begin(RUN + 1)
    tally.update(RUN + 1, counted.tally(), [], 9 * S)
    assert tally.rows(Query(fill=f"{RUN}-snapshot")) == [Published(BTC, RUN, f"{RUN}-snapshot", 1, 1, 5 * S, 5 * S)]


def test_only_what_changed_is_handed_to_the_ledger() -> None:
    counted, _ = streams()
    btc = counted.stream(BTC)
    counted.publish(btc, '{"price":1', S, S)
    tally = Tally(Topics())
    tally.update(RUN, counted.tally(), [], 9 * S)
    taken = tally.unsaved()
    assert [one.n for one in taken] == [1]
    tally.update(RUN, counted.tally(), [], 9 * S)
    assert tally.unsaved() == []
    tally.unsave(taken)
    counted.publish(btc, '{"price":1', S, S)
    tally.update(RUN, counted.tally(), [], 9 * S)
    assert [one.n for one in tally.unsaved()] == [2]


def test_an_earlier_run_of_this_process_is_still_told() -> None:
    counted, _ = streams()
    counted.publish(counted.stream(BTC), '{"price":1', S, S)
    tally = Tally(Topics())
    tally.update(RUN, counted.tally(), [], 9 * S)
    counted.begin(RUN + 1)
    tally.update(RUN + 1, counted.tally(), [], 10 * S)
    assert [one.n for one in tally.rows(Query(run=RUN))] == [1]


def test_what_the_broker_takes_of_an_earlier_run_is_told_though_nobody_counts_it_any_more() -> None:
    counted, outbox = streams()
    tally = Tally(Topics())
    for k in range(3):
        counted.publish(counted.stream(BTC), '{"price":1', k * S, k * S)
    tally.update(RUN, counted.tally(), outbox.waiting(), 9 * S)
    counted.begin(RUN + 1)
    tally.update(RUN + 1, counted.tally(), outbox.waiting()[2:], 10 * S)
    assert [one.acknowledged for one in tally.rows(Query(run=RUN))] == [2]
    version = tally.version
    tally.unsaved()
    tally.update(RUN + 1, counted.tally(), [], 11 * S)
    assert [one.acknowledged for one in tally.unsaved()] == [3]
    assert [one.run for one in tally.rows(Query(since=version))] == [RUN]


# --- the file ----------------------------------------------------------------------------------------


def test_what_was_saved_is_there_after_reopening(path: Path) -> None:
    ledger = made(path, row(), row(ETH), row("candles/kucoin/BTC-USDT/1m", fill="7-first"))
    ledger.save(RUN, 70 * S, [row(n=20)], [], [Job("7-first", "fill", "kucoin", "candles", 0, S, "done")])
    ledger.close()
    again = Ledger(path, Topics())
    assert {(one.topic, one.n) for one in again.rows(Query(run=RUN))} == {(BTC, 20), (ETH, 10)}
    assert [one.topic for one in again.rows(Query(run=RUN, exchange="binance"))] == [ETH]
    assert [one.fill for one in again.rows(Query(fill="7-first"))] == ["7-first"]
    assert again.latest_run() == RUN
    assert [job.state for job in again.jobs(RUN)] == ["done"]
    assert [(run.known_ns, run.how) for run in again.runs()] == [(70 * S, None)]
    again.close()


def test_a_killed_run_is_answered_for_from_its_last_known_time(path: Path) -> None:
    made(path, row(), row(ETH), row("errors/kucoin")).close()
    again = Ledger(path, Topics())
    assert sorted((one.exchange, one.channel, one.from_ns) for one in again.stopped()) == [
        ("binance", "trades", 60 * S),
        ("kucoin", "prices", 60 * S),
    ]
    assert "killed" in again.stopped()[0].reason
    again.close()


def test_a_clean_stop_is_answered_for_from_its_end(path: Path) -> None:
    ledger = made(path, row())
    ledger.end(RUN, 65 * S, "stopped")
    assert ledger.stopped() == [Stopped("kucoin", "prices", 65 * S, "the bridge was stopped")]
    ledger.close()


def test_a_run_that_the_clock_ended_left_no_gap(path: Path) -> None:
    ledger = made(path, row())
    ledger.end(RUN, 65 * S, "clock")
    assert ledger.stopped() == []
    ledger.close()


def test_a_run_is_answered_for_once_and_by_the_gaps_saved_with_the_next(path: Path) -> None:
    ledger = made(path, row())
    gaps = Gaps("8", ledger.gaps())
    ledger.begin(RUN + 1, 100 * S, gaps.recover(ledger.stopped(), 100 * S))
    assert ledger.stopped() == []
    assert [run.how for run in ledger.runs()] == [None, "killed"]
    ledger.close()
    again = Ledger(path, Topics())
    (gap,) = again.gaps()
    assert (gap.cause, gap.from_ns, gap.to_ns) == ("stopped", 60 * S, None)
    again.close()


def test_a_start_that_was_killed_before_its_run_began_forgets_no_stop(path: Path) -> None:
    made(path, row()).close()
    Ledger(path, Topics()).close()
    again = Ledger(path, Topics())
    assert len(again.stopped()) == 1
    again.close()


def test_gaps_are_kept_in_their_newest_state(path: Path) -> None:
    ledger = made(path)
    gaps = Gaps("7")
    gap = gaps.open("kucoin", "prices", S, "line lost", ["A-B"], "gone", 9 * S)
    ledger.save(RUN, S, [], gaps.unsaved())
    gaps.close(gap.id, 5 * S, 9 * S)
    ledger.save(RUN, S, [], gaps.unsaved())
    assert ledger.gaps() == list(gaps.select())
    ledger.close()


def test_it_knows_until_when_a_topic_was_published(path: Path) -> None:
    rows = row(last_s=50), row(last_s=55, fill="7-first"), row(ETH, last_s=40)
    ledger = made(path, *(structs.replace(one, acknowledged=one.n) for one in rows))
    assert ledger.known_until(60 * S) == {BTC: 55 * S, ETH: 40 * S}
    assert ledger.known_until(61 * S) == {}
    ledger.close()


@pytest.mark.parametrize(("how", "until_s"), [(None, 440), ("stopped", 560), ("clock", 440)])
def test_what_the_broker_lacked_when_a_run_was_killed_is_not_taken_for_known(
    path: Path, how: str | None, until_s: int
) -> None:
    """After a clean stop its gap names the rows themselves."""
    ledger = made(path, row(ETH, last_s=560), known_s=500)
    if how:
        ledger.end(RUN, 570 * S, how)
    assert ledger.known_until(S) == {ETH: until_s * S}
    ledger.close()


def test_jobs_that_a_process_left_running_are_failed_by_the_next_one(path: Path) -> None:
    ledger = made(path)
    jobs = [
        Job(str(k), "fill", "kucoin", "trades", 1, 2, state) for k, state in enumerate(("waiting", "running", "done"))
    ]
    ledger.save(RUN, 5, [], [], jobs)
    assert [job.id for job in ledger.interrupt_jobs()] == ["0", "1"]
    assert [(job.state, job.reason) for job in ledger.jobs(RUN)] == [
        ("failed", INTERRUPTED),
        ("failed", INTERRUPTED),
        ("done", None),
    ]
    assert ledger.interrupt_jobs() == []
    ledger.close()


def test_old_runs_and_gaps_are_pruned_and_what_runs_stays(path: Path) -> None:
    ledger = made(path, row(), known_s=60)
    gaps = Gaps("7")
    gaps.close(gaps.open("kucoin", "prices", S, "line lost", None, None, 9 * S).id, 5 * S, 9 * S)
    running = gaps.open("kucoin", "trades", S, "line lost", None, None, 9 * S)
    ledger.save(RUN, 60 * S, [], gaps.unsaved())
    ledger.begin(RUN + 1, 100 * S)
    ledger.prune(80 * S)
    assert [run.run for run in ledger.runs()] == [RUN + 1]
    assert ledger.rows(Query(run=RUN)) == []
    assert [gap.id for gap in ledger.gaps()] == [running.id]
    ledger.close()


# --- files that cannot be used -----------------------------------------------------------------------


def refused(path: Path) -> str:
    """The one line that is said, and nothing of the file has changed."""
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StoreError) as told:
        Ledger(path, Topics())
    assert before is None or path.read_bytes() == before
    assert "\n" not in str(told.value)
    assert str(path) in str(told.value)
    return str(told.value)


def test_a_file_that_is_no_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    assert "move it away" in refused(path)


def test_a_database_of_others_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE recipes(name TEXT)")
    db.close()
    assert "is no ledger" in refused(path)


def test_a_ledger_of_a_newer_version_is_left_alone(path: Path) -> None:
    made(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=9")
    db.close()
    assert "newer Tickbridge (schema 9" in refused(path)


def test_a_ledger_cut_short_is_left_alone(path: Path) -> None:
    made(path, *(row(f"prices/kucoin/S{k}-USDT") for k in range(500))).close()
    path.write_bytes(path.read_bytes()[:6000])
    before = path.read_bytes()
    with pytest.raises(StoreError, match="move it away"), closing(Ledger(path, Topics())) as ledger:
        ledger.rows(Query(run=RUN))
    assert path.read_bytes() == before


def test_a_second_bridge_on_one_folder_is_told_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.ledger.schema.BUSY_S", 0.05)
    ledger = made(path)
    assert "in use by another bridge" in refused(path)
    ledger.close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "bridge").write_text("a file in the way")
    assert "check the folder's rights" in refused(tmp_path / "bridge" / "ledger.db")


def test_a_full_disk_is_told_and_what_was_saved_stays(path: Path) -> None:
    ledger = made(path, row())
    pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
    ledger._db.execute(f"PRAGMA max_page_count={pages}")
    many = [row(f"prices/kucoin/S{k}-USDT") for k in range(2000)]
    with pytest.raises(StoreError, match="the disk is full"):
        ledger.save(RUN, 99 * S, many, [])
    assert [one.topic for one in ledger.rows(Query(run=RUN))] == [BTC]
    ledger._db.execute("PRAGMA max_page_count=1000000")
    ledger.save(RUN, 99 * S, many, [])
    assert len(ledger.rows(Query(run=RUN))) == 2001
    ledger.close()


def test_what_of_candles_was_told_and_jobs_survive(path: Path) -> None:
    ledger = made(path)
    job = Job("1-kucoin-backfill-1", "backfill", "kucoin", "candles", 1, 2, "cancelled")
    ledger.save(RUN, 5, [], [], [job], {"candles/kucoin/BTC-USDT/1m": [(0, 60), (120, 180)]})
    ledger.save(RUN, 6, [], [], [], {"candles/kucoin/BTC-USDT/1m": [(0, 180)]})
    ledger.close()
    again = Ledger(path, Topics())
    assert again.covered() == {"candles/kucoin/BTC-USDT/1m": [(0, 180)]}
    assert again.jobs(RUN) == [job]
    again.close()


def test_a_ledger_from_before_candles_were_noted_is_used_on(path: Path) -> None:
    made(path, row()).close()
    db = sqlite3.connect(path)
    db.execute("DROP TABLE covered")
    db.close()
    ledger = Ledger(path, Topics())
    assert ledger.covered() == {}
    assert len(ledger.rows(Query(run=RUN))) == 1
    ledger.close()


def test_a_run_is_read_with_its_fills(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db", Topics())
    ledger.begin(7, S)
    rows = [Published("prices/kucoin/A-B", 7, None, 4, 4, S, S), Published("trades/kucoin/A-B", 7, "job", 2, 2, S, S)]
    ledger.save(7, S, rows, [])
    assert ledger.rows(Query(run=7)) == rows[:1]
    assert sorted(ledger.rows(Query(run=7, fills=True)), key=lambda row: row.topic) == rows
    ledger.close()
