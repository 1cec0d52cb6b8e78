"""The log of stream messages: nothing is lost uncounted, nothing is reordered, everything is bounded."""

import tracemalloc

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge import packed as blocks
from bridge.dropped import MAX_RANGES, Dropped, Ranges
from bridge.entries import ENTRY_BYTES, Entry
from bridge.outbox import Outbox
from bridge.packed import Block

RUN = 1_743_147_000_123
SECOND = 1_000_000_000
PAYLOAD = b"x" * 100


def filled(
    count: int, *, limit: int = 1_000_000, keep_s: float = 90.0, topic: str = "prices/x/A-B", block: int = 256
) -> Outbox:
    outbox = Outbox(limit, keep_s, block)
    for n in range(1, count + 1):
        outbox.append(topic, PAYLOAD, RUN, n, n)
    return outbox


def numbers(entries: list[Entry]) -> list[int]:
    return [entry[3] for entry in entries]


def again(entries: list[Entry]) -> list[bool]:
    return [entry[5] for entry in entries]


def test_messages_are_taken_in_order_and_only_once() -> None:
    outbox = filled(5)
    assert numbers(outbox.take(3)) == [1, 2, 3]
    assert numbers(outbox.take(3)) == [4, 5]
    assert outbox.take(3) == []


def test_acknowledged_messages_stay_until_their_time_is_over() -> None:
    outbox = filled(4, keep_s=90)
    outbox.take(4)
    outbox.acknowledge(2, now_ns=10 * SECOND)
    outbox.forget(99 * SECOND)
    assert len(outbox) == 4
    outbox.forget(101 * SECOND)
    assert (len(outbox), outbox.forgotten, outbox.acknowledged, outbox.drops()) == (2, 2, 2, [])


def test_time_to_keep_runs_from_the_acknowledgement_not_from_the_appending() -> None:
    outbox = filled(1, keep_s=90)
    outbox.take(1)
    outbox.acknowledge(1, now_ns=10_000 * SECOND)
    outbox.forget(10_050 * SECOND)
    assert len(outbox) == 1


def test_rewind_sends_again_from_the_position_and_says_so() -> None:
    outbox = filled(6)
    outbox.take(4)
    outbox.acknowledge(3, SECOND)
    outbox.rewind(2)
    assert outbox.acknowledged == 2
    first, rest = outbox.take(10), outbox.take(10)
    assert (numbers(first), again(first)) == ([3, 4], [True, True])
    assert (numbers(rest), again(rest)) == ([5, 6], [False, False])


def test_rewind_without_a_position_begins_at_the_logs_beginning() -> None:
    outbox = filled(3)
    outbox.take(3)
    outbox.acknowledge(3, SECOND)
    outbox.rewind(None)
    assert numbers(outbox.take(5)) == [1, 2, 3]


def test_a_marker_ahead_of_the_log_moves_nothing_forward() -> None:
    outbox = filled(3)
    outbox.rewind(77)
    assert numbers(outbox.take(5)) == [1, 2, 3]


def test_a_rewound_message_is_kept_from_its_new_acknowledgement_on() -> None:
    outbox = filled(2, keep_s=90)
    outbox.take(2)
    outbox.acknowledge(2, SECOND)
    outbox.rewind(0)
    outbox.take(2)
    outbox.acknowledge(2, 500 * SECOND)
    outbox.forget(550 * SECOND)
    assert len(outbox) == 2


def test_acknowledged_messages_make_room_before_any_other() -> None:
    room = 1_000_000 // (len(PAYLOAD) + ENTRY_BYTES)
    outbox = filled(room)
    outbox.take(room)
    outbox.acknowledge(room // 2, SECOND)
    for n in range(room // 4):
        outbox.append("prices/x/A-B", PAYLOAD, RUN, room + n + 1, 0)
    assert outbox.drops() == []
    assert outbox.bytes <= 1_000_000


def test_an_overflow_drops_the_oldest_as_one_range() -> None:
    outbox = filled(5_000)
    (drop,) = outbox.drops()
    assert (drop.topic, drop.run, drop.from_n, drop.cause) == ("prices/x/A-B", RUN, 1, "outbox full")
    assert drop.to_n == outbox.dropped == 5_000 - len(outbox)
    assert (drop.from_ns, drop.to_ns) == (1, drop.to_n)
    assert numbers(outbox.take(1)) == [drop.to_n + 1]


def test_an_acknowledgement_of_what_was_dropped_meanwhile_counts_for_nothing_else() -> None:
    outbox = filled(10)
    outbox.take(10)
    for n in range(11, 5_001):
        outbox.append("prices/x/A-B", PAYLOAD, RUN, n, n)
    dropped = outbox.dropped
    outbox.acknowledge(10, SECOND)
    assert outbox.acknowledged == outbox.forgotten == dropped


def test_a_refused_message_is_parked_and_never_sent_again() -> None:
    outbox = filled(3)
    outbox.take(3)
    outbox.acknowledge(1, SECOND)
    refused = outbox.refuse(SECOND)
    assert refused is not None
    outbox.rewind(None)
    assert numbers(outbox.take(10)) == [1, 3]
    (drop,) = outbox.drops()
    assert drop == Dropped("prices/x/A-B", RUN, 2, 2, 2, 2, "refused", refused[1], refused[1])


def test_a_parked_message_in_the_middle_leaves_the_others_countable() -> None:
    outbox = filled(5)
    batch = outbox.take(5)
    assert outbox.park(batch[2])
    assert not outbox.park(batch[2])
    outbox.acknowledge(3, SECOND)
    assert outbox.acknowledged == 4
    outbox.acknowledge(1, SECOND)
    assert (outbox.acknowledged, outbox.unacknowledged_bytes) == (5, 0)


def test_a_parked_message_that_comes_next_to_be_sent_again_is_not_taken_for_the_one_that_the_broker_answers() -> None:
    outbox = filled(4)
    batch = outbox.take(4)
    outbox.park(batch[2])
    outbox.rewind(None)
    outbox.take(2)
    outbox.acknowledge(2, SECOND)
    outbox.drops()
    (under_way,) = outbox.take(1)
    assert outbox.oldest() is under_way
    outbox.refuse(SECOND)
    assert [(one.from_n, one.to_n) for one in outbox.drops()] == [(4, 4)]
    assert outbox.unacknowledged == 0


def test_messages_are_found_by_number_and_sent_again_behind_the_others() -> None:
    outbox = filled(6)
    outbox.take(6)
    outbox.acknowledge(6, SECOND)
    found = outbox.find("prices/x/A-B", RUN, 2, 3)
    assert numbers(found) == [2, 3]
    assert outbox.find("prices/x/A-B", RUN + 1, 2, 3) == []
    outbox.append("prices/x/A-B", PAYLOAD, RUN, 7, 7)
    assert outbox.resend(found) == 2
    batch = outbox.take(10)
    assert (numbers(batch), again(batch)) == ([7, 2, 3], [False, True, True])
    assert numbers(outbox.find("prices/x/A-B", RUN, 1, 3)) == [1, 2, 3]


def test_fills_and_resends_wait_while_an_eighth_is_unacknowledged() -> None:
    outbox = filled(500)
    assert not outbox.room_for_fill()
    assert outbox.resend(outbox.find("prices/x/A-B", RUN, 1, 3)) == 0
    outbox.take(500)
    outbox.acknowledge(500, SECOND)
    assert outbox.room_for_fill()


def test_a_stop_counts_what_it_leaves_unsent() -> None:
    outbox = filled(5)
    outbox.take(2)
    outbox.acknowledge(2, SECOND)
    assert outbox.abandon() == 3
    assert [(d.from_n, d.to_n, d.cause) for d in outbox.drops()] == [(3, 5, "stopped")]
    assert (len(outbox), outbox.bytes, outbox.unacknowledged_bytes) == (0, 0, 0)


def test_the_logs_reach_is_told_in_seconds() -> None:
    outbox = Outbox(1_000_000, 90)
    assert outbox.reach_s(5 * SECOND) == 0.0
    outbox.append("t", b"", RUN, 1, 2 * SECOND)
    assert outbox.reach_s(5 * SECOND) == 3.0


def test_a_full_log_tells_how_far_back_it_can_send_again() -> None:
    outbox = Outbox(100 * (ENTRY_BYTES + 10), 90)
    for n in range(1, 201):
        outbox.append("t", b"x" * 10, RUN, n, n * SECOND)
        outbox.take(1)
        outbox.acknowledge(1, n * SECOND)
        if n == 50:
            assert outbox.cramped_s(50 * SECOND) is None
    assert outbox.cramped_s(200 * SECOND) == pytest.approx(100, abs=4)


def test_a_small_log_that_makes_room_by_whole_blocks_is_full_all_the_time() -> None:
    outbox = Outbox(1_000_000, 90)
    reaches = []
    for n in range(1, 5001):
        outbox.append("t", b"x" * 190, RUN, n, n * SECOND // 100)
        outbox.take(1)
        outbox.acknowledge(1, n * SECOND // 100)
        outbox.pack(1024)
        if n > 3000:
            reaches.append(outbox.cramped_s(n * SECOND // 100))
    assert None not in reaches
    assert all(22 <= (reach or 0) <= 26 for reach in reaches)


def packed(count: int, acknowledged: int) -> Outbox:
    """In blocks of four, as far as it is acknowledged."""
    outbox = filled(count, block=4)
    outbox.take(count)
    outbox.acknowledge(acknowledged, SECOND)
    outbox.pack(1000)
    return outbox


def test_packing_changes_nothing_but_the_room() -> None:
    outbox = packed(10, 9)
    assert (len(outbox), outbox.forgotten, outbox.acknowledged, outbox.end) == (10, 0, 9, 10)
    assert outbox.unacknowledged_bytes == len(PAYLOAD) + ENTRY_BYTES
    assert numbers(outbox.waiting()) == [10]
    assert outbox.reach_s(SECOND) == 0.999999999


def test_packed_messages_take_a_third_of_the_room() -> None:
    outbox = filled(1024)
    before = outbox.bytes
    outbox.take(1024)
    outbox.acknowledge(1024, SECOND)
    outbox.pack(1024)
    assert outbox.bytes < before / 3


def test_only_what_is_acknowledged_is_packed_and_not_more_than_asked() -> None:
    outbox = filled(1024)
    outbox.take(1024)
    before = outbox.bytes
    outbox.pack(1024)
    assert outbox.bytes == before
    outbox.acknowledge(1024, SECOND)
    outbox.pack(256)
    once = outbox.bytes
    outbox.pack(256)
    assert outbox.bytes < once < before


def test_a_rewind_into_packed_messages_sends_them_as_they_were() -> None:
    outbox = packed(10, 10)
    outbox.rewind(5)
    batch = outbox.take(20)
    assert [entry[:5] for entry in batch] == [("prices/x/A-B", PAYLOAD, RUN, n, n) for n in range(6, 11)]
    assert all(again(batch))
    outbox.acknowledge(5, SECOND)
    assert (outbox.acknowledged, outbox.unacknowledged_bytes, outbox.drops()) == (10, 0, [])


def test_what_is_unpacked_takes_no_more_room_than_it_did_before() -> None:
    count = 20_000
    outbox = Outbox(64 << 20, 90)
    for n in range(count):
        outbox.append("prices/kucoin/BTC-USDT", bytes(190), RUN, 1_000 + n, 1_743_147_199_001_234_567 + n)
    outbox.take(count)
    outbox.acknowledge(count, SECOND)
    outbox.pack(count)
    tracemalloc.start()
    outbox.rewind(None)
    more, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(outbox) == count
    assert more <= outbox.bytes


def test_what_is_new_is_found_without_a_look_at_what_is_older(monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = packed(40, 40)
    unpacked: list[Block] = []
    known = blocks._entries
    monkeypatch.setattr(blocks, "_entries", lambda block: unpacked.append(block) or known(block))  # type: ignore[func-returns-value]
    assert numbers(outbox.find("prices/x/A-B", RUN, 34, 35)) == [34, 35]
    assert [block.first for block in unpacked] == [36, 32]


def test_packed_messages_are_found_by_number() -> None:
    outbox = packed(10, 9)
    assert numbers(outbox.find("prices/x/A-B", RUN, 3, 10)) == list(range(3, 11))
    assert outbox.find("prices/x/C-D", RUN, 3, 10) == []


def test_a_parked_message_stays_so_when_it_is_packed_and_unpacked() -> None:
    outbox = filled(8, block=4)
    assert outbox.park(outbox.take(8)[1])
    outbox.acknowledge(7, SECOND)
    outbox.pack(8)
    outbox.rewind(None)
    assert numbers(outbox.take(20)) == [1, 3, 4, 5, 6, 7, 8]
    outbox.acknowledge(7, SECOND)
    outbox.pack(8)
    outbox.forget(200 * SECOND)
    assert (len(outbox), outbox.bytes, outbox.unacknowledged_bytes) == (0, 0, 0)


def test_packed_messages_are_forgotten_by_whole_blocks() -> None:
    outbox = filled(12, block=4)
    outbox.take(12)
    outbox.acknowledge(6, SECOND)
    outbox.acknowledge(6, 50 * SECOND)
    outbox.pack(12)
    outbox.forget(100 * SECOND)
    assert (outbox.forgotten, len(outbox)) == (4, 8)
    outbox.forget(200 * SECOND)
    assert (outbox.forgotten, outbox.bytes) == (12, 0)


def test_fills_wait_until_what_they_brought_is_packed() -> None:
    outbox = filled(20_000, limit=64 << 20)
    outbox.take(20_000)
    outbox.acknowledge(20_000, SECOND)
    assert not outbox.room_for_fill()
    outbox.pack(20_000)
    assert outbox.room_for_fill()


def test_ranges_are_bounded_and_rather_claim_too_much() -> None:
    ranges = Ranges()
    for n in range(1, 4 * MAX_RANGES, 2):
        ranges.add(("t", b"", 1, n, n, False), "refused")
    fetched = ranges.fetch()
    assert len(fetched) == MAX_RANGES
    assert fetched[-1].to_n == 4 * MAX_RANGES - 1
    assert ranges.fetch() == []


def test_the_bytes_counted_are_what_python_needs() -> None:
    count = 20_000
    tracemalloc.start()
    outbox = Outbox(64 << 20, 90)
    for n in range(1_000, 1_000 + count):
        outbox.append("prices/kucoin/BTC-USDT", bytes(190), RUN, n, 1_743_147_199_001_234_567 + n)
    needed, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.9 < needed / outbox.bytes <= 1.0


class Line(RuleBasedStateMachine):
    """A broker that may forget what it acknowledged, beside any use of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(20_000, 5.0, block=4)
        self.n = {"a": 0, "b": 0}
        self.now = 0
        self.flight: list[Entry] = []
        self.delivered: set[tuple[str, int]] = set()
        self.first: dict[str, list[int]] = {"a": [], "b": []}
        self.lost: set[tuple[str, int]] = set()
        self.once: set[tuple[str, int]] = set()

    @rule(topic=st.sampled_from("ab"), count=st.integers(1, 30), size=st.integers(0, 800))
    def append(self, topic: str, count: int, size: int) -> None:
        for _ in range(count):
            self.n[topic] += 1
            self.outbox.append(topic, bytes(size), RUN, self.n[topic], self.now)

    @rule(most=st.integers(1, 40))
    def take(self, most: int) -> None:
        batch = self.outbox.take(most)
        assert len(batch) <= most
        assert batch or not self.outbox.untaken
        for topic, _, _, n, _, resent in batch:
            assert resent == ((topic, n) in self.once)
            self.once.add((topic, n))
            if not resent:
                self.first[topic].append(n)
        self.flight += batch

    @precondition(lambda self: self.flight)
    @rule(part=st.floats(0, 1))
    def acknowledge(self, part: float) -> None:
        count = max(1, int(len(self.flight) * part))
        done, self.flight = self.flight[:count], self.flight[count:]
        self.delivered |= {(e[0], e[3]) for e in done}
        self.outbox.acknowledge(count, self.now)

    @precondition(lambda self: self.flight)
    @rule()
    def refuse(self) -> None:
        head = self.flight.pop(0)
        oldest = self.outbox.oldest()
        assert oldest is None or oldest is head
        assert self.outbox.refuse(self.now) is oldest

    @precondition(lambda self: self.flight)
    @rule(part=st.floats(0, 0.99))
    def park(self, part: float) -> None:
        entry = self.flight[int(len(self.flight) * part)]
        if self.outbox.park(entry):
            self.flight.remove(entry)

    @rule(back=st.one_of(st.none(), st.integers(0, 400)))
    def reconnect(self, back: int | None) -> None:
        """The broker remembers only what lies before the position."""
        self.outbox.rewind(None if back is None else self.outbox.acknowledged - back)
        self.flight = []

    @rule(seconds=st.integers(0, 4))
    def wait(self, seconds: int) -> None:
        self.now += seconds * SECOND
        self.outbox.forget(self.now)

    @rule(most=st.integers(0, 60))
    def pack(self, most: int) -> None:
        self.outbox.pack(most)

    @rule()
    def fetch_drops(self) -> None:
        for drop in self.outbox.drops():
            self.lost |= {(drop.topic, n) for n in range(drop.from_n, drop.to_n + 1)}

    @invariant()
    def positions_are_in_order(self) -> None:
        o = self.outbox
        assert o.forgotten <= o.acknowledged <= o.taken <= o.end

    @invariant()
    def bytes_are_bounded(self) -> None:
        assert 0 <= self.outbox.unacknowledged_bytes <= self.outbox.bytes <= 20_000

    @invariant()
    def first_deliveries_keep_their_order(self) -> None:
        assert all(ns == sorted(set(ns)) for ns in self.first.values())

    def teardown(self) -> None:
        self.outbox.rewind(self.outbox.acknowledged)
        while batch := self.outbox.take(7):
            self.delivered |= {(e[0], e[3]) for e in batch}
            self.outbox.acknowledge(len(batch), self.now)
        self.fetch_drops()
        appended = {(topic, n) for topic, last in self.n.items() for n in range(1, last + 1)}
        assert appended == self.delivered | self.lost
        assert self.outbox.unacknowledged_bytes == 0


class TestLine(Line.TestCase):  # type: ignore[misc]
    settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
