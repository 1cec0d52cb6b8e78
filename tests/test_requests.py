import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from bridge.ledger import Published, Query
from bridge.requests.desk import PAGE_ROWS
from bridge.requests.wanted import EXAMPLES, MAX_PAYLOAD, BadRequest, read
from bridge.topics import REQUESTS
from tests.asking import BTC, RUN, House, Past, S


def wrong(what: str, payload: bytes) -> str:
    with pytest.raises(BadRequest) as told:
        read(what, payload)
    assert "\n" not in str(told.value)
    return str(told.value)


# --- reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", REQUESTS)
def test_the_example_that_an_error_shows_is_right(what: str) -> None:
    for example in EXAMPLES[what].split(" or "):
        read(what, example.encode())


@pytest.mark.parametrize(
    ("what", "payload", "said"),
    [
        ("ledger", b"{", "truncated"),
        ("ledger", b'{"run":"x"}', "got `str` - at `$.run`"),
        ("ledger", b'{"exchnage":"kucoin"}', "unknown field `exchnage`"),
        ("ledger", b'{"run":1,"fill":"x"}', "both run and fill"),
        ("gaps", b'{"state":"lost"}', "Invalid enum value 'lost'"),
        ("gaps", b"\xff\xfe", "right would be"),
        ("gaps", b"[" * 60_000, "right would be"),
        ("resend", b"{}", "missing required field `topic`"),
        ("resend", b'{"topic":"a","run":1,"from_n":2}', "needs either run, from_n and to_n, or fill"),
        ("resend", b'{"topic":"a","run":1,"from_n":2,"to_n":3,"fill":"x"}', "needs either"),
        ("resend", b'{"topic":"a","run":1,"from_n":4,"to_n":3}', "ends at 3, before it begins at 4"),
        ("lost", b'{"topic":"a","run":1,"from_n":0,"to_n":3}', ">= 1"),
        ("lost", b'{"topic":"a","run":1,"from_n":1,"to_n":3,"from_ns":9,"to_ns":8}', "from_ns after to_ns"),
        ("ledgr", b"{}", "did you mean ledger?"),
        ("sing", b"{}", "there are ledger, resend, gaps, lost, found, backfill, cancel"),
        ("gaps", b" " * (MAX_PAYLOAD + 1), "at most 65536"),
    ],
)
def test_what_is_wrong_is_said_with_what_would_be_right(what: str, payload: bytes, said: str) -> None:
    assert said in wrong(what, payload)


@given_settings(max_examples=60)
@given(st.sampled_from(REQUESTS), st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
    lambda value: json.dumps({"topic": value, "run": value, "from_n": value}).encode()
))  # fmt: skip
def test_any_payload_is_read_or_refused(what: str, payload: bytes) -> None:
    with suppress(BadRequest):
        read(what, payload)


# --- the ledger --------------------------------------------------------------------------------------


def test_the_ledger_is_told_from_memory_with_all_known_runs() -> None:
    house = House(3)
    page = house.one("ledger")
    assert page["rows"] == [{"topic": BTC, "run": RUN, "n": 3, "acknowledged": 3, "first_ns": S, "last_ns": 3 * S}]
    assert page["runs"] == [{"run": RUN, "started_ns": 1, "known_ns": 2}]


def test_an_earlier_process_run_is_read_from_the_file() -> None:
    past = Past(Published(BTC, 5, None, 9, 8, 1, 2))
    (page,) = House().ask("ledger", past, run=5)
    assert [one["n"] for one in page["rows"]] == [9]
    assert past.asked == [Query(run=5)]


def test_the_file_is_not_asked_for_what_is_in_memory() -> None:
    past = Past()
    House().ask("ledger", past, run=RUN, exchange="kucoin")
    assert past.asked == []


def test_a_run_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(BadRequest, match="nothing is known of 5"):
        House().ask("ledger", run=5)


def test_long_answers_come_in_pages() -> None:
    house = House(1, [f"prices/kucoin/S{k}-USDT" for k in range(2 * PAGE_ROWS + 1)])
    pages = house.ask("ledger")
    assert [(page["page"], page["pages"], len(page["rows"])) for page in pages] == [(1, 3, 200), (2, 3, 200), (3, 3, 1)]
    assert len({row["topic"] for page in pages for row in page["rows"]}) == 2 * PAGE_ROWS + 1


# --- gaps --------------------------------------------------------------------------------------------


def test_gaps_are_listed_with_their_exchange_and_filtered() -> None:
    house = House()
    house.gaps.open("kucoin", "prices", 10 * S, "line lost", ["A-B"], "gone", 99 * S)
    house.gaps.open("binance", "trades", 50 * S, "line lost", None, "gone", 99 * S)
    (row,) = house.one("gaps", exchange="kucoin")["rows"]
    assert (row["exchange"], row["cause"], row["symbols"], row["symbol_count"]) == ("kucoin", "line lost", ["A-B"], 1)
    assert len(house.one("gaps", state="open", to=50 * S)["rows"]) == 1
    assert house.one("gaps", state="filled")["rows"] == []


def test_all_that_is_lost_in_one_gap_is_told_by_its_id() -> None:
    house = House(500)
    for n in range(1, 500, 2):
        house.one("lost", topic=BTC, run=RUN, from_n=n, to_n=n)
    pages = house.ask("gaps", id="7-1")
    assert [len(page["rows"]) for page in pages] == [200, 50]
    assert (len(pages[0]["gap"]["lost"]), pages[0]["gap"]["lost_count"]) == (50, 250)
    with pytest.raises(BadRequest, match="no gap '7-2'"):
        house.ask("gaps", id="7-2")


# --- resend ------------------------------------------------------------------------------------------


def test_resend_sends_again_what_the_log_still_holds() -> None:
    house = House()
    answer = house.one("resend", topic=BTC, run=RUN, from_n=3, to_n=5)
    assert answer == {"found": 3, "resent": 3, "later": 0, "gone": [], "gone_count": 0}
    assert [(entry[0], entry[3]) for entry in house.sent_again()] == [(BTC, 3), (BTC, 4), (BTC, 5)]
    assert house.wakes == 1


def test_resend_says_what_is_not_held_any_more() -> None:
    house = House()
    house.outbox.take(10)
    house.outbox.acknowledge(4, 0)
    house.outbox.forget(200 * S)
    answer = house.one("resend", topic=BTC, run=RUN, from_n=3, to_n=6)
    assert (answer["resent"], answer["gone_count"]) == (2, 2)
    assert answer["gone"] == [{"topic": BTC, "run": RUN, "from_n": 3, "to_n": 4}]


def test_resend_of_a_fill_goes_by_its_own_numbers() -> None:
    house = House()
    for k in range(3):
        house.streams.fill("candles/kucoin/BTC-USDT/1m", '{"open":1', "7-snapshot", "snapshot", k * S, k * S)
    answer = house.one("resend", topic="candles/kucoin/BTC-USDT/1m", fill="7-snapshot", from_fill_n=2, to_fill_n=3)
    assert answer["resent"] == 2


def test_what_has_no_room_is_sent_later() -> None:
    house = House(200, limit=400_000)
    answer = house.one("resend", topic=BTC, run=RUN, from_n=1, to_n=200)
    assert answer["resent"] < 200
    assert answer["resent"] + answer["later"] == answer["found"] == 200


@pytest.mark.parametrize("what", ["resend", "lost", "found"])
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"topic": BTC, "run": RUN, "from_n": 9, "to_n": 11}, "ends at 10, not at 11"),
        ({"topic": BTC, "run": 5, "from_n": 9, "to_n": 9}, "nothing was published"),
        ({"topic": "prices/kucoin/X-Y", "run": RUN, "from_n": 9, "to_n": 9}, "nothing was published"),
        ({"topic": "latest/kucoin/BTC-USDT", "run": RUN, "from_n": 9, "to_n": 9}, "no stream topic of this bridge"),
        ({"topic": "prices/kucoin/#", "run": RUN, "from_n": 9, "to_n": 9}, "no stream topic of this bridge"),
    ],
)
def test_a_range_that_was_never_published_is_an_error(what: str, fields: dict[str, Any], said: str) -> None:
    house = House()
    with pytest.raises(BadRequest, match=said):
        house.ask(what, **fields)
    assert house.told == []


# --- lost and found ----------------------------------------------------------------------------------


def test_lost_opens_a_gap_that_is_told() -> None:
    house = House()
    answer = house.one(
        "lost", topic=BTC, run=RUN, from_n=3, to_n=5, reason="not in the store", from_ns=2 * S, to_ns=6 * S
    )
    (gap,) = house.told
    assert answer == {"gap": gap.id}
    assert (gap.exchange, gap.channel, gap.cause, gap.state) == ("kucoin", "prices", "lost", "unfillable")
    assert (gap.from_ns, gap.to_ns, gap.symbols, gap.expected) == (2 * S, 6 * S, ["BTC-USDT"], 3)
    assert gap.lost == [{"topic": BTC, "run": RUN, "from_n": 3, "to_n": 5}]
    assert gap.reason == "not in the store; an exchange tells no past prices"


def test_without_times_the_gap_spans_all_that_the_topic_published() -> None:
    house = House()
    house.one("lost", topic=BTC, run=RUN, from_n=3, to_n=5)
    assert (house.told[0].from_ns, house.told[0].to_ns) == (S, 10 * S)


def test_what_is_known_to_be_lost_is_not_told_again() -> None:
    house = House()
    house.one("lost", topic=BTC, run=RUN, from_n=3, to_n=5)
    assert house.one("lost", topic=BTC, run=RUN, from_n=4, to_n=5) == {"known": True}
    assert len(house.told) == 1


def test_found_closes_the_gap_and_tells_it() -> None:
    house = House()
    house.one("lost", topic=BTC, run=RUN, from_n=3, to_n=5)
    answer = house.one("found", topic=BTC, run=RUN, from_n=1, to_n=10)
    assert answer == {"found": 3, "gaps": ["7-1"]}
    assert house.told[-1].state == "filled"
    assert house.one("found", topic=BTC, run=RUN, from_n=1, to_n=10) == {"found": 0, "gaps": []}


def test_the_ledger_tells_only_what_has_changed_since_a_version() -> None:
    house = House(3, [BTC, "prices/kucoin/ETH-USDT"])
    version = house.one("ledger")["version"]
    assert house.one("ledger", since=version)["rows"] == []
    house.streams.publish(house.streams.stream(BTC), '{"price":1', 4 * S, 4 * S)
    page = house.one("ledger", since=version)
    assert [(row["topic"], row["n"]) for row in page["rows"]] == [(BTC, 4)]
    assert (page["run"], page["time_ns"], "runs" in page) == (RUN, 1000 * S, False)


def test_the_ledger_tells_how_far_back_a_full_log_can_send_again() -> None:
    assert "cramped_s" not in House(10).one("ledger")
    house = House(0, limit=2_000)
    for n in range(1, 21):
        house.streams.publish(house.streams.stream(BTC), '{"price":1', n * S, n * S)
        house.outbox.acknowledge(len(house.outbox.take(1)), n * S)
    assert house.one("ledger")["cramped_s"] > 980


def test_the_ledger_tells_a_run_with_its_fills() -> None:
    house = House(1)
    house.streams.fill("trades/kucoin/BTC-USDT", '{"price":1', "job-1", "rest", S, S)
    assert [row.get("fill") for row in house.one("ledger", run=RUN)["rows"]] == [None]
    assert [row.get("fill") for row in house.one("ledger", run=RUN, fills=True)["rows"]] == [None, "job-1"]
