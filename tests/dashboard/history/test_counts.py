"""What the audit is told: numbers of rows that are on disk and can be read back, and no others."""

import sqlite3
import time
from pathlib import Path

import pytest

from bridge.settings import History as Keep
from dashboard.history import Numbered, Sequence, Span, tidy
from dashboard.history.sqlite import SqliteHistory
from tests.dashboard.history.conftest import KEEP_ALL, Open
from tests.dashboard.payloads import DAY, MINUTE, NOON, RUN, SECOND, candle, candle_fill, tick

BTC, ETH = "prices/kucoin/BTC-USDT", "prices/binance/ETH-USDT"
CANDLES = "candles/kucoin/BTC-USDT/1m"
ALL = Span(1)
Sequenced = Sequence(BTC, RUN)


@pytest.fixture
def fold_at_10(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidy, "PRUNE_EVERY_S", 0.0)
    monkeypatch.setattr(tidy, "FOLD_ROWS", dict.fromkeys(tidy.FOLD_ROWS, 10))


def put(store: SqliteHistory, *numbers: int, topic: str = BTC, run: int = RUN) -> None:
    for n in numbers:
        store.append(topic, tick(NOON + n * SECOND, f"{n}.5", n, run=run))


async def folded(store: SqliteHistory, *numbers: int) -> None:
    put(store, *numbers)
    await store.commit()
    await store.tidy()


def between(first: int, last: int) -> Span:
    """From the row of one number up to that of another, without the latter."""
    return Span(1, NOON + first * SECOND, NOON + last * SECOND)


async def test_only_what_was_committed_counts(open_store: Open) -> None:
    store = open_store()
    put(store, 1, 2)
    assert await store.numbered("prices", RUN, ALL) == []
    await store.commit()
    put(store, 3)
    assert await store.numbered("prices", RUN, ALL) == [Numbered(Sequenced, 2, 1, 2)]
    assert await open_store().numbered("prices", RUN, ALL) == [Numbered(Sequenced, 2, 1, 2)]


@pytest.mark.usefixtures("fold_at_10")
async def test_holes_are_seen_across_folds_commits_and_a_restart(open_store: Open) -> None:
    store = open_store()
    await folded(store, *range(1, 6), *range(8, 14))
    put(store, 14, 17)
    await store.commit()
    for _ in range(2):
        assert await store.numbered("prices", RUN, ALL) == [Numbered(Sequenced, 13, 1, 17)]
        assert await store.numbers(Sequenced, 4, 17, ALL) == [(4, 5), (8, 14), (17, 17)]
        store = open_store()


@pytest.mark.usefixtures("fold_at_10")
async def test_a_span_of_time_counts_the_rows_within_and_knows_its_neighbours(open_store: Open) -> None:
    store = open_store()
    await folded(store, *range(1, 12))
    await folded(store, *range(12, 23))
    put(store, *range(23, 26))
    await store.commit()
    for first, last in ((3, 6), (3, 15), (10, 24), (20, 24), (24, 26), (1, 26)):
        span = between(first, last)
        count = Numbered(Sequenced, last - first, first, last - 1)
        assert await store.numbered("prices", RUN, span) == [count]
        assert await store.numbers(Sequenced, 1, 99, span) == [(first, last - 1)]
        edges = (first - 1 if first > 1 else None, last if last < 26 else None)
        assert await store.edges(BTC, RUN, span) == edges
    assert await store.edges(BTC, RUN + 1, between(3, 6)) == (None, None)
    assert await store.edges(ETH, RUN, between(3, 6)) == (None, None)


@pytest.mark.usefixtures("fold_at_10")
async def test_exchanges_kinds_runs_and_fills_are_counted_apart(open_store: Open) -> None:
    store = open_store()
    put(store, *range(1, 12))
    put(store, 5, topic=ETH)
    put(store, 7, run=RUN + 1, topic=ETH)
    store.append(CANDLES, candle(NOON, ("1",) * 4, 1))
    store.append(CANDLES, candle_fill(NOON, ("2",) * 4, 4))
    await store.commit()
    await store.tidy()
    eth = Sequence(ETH, RUN)
    assert await store.numbered("prices", RUN, ALL, "binance") == [Numbered(eth, 1, 5, 5)]
    assert [one.sequence for one in await store.numbered("prices", RUN, ALL)] == [Sequenced, eth]
    assert await store.numbered("prices", RUN + 1, ALL) == [Numbered(Sequence(ETH, RUN + 1), 1, 7, 7)]
    assert await store.numbered("candles", RUN, ALL) == [Numbered(Sequence(CANDLES, RUN), 1, 1, 1)]
    fill = Sequence(CANDLES, fill="fill-1")
    assert await store.fill_numbered("candles", "fill-1", ALL) == [Numbered(fill, 1, 4, 4)]
    assert await store.numbers(fill, 1, 9, ALL) == [(4, 4)]
    assert await store.fill_numbered("candles", str(RUN), ALL) == []


@pytest.mark.usefixtures("fold_at_10")
async def test_a_fill_that_another_one_corrected_counts_after_folds_and_merges_as_well(
    open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidy, "FAN", 2)
    store = open_store()
    for n in range(1, 23):
        store.append(CANDLES, candle_fill(NOON + n * MINUTE, ("1",) * 4, n))
        other = candle_fill(NOON + n * MINUTE, ("2",) * 4, n).replace(b"fill-1", b"fill-2")
        store.append(CANDLES, other)
        if n % 11 == 0:
            await store.commit()
            await store.tidy()
    for fill in ("fill-1", "fill-2"):
        assert await store.fill_numbered("candles", fill, ALL) == [Numbered(Sequence(CANDLES, fill=fill), 22, 1, 22)]


@pytest.mark.usefixtures("fold_at_10")
@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM pieces WHERE id & 16777215 = 1",
        "UPDATE pieces SET packed = x'00' WHERE id & 16777215 = 1",
    ],
)
async def test_rows_that_cannot_be_read_back_do_not_count(open_store: Open, tmp_path: Path, harm: str) -> None:
    store = open_store()
    await folded(store, *range(1, 12))
    put(store, 12)
    await store.commit()
    store.close()
    with sqlite3.connect(tmp_path / "history.sqlite") as db:
        assert db.execute(harm).rowcount == 1
    db.close()
    store = open_store()
    assert await store.numbered("prices", RUN, ALL) == [Numbered(Sequenced, 1, 12, 12)]
    assert await store.numbers(Sequenced, 1, 12, ALL) == [(12, 12)]
    assert store.status()["damaged"] == (1 if "UPDATE" in harm else 0)


@pytest.mark.usefixtures("fold_at_10")
async def test_what_was_pruned_is_neither_counted_nor_held_even_if_the_settings_change(open_store: Open) -> None:
    store = open_store(Keep(prices_days=30, trades_days=0))
    put(store, *range(1, 12))
    await store.commit()
    await store.tidy()
    store.append(BTC, tick(NOON + 40 * DAY, "1", 12))
    await store.commit()
    await store.tidy()
    assert await store.numbered("prices", RUN, ALL) == [Numbered(Sequenced, 1, 12, 12)]
    held = await store.holds()
    assert held == {**held, "prices": NOON + 10 * DAY, "trades": 0, "candles": 0, "gaps": 0}
    assert (await open_store(KEEP_ALL).holds())["prices"] == NOON + 10 * DAY


async def test_a_clock_that_is_far_ahead_does_not_excuse_what_is_missing(
    open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: NOON + 4000 * DAY)
    store = open_store(Keep(prices_days=30))
    put(store, 1)
    assert (await store.holds())["prices"] == NOON + SECOND - 30 * DAY


@pytest.mark.usefixtures("fold_at_10")
async def test_a_file_of_the_format_before_is_taken_over_and_counted_by_its_rows(
    open_store: Open, tmp_path: Path
) -> None:
    await folded(open_store(), *range(1, 8), *range(9, 14))
    open_store().close()
    with sqlite3.connect(tmp_path / "history.sqlite") as db:
        for statement in ("DROP TABLE tallies", "DROP TABLE instruments", "PRAGMA user_version = 1"):
            db.execute(statement)
    db.close()
    store = open_store()
    assert await store.numbered("prices", RUN, ALL) == [Numbered(Sequenced, 12, 1, 13)]
    assert await store.numbers(Sequenced, 1, 99, between(3, 11)) == [(3, 7), (9, 10)]
    await folded(store, *range(14, 25))
    assert await store.numbered("prices", RUN, ALL) == [Numbered(Sequenced, 23, 1, 24)]


async def test_an_unknown_topic_or_run_has_no_numbers(open_store: Open) -> None:
    store = open_store()
    put(store, 1)
    await store.commit()
    assert await store.numbers(Sequence("prices/kucoin/NO-ONE", RUN), 1, 9, ALL) == []
    assert await store.numbers(Sequence(BTC, RUN + 1), 1, 9, ALL) == []
    assert await store.numbered("trades", RUN, ALL) == []


async def test_a_file_is_as_old_as_its_recorders_first_session(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    assert (await store.heard_since())["prices"] >= NOON, "nobody listens yet: nothing is asked for"
    await store.listened()
    born = await store.heard_since()
    put(store, 1)
    await store.commit()
    store = open_store()
    await store.listened()
    assert await store.heard_since() == born, "a later session changes nothing"
    with sqlite3.connect(tmp_path / "history.sqlite") as db:
        db.execute("DELETE FROM meta WHERE name = 'born'")
    db.close()
    assert await open_store().heard_since() == {}, "a file that was made before this was noted"


async def test_numbers_between_two_that_are_the_wrong_way_round_are_none(open_store: Open) -> None:
    store = open_store()
    put(store, *range(1, 9))
    assert await store.numbers(Sequenced, 5, 4, ALL) == []
