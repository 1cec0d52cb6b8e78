import json

import pytest

from bridge.errors import FrameError, StoreError
from dashboard.history.base import Span
from dashboard.history.gapbook import GapBook
from dashboard.history.packing import Packing, entry_lines, entry_rows
from dashboard.history.rows import merge_fields, one_line, read_mark, series_of, settled
from tests.dashboard.payloads import MINUTE, NOON, candle, candle_fill, gap, tick


def test_a_correction_wins_but_the_run_and_number_of_the_live_row_stay() -> None:
    live = candle(NOON, ("1.0", "2", "0.5", "1.50"), 3)
    merged = merge_fields(live, candle_fill(NOON, ("1.0", "2.5", "0.5", "1.70"), 9))
    told = json.loads(merged)
    assert (told["run"], told["n"]) == (json.loads(live)["run"], 3)
    assert (told["fill"], told["fill_n"], told["source"]) == ("fill-1", 9, "rest")
    assert b'"high":2.5' in merged
    assert b'"close":1.70,' in merged


def test_rows_of_one_key_become_one_and_all_stand_by_time() -> None:
    rows = [(3, b'{"a":1}'), (1, b'{"b":1}'), (3, b'{"c":2}'), (1, b'{"b":1}')]
    assert settled(rows, merge_fields) == [(1, b'{"b":1}'), (3, b'{"a":1,"c":2}')]


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"{}", b'{"time_ns":1.5}', b'{"time_ns":-1}', b'{"time_ns":9223372036854775808}', b'{"time_ns":1'],
)
def test_a_payload_without_a_usable_time_is_refused(payload: bytes) -> None:
    with pytest.raises(FrameError):
        read_mark(payload)


def test_a_payload_that_is_no_utf8_is_refused() -> None:
    with pytest.raises(FrameError):
        read_mark(b'{"time_ns":1,"x":"\xff"}')


@pytest.mark.parametrize("topic", ["latest/kucoin/BTC-USDT", "prices", "prices//X", "prices/a/b/c/d", ""])
def test_only_stream_topics_are_stored(topic: str) -> None:
    with pytest.raises(FrameError):
        series_of(1, topic)


def test_line_ends_inside_a_payload_do_not_part_rows() -> None:
    assert json.loads(one_line(b'{"time_ns":\n1}')) == {"time_ns": 1}
    assert b"\n" not in one_line(b'{"time_ns":\n1}')


def test_a_journal_entry_gives_back_every_row_with_its_series() -> None:
    packing = Packing()
    columns = [(1, [tick(NOON, "1.0", 1), tick(NOON + 1, "1.1", 2)]), (12, [b'{"x":"#7"}'])]
    lines = packing.unpack(packing.pack(entry_lines(columns)))
    assert list(entry_rows(lines)) == [(series, payload) for series, payloads in columns for payload in payloads]


def test_a_damaged_piece_is_told_plainly() -> None:
    with pytest.raises(StoreError, match="damaged"):
        Packing().unpack(b"\xff\xff\xff")


def test_a_gap_is_found_by_time_exchange_and_symbol_in_its_newest_state() -> None:
    book = GapBook()
    book.note("kucoin", gap("g1", NOON, None, 1, symbols=["BTC-USDT"]))
    book.note("kucoin", gap("g1", NOON, NOON + MINUTE, 2, symbols=["BTC-USDT"], state="unfillable"))
    book.note("binance", gap("g2", NOON, None, 1))
    (found,) = book.find("kucoin", "BTC-USDT", Span(10, NOON, NOON + 1)).rows
    assert json.loads(found)["state"] == "unfillable"
    assert json.loads(found)["exchange"] == "kucoin"
    assert not book.find("kucoin", "ETH-USDT", Span(10, NOON, NOON + 1)).rows
    assert not book.find("kucoin", "BTC-USDT", Span(10, NOON + MINUTE, NOON + 2 * MINUTE)).rows
    assert len(book.find("binance", "ETH-USDT", Span(10, NOON + 5 * MINUTE, NOON + 6 * MINUTE)).rows) == 1
    assert len(book.find(None, None, Span(10, 0)).rows) == 2
