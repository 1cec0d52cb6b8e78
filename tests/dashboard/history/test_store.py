import json
import resource
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.errors import FrameError, StoreError
from bridge.settings import History as Keep
from dashboard.history import Span, schema, tidy
from dashboard.history.base import StoreAway
from dashboard.history.sqlite import SqliteHistory
from tests.dashboard.history.conftest import Open
from tests.dashboard.payloads import DAY, MINUTE, NOON, RUN, SECOND, candle, candle_fill, gap, tick, trade

PRICES = "prices/kucoin/BTC-USDT"
CANDLES = "candles/kucoin/BTC-USDT/1m"
ALL = Span(10_000, 0)


async def prices(store: SqliteHistory, span: Span = ALL) -> list[bytes]:
    return (await store.rows("prices", "kucoin", "BTC-USDT", span)).rows


def put_ticks(store: SqliteHistory, numbers: range, *, from_ns: int = NOON) -> list[bytes]:
    payloads = [tick(from_ns + n * SECOND, f"{n}.50", n) for n in numbers]
    for payload in payloads:
        store.append(PRICES, payload)
    return payloads


@pytest.fixture
def fold_at_10(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folds after ten rows, and prunes whenever it tidies."""
    monkeypatch.setattr(tidy, "PRUNE_EVERY_S", 0.0)
    monkeypatch.setattr(tidy, "FOLD_ROWS", dict.fromkeys(tidy.FOLD_ROWS, 10))


async def test_rows_are_there_byte_for_byte_before_and_after_their_commit(open_store: Open) -> None:
    store = open_store()
    payloads = put_ticks(store, range(1, 6))
    assert await prices(store) == payloads
    await store.commit()
    assert await prices(store) == payloads


@pytest.mark.usefixtures("fold_at_10")
async def test_rows_survive_restarts_as_journal_and_as_segment(open_store: Open) -> None:
    store = open_store()
    payloads = put_ticks(store, range(1, 13))
    await store.commit()
    assert await prices(open_store()) == payloads
    store = open_store()
    await store.tidy()
    assert store.status()["segments"]["prices"]["rows"] == 12
    payloads += put_ticks(store, range(13, 16))
    await store.commit()
    assert await prices(open_store()) == payloads


async def test_rows_of_all_kinds_share_their_room_in_memory_and_the_largest_are_folded_beyond(
    open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidy, "FOLD_BYTES", 4000)
    store = open_store()
    store.append(CANDLES, candle(NOON, ("1", "1", "1", "1"), 1))
    payloads = put_ticks(store, range(1, 10))
    await store.commit()
    await store.tidy()
    assert store.status()["segments"] == {}
    payloads += put_ticks(store, range(10, 30))
    await store.commit()
    await store.tidy()
    status = store.status()
    assert status["segments"].keys() == {"prices"}
    assert status["journal"]["candles"] == 1
    assert await prices(store) == payloads


@pytest.mark.usefixtures("fold_at_10")
async def test_a_repeat_is_known_by_topic_run_and_number_even_after_a_fold_and_a_restart(open_store: Open) -> None:
    store = open_store()
    payloads = put_ticks(store, range(1, 21))
    await store.commit()
    await store.tidy()
    put_ticks(store, range(21, 25))
    await store.commit()
    store = open_store()
    assert not any(store.append(PRICES, payload) for payload in payloads)
    assert not store.append(PRICES, tick(NOON + 22 * SECOND, "22.50", 22))
    assert store.append(PRICES, tick(NOON + 99 * SECOND, "9", 22, run=RUN + 1))
    assert store.status()["repeats"] == 21


async def test_what_was_not_committed_is_not_known_after_a_restart_and_is_stored_when_it_comes_again(
    open_store: Open,
) -> None:
    store = open_store()
    kept = put_ticks(store, range(1, 3))
    await store.commit()
    lost = put_ticks(store, range(3, 6))
    store = open_store()
    assert await prices(store) == kept
    assert all(store.append(PRICES, payload) for payload in lost)
    assert await prices(store) == kept + lost


@pytest.mark.usefixtures("fold_at_10")
async def test_a_late_row_stands_where_its_time_is(open_store: Open) -> None:
    store = open_store()
    early = [*range(1, 5), *range(6, 12)]
    for n in early:
        store.append(PRICES, tick(NOON + n * SECOND, "1", n))
    await store.commit()
    await store.tidy()
    store.append(PRICES, tick(NOON + 5 * SECOND, "1", 5))
    assert [json.loads(row)["n"] for row in await prices(store)] == list(range(1, 12))
    page = await store.rows("prices", "kucoin", "BTC-USDT", Span(3, NOON + 4 * SECOND))
    assert [json.loads(row)["n"] for row in page.rows] == [4, 5, 6]


@pytest.mark.usefixtures("fold_at_10")
async def test_pages_follow_each_other_without_hole_or_double(open_store: Open) -> None:
    store = open_store()
    payloads = []
    for first in range(1, 100, 11):
        payloads += put_ticks(store, range(first, first + 11))
        await store.commit()
        await store.tidy()
    found, from_ns = [], NOON
    while True:
        page = await store.rows("prices", "kucoin", "BTC-USDT", Span(7, from_ns))
        found += page.rows
        if page.next_ns is None:
            break
        assert len(page.rows) == 7
        from_ns = page.next_ns
    assert found == payloads


@pytest.mark.usefixtures("fold_at_10")
async def test_without_a_beginning_the_newest_rows_before_the_end_come(open_store: Open) -> None:
    store = open_store()
    payloads = put_ticks(store, range(1, 31))
    await store.commit()
    await store.tidy()
    payloads += put_ticks(store, range(31, 41))
    assert await prices(store, Span(15)) == payloads[-15:]
    assert await prices(store, Span(4, None, NOON + 11 * SECOND)) == payloads[6:10]


async def test_the_end_of_a_span_is_exclusive_and_its_beginning_is_not(open_store: Open) -> None:
    store = open_store()
    payloads = put_ticks(store, range(1, 10))
    assert await prices(store, Span(100, NOON + 3 * SECOND, NOON + 6 * SECOND)) == payloads[2:5]


async def test_a_fill_merges_into_the_live_row_of_its_key(open_store: Open) -> None:
    store = open_store()
    store.append(CANDLES, candle(NOON, ("1.0", "2", "0.5", "1.50"), 3))
    await store.commit()
    store.append(CANDLES, candle_fill(NOON, ("1.0", "2.5", "0.5", "1.70"), 1))
    (row,) = (await store.candles("kucoin", "BTC-USDT", "1m", ALL)).rows
    assert b'"high":2.5' in row
    assert (json.loads(row)["n"], json.loads(row)["fill_n"]) == (3, 1)


@pytest.mark.usefixtures("fold_at_10")
async def test_a_symbol_without_candles_has_a_chart_of_its_prices_across_folds_and_restarts(open_store: Open) -> None:
    store = open_store()
    for first in range(0, 180, 20):
        put_ticks(store, range(first + 1, first + 21), from_ns=NOON - SECOND)
        await store.commit()
        await store.tidy()
        if first % 60 == 20:
            store = open_store()
    rows = [json.loads(row) for row in (await store.candles("kucoin", "BTC-USDT", "1m", ALL)).rows]
    assert [row["time_ns"] for row in rows] == [NOON, NOON + MINUTE, NOON + 2 * MINUTE]
    assert [(row["open"], row["high"], row["low"], row["close"]) for row in rows] == [
        (1.5, 60.5, 1.5, 60.5),
        (61.5, 120.5, 61.5, 120.5),
        (121.5, 180.5, 121.5, 180.5),
    ]
    assert all(row["built"] for row in rows)


@pytest.mark.usefixtures("fold_at_10")
async def test_long_spans_of_merged_segments_equal_what_was_stored(
    open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidy, "FAN", 3)
    store = open_store()
    for n in range(100):
        store.append(CANDLES, candle(NOON + n * MINUTE, (f"{n}.0", f"{n}.9", f"{n}.0", f"{n}.5"), n + 1, "0.1"))
        if n % 10 == 9:
            await store.commit()
            await store.tidy()
    rows = [json.loads(row) for row in (await store.candles("kucoin", "BTC-USDT", "1h", ALL)).rows]
    assert [(row["open"], row["high"], row["close"], row["volume"]) for row in rows] == [
        (0.0, 59.9, 59.5, 6.0),
        (60.0, 99.9, 99.5, 4.0),
    ]
    assert len((await store.candles("kucoin", "BTC-USDT", "1m", ALL)).rows) == 100
    with sqlite3.connect(store.path) as db:
        assert db.execute("SELECT count(*), max(level) FROM segments WHERE kind = 3").fetchone() == (4, 1)
    db.close()


async def test_candles_come_in_pages_and_the_newest_without_a_beginning(open_store: Open) -> None:
    store = open_store()
    for n in range(50):
        store.append(CANDLES, candle(NOON + n * MINUTE, (f"{n}",) * 4, n + 1))
    page = await store.candles("kucoin", "BTC-USDT", "5m", Span(4, NOON))
    assert [json.loads(row)["open"] for row in page.rows] == [0, 5, 10, 15]
    assert page.next_ns == NOON + 20 * MINUTE
    newest = await store.candles("kucoin", "BTC-USDT", "5m", Span(2))
    assert [json.loads(row)["open"] for row in newest.rows] == [40, 45]
    assert newest.next_ns is None


async def test_a_span_that_begins_long_before_the_rows_finds_them(open_store: Open) -> None:
    store = open_store()
    store.append(CANDLES, candle(NOON, ("1",) * 4, 1))
    store.append(CANDLES, candle(NOON + 40 * DAY, ("2",) * 4, 2))
    page = await store.candles("kucoin", "BTC-USDT", "1d", Span(10, 0))
    assert [json.loads(row)["open"] for row in page.rows] == [1, 2]


@pytest.mark.usefixtures("fold_at_10")
async def test_old_segments_are_pruned_by_their_kind_s_days(open_store: Open) -> None:
    store = open_store(Keep(prices_days=30, trades_days=0))
    await _old_then_new(store)
    assert [json.loads(row)["n"] for row in await prices(store)] == [11]
    assert len((await store.rows("trades", "kucoin", "BTC-USDT", ALL)).rows) == 10
    assert store.status()["pruned"] == 10


@pytest.mark.usefixtures("fold_at_10")
async def test_a_clock_that_is_far_ahead_prunes_nothing_that_is_not_old_among_the_rows(
    open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: NOON + 4000 * DAY)
    store = open_store(Keep(prices_days=1000))
    await _old_then_new(store)
    assert len(await prices(store)) == 11


async def _old_then_new(store: SqliteHistory) -> None:
    """Ten ticks and trades of 400 days before noon, folded; then a tick of noon, and what is due is pruned."""
    put_ticks(store, range(1, 11), from_ns=NOON - 400 * DAY)
    for n in range(1, 11):
        store.append("trades/kucoin/BTC-USDT", trade(NOON - 400 * DAY + n, "1", n))
    await store.commit()
    await store.tidy()
    store.append(PRICES, tick(NOON, "1", 11))
    await store.commit()
    await store.tidy()


async def test_the_newest_tick_of_every_symbol_is_known_again_after_a_restart(open_store: Open) -> None:
    store = open_store()
    payloads = put_ticks(store, range(1, 4))
    store.append("prices/binance/ETH-USDT", tick(NOON, "7", 1))
    await store.commit()
    assert await open_store().latest() == [
        ("kucoin", "BTC-USDT", payloads[-1]),
        ("binance", "ETH-USDT", tick(NOON, "7", 1)),
    ]


@pytest.mark.usefixtures("fold_at_10")
async def test_gaps_survive_folds_and_restarts_in_their_newest_state(open_store: Open) -> None:
    store = open_store()
    for n in range(1, 13):
        store.append("gaps/kucoin", gap(f"g{n % 6}", NOON, NOON + MINUTE, n, state="open" if n < 7 else "filled"))
    await store.commit()
    await store.tidy()
    found = (await open_store().gaps("kucoin", None, Span(10, NOON, NOON + 1))).rows
    assert [json.loads(row)["state"] for row in found] == ["filled"] * 6


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_gaps_come_in_pages_without_hole_or_double_and_those_of_one_end_together(
    open_store: Open, limit: int
) -> None:
    store = open_store()
    ends = [(0, 100), (50, 100), (10, 20), (60, None), (20, 300), (30, 100), (1, None)]
    for n, (from_s, to_s) in enumerate(ends, 1):
        to_ns = None if to_s is None else NOON + to_s * SECOND
        store.append("gaps/kucoin", gap(f"g{n}", NOON + from_s * SECOND, to_ns, n))
    told, from_ns = [], NOON
    while True:
        page = await store.gaps("kucoin", None, Span(limit, from_ns))
        told += [json.loads(row)["id"] for row in page.rows]
        if page.next_ns is None:
            break
        from_ns = page.next_ns
    assert told == ["g3", "g1", "g6", "g2", "g5", "g7", "g4"]
    newest = await store.gaps("kucoin", None, Span(limit))
    assert [json.loads(row)["id"] for row in newest.rows] == told[-limit:]


async def test_what_was_told_later_is_the_newest_even_if_a_wrong_clock_was_ahead(open_store: Open) -> None:
    store = open_store()
    store.append(PRICES, tick(NOON + 60 * MINUTE, "9", 1))
    for expected in (tick(NOON, "1", 2), tick(NOON - SECOND, "2", 1, run=RUN + 1)):
        store.append(PRICES, expected)
        assert (await store.latest())[0][2] == expected
    store.append(PRICES, tick(NOON + 61 * MINUTE, "9", 3))
    assert (await store.latest())[0][2] == expected


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        (PRICES, b"not json", "payload"),
        (PRICES, b'{"time_ns":1,"price":"x","run":1,"n":1}', "price"),
        (PRICES, b'{"time_ns":1,"price":1e999,"run":1,"n":1}', "float64"),
        (PRICES, b'{"time_ns":1,"price":1}', "neither run and n"),
        (PRICES, b'{"time_ns":1,"price":1,"run":1}', "neither run and n"),
        ("errors/kucoin", b'{"time_ns":1,"kind":"frame","fill":"x"}', "neither run and n"),
        ("prices/kucoin", b'{"time_ns":1,"price":1,"run":1,"n":1}', "no topic"),
        ("trades/kucoin", b'{"time_ns":1,"price":1,"run":1,"n":1}', "no topic"),
        ("prices/kucoin/BTC-USDT/1m", b'{"time_ns":1,"price":1,"run":1,"n":1}', "no topic"),
        ("prices/kucoin/BTC USDT", b'{"time_ns":1,"price":1,"run":1,"n":1}', "no topic"),
        (CANDLES, b'{"time_ns":1,"open":1,"high":1,"low":1,"close":1,"volume":1e50000000,"run":1,"n":1}', "float64"),
        (CANDLES, b'{"time_ns":1,"open":1,"high":1,"low":1,"close":1,"volume":1e-50000000,"run":1,"n":1}', "float64"),
        (CANDLES, b'{"time_ns":1,"open":1,"high":1,"low":1,"close":1,"volume":0e-50000000,"run":1,"n":1}', "float64"),
        (CANDLES, b'{"time_ns":1,"open":1,"run":1,"n":1}', "candle"),
        ("gaps/kucoin", b'{"time_ns":1,"run":1,"n":1}', "gap"),
        ("weather/here", b'{"time_ns":1,"run":1,"n":1}', "no topic"),
    ],
)
def test_what_cannot_be_stored_is_refused_and_changes_nothing(
    open_store: Open, topic: str, payload: bytes, reason: str
) -> None:
    store = open_store()
    with pytest.raises(FrameError, match=reason):
        store.append(topic, payload)
    assert store.waiting_rows == 0
    assert store.status()["series"] == 0


@pytest.mark.usefixtures("fold_at_10")
async def test_the_later_run_is_the_newest_after_folds_and_a_restart_as_well(open_store: Open) -> None:
    store = open_store()
    put_ticks(store, range(1, 12), from_ns=NOON + DAY)
    await store.commit()
    await store.tidy()
    later = [tick(NOON + n, f"{n}", n, run=RUN + 1) for n in range(1, 12)]
    for payload in later:
        store.append(PRICES, payload)
    await store.commit()
    await store.tidy()
    store = open_store()
    assert store.status()["journal"].get("prices", 0) == 0
    assert (await store.latest())[0][2] == later[-1]


@pytest.mark.usefixtures("fold_at_10")
async def test_a_full_disk_keeps_everything_waiting_until_there_is_room(open_store: Open) -> None:
    store = open_store()
    kept = put_ticks(store, range(1, 10))
    await store.commit()
    pages = store._writer._db.execute("PRAGMA page_count").fetchone()[0]
    store._writer._db.execute(f"PRAGMA max_page_count = {pages}")
    waiting = [tick(NOON + n * SECOND, f"{n * 7919}.{n}", n) for n in range(10, 1500)]
    for payload in waiting:
        store.append(PRICES, payload)
    for _ in range(2):
        with pytest.raises(StoreError, match="free some space"):
            await store.commit()
    assert store.waiting_rows >= 1490
    assert await prices(store) == kept + waiting
    store._writer._db.execute("PRAGMA max_page_count = 1000000")
    await store.commit()
    assert store.waiting_rows == 0
    assert await prices(open_store()) == kept + waiting


@pytest.mark.usefixtures("fold_at_10")
async def test_a_fold_that_fails_loses_nothing_and_is_done_later(open_store: Open) -> None:
    store = open_store()
    payloads = put_ticks(store, range(1, 2000))
    await store.commit()
    store._writer._db.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="writable"):
        await store.tidy()
    assert await prices(store) == payloads
    store._writer._db.execute("PRAGMA query_only = OFF")
    await store.tidy()
    assert store.status()["segments"]["prices"]["rows"] == 1999
    assert await prices(store) == payloads


def test_a_file_that_another_program_holds_may_be_tried_again(
    open_store: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "BUSY_S", 0.05)
    open_store().close()
    other = sqlite3.connect(tmp_path / "history.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreAway, match="close it"):
        open_store()
    other.close()
    open_store()


def test_a_disk_that_is_full_or_fails_at_opening_may_be_tried_again(tmp_path: Path) -> None:
    with no_room(), pytest.raises(StoreAway):
        SqliteHistory(tmp_path / "history.sqlite", Keep())
    SqliteHistory(tmp_path / "history.sqlite", Keep()).close()


@contextmanager
def no_room() -> Iterator[None]:
    """No file of this process can grow meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_second_dashboard_on_the_same_file_is_refused(open_store: Open, tmp_path: Path) -> None:
    open_store()
    with pytest.raises(StoreAway, match="in use by another dashboard"):
        SqliteHistory(tmp_path / "history.sqlite", Keep())


@pytest.mark.parametrize(
    ("statement", "cure"),
    [
        ("PRAGMA user_version = 3", "upgrade Tickbridge"),
        ("PRAGMA user_version = 0", "move it away"),
        ("PRAGMA application_id = 5", "no Tickbridge history"),
    ],
)
def test_a_file_of_another_format_is_left_as_it_is(open_store: Open, tmp_path: Path, statement: str, cure: str) -> None:
    open_store().close()
    path = tmp_path / "history.sqlite"
    db = sqlite3.connect(path)
    db.execute(statement)
    db.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=cure) as caught:
        SqliteHistory(path, Keep())
    assert "\n" not in str(caught.value)
    assert not isinstance(caught.value, StoreAway)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"hello, I am your shopping list" * 100, b"SQLite format 3\x00" + b"x" * 5000])
def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "history.sqlite"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="move it away"):
        SqliteHistory(path, Keep())
    assert path.read_bytes() == content
