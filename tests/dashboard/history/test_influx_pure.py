"""InfluxDB's answers to rows, and its refusals to lines that say what to do: no server needed."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import StoreError
from bridge.settings import Influx
from dashboard.history.base import StoreAway
from dashboard.history.influx.numbers import Seen, clipped, joined, pieces
from dashboard.history.influx.payloads import digits, payload, rounded, text_of
from dashboard.history.influx.series import series_of, topic_of
from dashboard.history.influx.tables import by_time, read_tables, time_ns
from dashboard.history.influx.trouble import refused, wrong_version
from tests.dashboard.payloads import NOON

HERE = Influx(url="http://127.0.0.1:8086")
PRICES = """#datatype,string,long,dateTime:RFC3339,double,string\r
#group,false,false,false,false,true\r
#default,_result,,,,\r
,result,table,_time,_value,_field\r
,,0,2025-11-21T12:00:00.000000001Z,0.00000012,price\r
,,0,2025-11-21T12:00:01Z,67523,price\r
\r
#datatype,string,long,dateTime:RFC3339,string,string\r
#group,false,false,false,false,true\r
#default,_result,,,,\r
,result,table,_time,_value,_field\r
,,1,2025-11-21T12:00:01Z,"a ""quoted"", reason",reason\r
"""
ERROR = "#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n,error,reference\r\n,it broke,897\r\n"


def test_rows_of_several_tables_meet_at_their_time_with_the_digits_that_stand_there() -> None:
    assert by_time(read_tables(PRICES)) == {
        NOON + 1: {"price": "0.00000012"},
        NOON + 1_000_000_000: {"price": "67523", "reason": '"a \\"quoted\\", reason"'},
    }


@pytest.mark.parametrize("text", [ERROR, PRICES + "\r\n" + ERROR, "error,reference\r\nit broke,897\r\n"])
def test_an_error_in_the_middle_of_an_answer_is_an_error(text: str) -> None:
    with pytest.raises(StoreError, match=r"it broke|error reference"):
        read_tables(text)


def test_an_empty_answer_has_no_tables() -> None:
    assert read_tables("\r\n") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2025-11-21T12:00:00.5Z", NOON + 500_000_000),
        ("2262-04-11T23:47:16.854775806Z", 2**63 - 2),
    ],
)
def test_times_are_exact_to_the_nanosecond(text: str, expected: int) -> None:
    assert time_ns(text) == expected


def test_a_row_is_written_in_the_published_order_and_unknown_fields_follow() -> None:
    fields = {"n": "7", "zeta": "true", "price": "1", "time_ns": "5", "alpha": '"x"', "run": "3"}
    assert payload("prices", fields) == b'{"price":1,"time_ns":5,"run":3,"n":7,"alpha":"x","zeta":true}'


@pytest.mark.parametrize(("stored", "told"), [('"123"', "123"), ("123", "123"), ('"9x"', '"9x"'), ('"01"', '"01"')])
def test_a_sequence_that_was_stored_as_text_is_a_number_again(stored: str, told: str) -> None:
    assert payload("prices", {"seq": stored}) == f'{{"seq":{told}}}'.encode()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_told_without_an_exponent_and_is_the_same_float(value: float) -> None:
    assert "e" not in digits(value)
    assert float(digits(value)) == value


def test_a_sum_of_floats_is_told_to_the_digits_that_are_sure() -> None:
    assert rounded("5.99999999999999") == "6"
    assert rounded("0.30000000000000004") == "0.3"


@given(st.text())
def test_a_payload_that_was_stored_whole_comes_back_whole(text: str) -> None:
    assert text_of(json.dumps(text, ensure_ascii=False)) == text.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize(
    "topic",
    ["prices/kucoin/BTC-USDT", "candles/kucoin/BTC-USDT/1m", "gaps/kucoin", "gaps/kucoin/2", "errors/bridge"],
)
def test_a_topic_becomes_tags_and_a_topic_again(topic: str) -> None:
    series = series_of(topic)
    assert topic_of(series.kind, series.tags) == topic


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (401, '{"code":"unauthorized","message":"unauthorized access"}', ["refuses the token", "influx.token"]),
        (404, r'{"message":"could not find bucket \"x_prices\""}', ["no bucket 'x_prices'", "tickbridge store init"]),
        (200, "database not found: x_prices", ["no bucket 'x_prices'", "tickbridge store init"]),
        (400, r'{"message":"organization name \"o\" not found"}', ["no organization 'tickbridge'", "influx.org"]),
        (404, "404 page not found", ["no InfluxDB 2", "2.7 or later", "influx.url"]),
        (400, '{"message":"something\\nelse"}', ["refuses a query (400): something"]),
    ],
)
def test_a_refusal_is_one_line_that_names_the_cure(status: int, said: str, words: list[str]) -> None:
    told = str(refused(HERE, status, said))
    assert all(word in told for word in words), told
    assert HERE.url in told
    assert "\n" not in told


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_busy_may_be_asked_again(status: int) -> None:
    assert isinstance(refused(HERE, status, "busy"), StoreAway)


@pytest.mark.parametrize(
    ("version", "wrong"), [("1.6.7~rc0", True), ("v2.7.12", False), ("dev", False), ("", False), ("3.9.1", True)]
)
def test_only_version_2_is_right(version: str, wrong: bool) -> None:
    problem = wrong_version(HERE, version)
    assert (problem is not None) == wrong
    assert problem is None or f"InfluxDB {version} is behind" in str(problem)


def test_ranges_that_touch_or_overlap_become_one() -> None:
    assert joined([(7, 7), (1, 3), (4, 4), (2, 3), (9, 12), (10, 11)]) == [(1, 4), (7, 7), (9, 12)]
    assert clipped([(1, 4), (7, 7), (9, 12)], 3, 9) == [(3, 4), (7, 7), (9, 9)]


@given(st.sets(st.integers(0, 60)))
def test_joined_ranges_hold_exactly_the_numbers(numbers: set[int]) -> None:
    told = joined((n, n) for n in numbers)
    assert {n for first, last in told for n in range(first, last + 1)} == numbers
    assert all(one[1] + 1 < other[0] for one, other in itertools.pairwise(told))


def test_neighbouring_windows_are_read_together_up_to_a_number_of_rows() -> None:
    told = [(0, 5), (10, 5), (30, 49_999), (40, 2), (50, 1)]
    windows = [Seen(at, at + 10, count, (1, 9), (1, 1)) for at, count in told]
    assert list(pieces(windows)) == [(0, 20), (30, 40), (40, 60)]
