"""An audit of a ledger against rows in memory: every loss is found exactly, and nothing else is."""

import asyncio
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.audit.audit import Audit
from dashboard.audit.values import Book, GapTold, LostTold, Published, Report, RunTold, Window
from tests.dashboard.audit.shelf import RUN, S, Shelf

BTC, ETH = "prices/kucoin/BTC-USDT", "prices/kucoin/ETH-USDT"
TRADES = "trades/kucoin/BTC-USDT"
BEGIN = 1_743_147_000 * S
SETTLE_S = 15.0
HOUR = 3600


def book(*rows: Published, ended_s: int | None = HOUR, gaps: Iterable[GapTold] = (), known_s: int = HOUR) -> Book:
    ended_ns = None if ended_s is None else BEGIN + ended_s * S
    runs = [RunTold(RUN, BEGIN, BEGIN + known_s * S, ended_ns, "stopped" if ended_s else None)]
    return Book("a test", list(rows), runs, list(gaps))


def row(topic: str, n: int, *, first_s: float = 0, last_s: float = HOUR, fill: str | None = None) -> Published:
    times = BEGIN + int(first_s * S), BEGIN + int(last_s * S)
    return Published(topic, n, n, *times, None if fill else RUN, fill)


def filled(shelf: Shelf, topic: str, count: int, *, step_s: float = 1, first_s: float = 0) -> Published:
    """A topic of which every row is there."""
    for k in range(count):
        shelf.put(topic, k + 1, BEGIN + int((first_s + k * step_s) * S))
    return row(topic, count, first_s=first_s, last_s=first_s + (count - 1) * step_s)


def audited(shelf: Shelf, told: Book, window: Window | None = None) -> Report:
    return asyncio.run(Audit(shelf, "", SETTLE_S, None, 0).run(told, window or Window()))


def gone(report: Report, fate: str = "missing") -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for one in report.findings:
        if one.fate == fate:
            found.setdefault(one.topic, set()).update(range(one.from_n, one.to_n + 1))
    return found


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from([BTC, ETH, TRADES]), st.integers(1, 60), min_size=1),
    st.data(),
)
def test_random_losses_are_found_exactly(counts: dict[str, int], data: st.DataObject) -> None:
    shelf = Shelf()
    rows, lost = [], {}
    for topic, count in counts.items():
        rows.append(filled(shelf, topic, count))
        lost[topic] = data.draw(st.sets(st.integers(1, count)))
        shelf.take(topic, *lost[topic])
    # something was stored much later: what is missing is no tail
    rows += [filled(shelf, f"{root}/kucoin/LATE-USDT", 1, first_s=3 * HOUR) for root in ("prices", "trades")]
    report = audited(shelf, book(*rows, ended_s=4 * HOUR))
    assert gone(report) == {topic: numbers for topic, numbers in lost.items() if numbers}
    assert report.code == bool(any(lost.values()))
    assert report.rows == sum(counts.values()) + 2 - sum(map(len, lost.values()))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 80),
    st.integers(0, 100),
    st.integers(0, 100),
    st.integers(0, 100),
    st.lists(st.integers(-30, 30), min_size=80, max_size=80),
)
def test_a_store_that_lost_nothing_is_never_accused(
    count: int, from_s: int, length_s: int, pruned_s: int, shifts: list[int]
) -> None:
    """Whatever the range of time, what was pruned, and in which order the exchange told its trades."""
    shelf = Shelf({root: BEGIN + pruned_s * S for root in ("prices", "trades")})
    for k in range(1, count + 1):
        shelf.put(BTC, k, BEGIN + k * S)
        shelf.put(TRADES, k, BEGIN + (k + shifts[k - 1]) * S)
    told = row(BTC, count, first_s=1, last_s=count)
    trades = row(TRADES, count, first_s=1 + shifts[0], last_s=count + shifts[count - 1])
    window = Window(BEGIN + from_s * S, BEGIN + (from_s + length_s) * S)
    assert audited(shelf, book(told, trades), window).findings == []
    assert audited(shelf, book(told, trades), Window()).findings == []


@settings(max_examples=100, deadline=None)
@given(st.integers(5, 60), st.integers(1, 50), st.integers(1, 30), st.data())
def test_a_range_of_time_finds_the_losses_within_it(
    count: int, from_s: int, length_s: int, data: st.DataObject
) -> None:
    shelf = Shelf()
    told = filled(shelf, BTC, count)
    inner = st.integers(2, count - 1)
    lost = data.draw(st.sets(inner, min_size=1))
    shelf.take(BTC, *lost)
    window = Window(BEGIN + from_s * S, BEGIN + (from_s + length_s) * S)
    within = {n for n in lost if from_s <= n - 1 < from_s + length_s}
    found = gone(audited(shelf, book(told), window)).get(BTC, set())
    # what was lost between the nearest rows outside may have stood within
    assert within <= found <= lost


def test_a_tail_is_late_and_not_lost_while_the_store_has_nothing_newer() -> None:
    shelf = Shelf()
    told = filled(shelf, BTC, 100)
    shelf.take(BTC, 99, 100)
    report = audited(shelf, book(told))
    assert gone(report) == {}
    assert gone(report, "late") == {BTC: {99, 100}}
    assert report.code == 3


def test_a_tail_is_lost_when_another_topic_of_the_root_has_something_newer() -> None:
    shelf = Shelf()
    told = filled(shelf, BTC, 100)
    newer = filled(shelf, ETH, 100, step_s=2)
    shelf.take(BTC, 99, 100)
    report = audited(shelf, book(told, newer))
    assert gone(report) == {BTC: {99, 100}}


def test_a_tail_within_the_settling_time_is_late() -> None:
    shelf = Shelf()
    told = filled(shelf, BTC, 100)
    newer = filled(shelf, ETH, 110)
    shelf.take(BTC, 100)
    assert gone(audited(shelf, book(told, newer)), "late") == {BTC: {100}}


def test_counts_that_agree_need_no_look_at_rows() -> None:
    shelf = Shelf()
    rows = [filled(shelf, f"prices/kucoin/S{k}-USDT", 10) for k in range(50)]
    report = audited(shelf, book(*rows))
    assert (shelf.looks, report.topics, report.rows, report.code) == (0, 50, 500, 0)


def test_what_a_gap_declares_is_told_with_the_gap() -> None:
    shelf = Shelf()
    told = filled(shelf, BTC, 100)
    shelf.take(BTC, 10, 11, 12, 20)
    gap = GapTold("7-1", "kucoin", "prices", BEGIN, "outbox full", "unfillable", lost=[LostTold(BTC, RUN, 10, 11)])
    report = audited(shelf, book(told, gaps=[gap]))
    assert gone(report, "declared") == {BTC: {10, 11}}
    assert gone(report) == {BTC: {12, 20}}
    assert next(one for one in report.findings if one.fate == "declared").gap == "7-1"
    assert report.code == 1


def test_what_a_fill_brought_again_is_not_missing() -> None:
    shelf = Shelf()
    told = filled(shelf, TRADES, 100)
    shelf.take(TRADES, 10)
    lost = [LostTold(TRADES, RUN, 10, 10, filled="fill-3")]
    gap = GapTold("7-1", "kucoin", "trades", BEGIN, "lost", "partial", lost=lost)
    report = audited(shelf, book(told, gaps=[gap]))
    assert [(one.fate, one.job) for one in report.findings] == [("filled", "fill-3")]
    assert report.code == 0


def test_a_killed_bridge_is_proven_up_to_its_last_save() -> None:
    shelf = Shelf()
    told = filled(shelf, BTC, 100)
    report = audited(shelf, book(told, ended_s=None, known_s=99))
    assert report.findings == []
    assert (report.code, report.complete_until_ns) == (3, BEGIN + 99 * S)


def test_a_hole_behind_the_ledgers_last_save_is_found_as_well() -> None:
    shelf = Shelf()
    told = filled(shelf, BTC, 100)
    for k in range(101, 121):
        shelf.put(BTC, k, BEGIN + k * S)
    shelf.take(BTC, 110)
    assert gone(audited(shelf, book(told, ended_s=None, known_s=99))) == {BTC: {110}}


def test_what_the_store_does_not_keep_is_not_asked_of_it() -> None:
    shelf = Shelf()
    del shelf.since["prices"]
    report = audited(shelf, book(row(BTC, 100)))
    assert (report.findings, report.skipped, report.code) == ([], 1, 0)


def test_a_fill_is_audited_by_its_own_numbers() -> None:
    shelf = Shelf()
    for k in (1, 2, 4):
        shelf.put(TRADES, k, BEGIN + k * S, fill="job-1")
    newer = filled(shelf, "trades/kucoin/ETH-USDT", 2, step_s=2 * HOUR)
    report = audited(shelf, book(row(TRADES, 4, first_s=1, last_s=4, fill="job-1"), newer, ended_s=2 * HOUR))
    (finding,) = report.findings
    assert (finding.fill, finding.from_n, finding.to_n, finding.fate) == ("job-1", 3, 3, "missing")


def test_a_fill_whose_rows_a_later_one_told_anew_is_not_missing() -> None:
    shelf = Shelf()
    shelf.put(TRADES, 2, BEGIN + 2 * S, fill="snapshot")
    for k in (1, 2):
        shelf.put(TRADES, k, BEGIN + k * S, fill="correction")
    rows = [row(TRADES, 2, first_s=1, last_s=2, fill=fill) for fill in ("snapshot", "correction")]
    report = audited(shelf, book(*rows))
    assert [(one.fate, one.job, one.from_n) for one in report.findings] == [("overwritten", "correction", 1)]
    assert report.code == 0


def test_one_exchange_or_symbol_alone_can_be_audited() -> None:
    shelf = Shelf()
    rows = [filled(shelf, topic, 10) for topic in (BTC, ETH, "prices/binance/BTC-USDT")]
    for topic in (BTC, ETH, "prices/binance/BTC-USDT"):
        shelf.take(topic, 5)
    assert set(gone(audited(shelf, book(*rows), Window(exchange="kucoin")))) == {BTC, ETH}
    assert set(gone(audited(shelf, book(*rows), Window(symbol="ETH-USDT")))) == {ETH}


def test_a_missing_range_is_told_with_its_place_in_time() -> None:
    shelf = Shelf()
    told = filled(shelf, BTC, 1000, step_s=3)
    shelf.take(BTC, 500, 501)
    (finding,) = audited(shelf, book(told)).findings
    assert finding.from_ns is not None
    assert finding.to_ns is not None
    assert abs(finding.from_ns - (BEGIN + 498 * 3 * S)) <= 2 * S
    assert abs(finding.to_ns - (BEGIN + 501 * 3 * S)) <= 2 * S
    assert finding.cause


# --- a store that is younger than what was published ------------------------------------------------
YOUNG = dict.fromkeys(("prices", "trades", "candles"), BEGIN + 2000 * S)


def grown(shelf: Shelf, topic: str, count: int, stored_from: int, step_s: float = 10) -> Published:
    """A topic of which the store has what came from one number on."""
    told = filled(shelf, topic, count, step_s=step_s)
    shelf.take(topic, *range(1, stored_from))
    return told


def test_a_young_store_is_not_asked_for_what_was_published_before_it() -> None:
    shelf = Shelf(heard=YOUNG)
    rows = [grown(shelf, BTC, 360, 201), grown(shelf, TRADES, 360, 201), row("prices/kucoin/DEAD-USDT", 9, last_s=50)]
    report = audited(shelf, book(*rows, row("candles/kucoin/BTC-USDT/1m", 3, last_s=1000)))
    assert (report.code, report.findings) == (0, [])
    assert report.rows == 160 + 70, "trades of its first 15 minutes may be told out of order"


def test_a_young_store_is_asked_for_all_that_was_published_since() -> None:
    shelf = Shelf(heard=YOUNG)
    prices, never = grown(shelf, BTC, 360, 201), row(ETH, 7, last_s=3000)
    shelf.take(BTC, 300)
    report = audited(shelf, book(prices, never))
    assert gone(report) == {BTC: {300}, ETH: {7}}
    assert report.code == 1


def test_a_run_that_began_just_before_its_store_is_audited_from_its_beginning() -> None:
    shelf = Shelf(heard={"prices": BEGIN + 20 * S})
    report = audited(shelf, book(grown(shelf, BTC, 360, 4), ended_s=2 * HOUR))
    assert gone(report) == {BTC: {1, 2, 3}}


def test_a_fill_of_old_rows_that_was_published_after_the_stores_birth_is_audited() -> None:
    shelf = Shelf(heard=YOUNG)
    later = f"{(BEGIN + 3000 * S) // 1_000_000}-kucoin-backfill-1"
    for number in (1, 2, 4):
        shelf.put(TRADES, number, BEGIN + number * S, fill=later)
    prices = grown(shelf, BTC, 360, 201)
    told = row(TRADES, 4, first_s=1, last_s=4, fill=later)
    assert gone(audited(shelf, book(prices, told))) == {TRADES: {3}}


def test_a_fill_that_was_published_before_the_stores_birth_is_not_asked_for() -> None:
    shelf = Shelf(heard=YOUNG)
    before = f"{BEGIN // 1_000_000}-kucoin-backfill-1"
    told = row(TRADES, 4, first_s=1, last_s=4, fill=before)
    assert audited(shelf, book(grown(shelf, BTC, 360, 201), told)).findings == []
    shelf.put(TRADES, 2, BEGIN + 2 * S, fill=before)
    shelf.put(TRADES, 4, BEGIN + 4 * S, fill=before)
    after = row("trades/kucoin/ETH-USDT", 1, first_s=9000, last_s=9000)
    shelf.put("trades/kucoin/ETH-USDT", 1, BEGIN + 9000 * S)
    assert gone(audited(shelf, book(told, after))) == {TRADES: {3}}, "its end came to the store"


def test_rows_at_the_very_end_of_their_retention_may_be_gone() -> None:
    shelf = Shelf({"prices": BEGIN + 2000 * S})
    told = filled(shelf, BTC, 360, step_s=10)
    shelf.take(BTC, *range(1, 230))
    assert audited(shelf, book(told)).findings == []
