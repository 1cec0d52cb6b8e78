"""PUBACKs are counted whatever form, order and company they come in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BrokerLost
from bridge.mqtt.acks import Acks


def ack(pid: int, reason: int | None = None) -> bytes:
    head = b"\x40\x02" if reason is None else b"\x40\x03"
    return head + pid.to_bytes(2, "big") + (b"" if reason is None else bytes([reason]))


def test_a_read_of_many_is_taken_at_once() -> None:
    acks = Acks(10)
    acks.sent(7)
    buffer = b"".join(ack(pid) for pid in range(1, 8))
    assert acks.run(buffer, 0) == (7, len(buffer))
    assert acks.in_flight == 0


def test_ids_go_round() -> None:
    acks = Acks(3)
    for _ in range(5):
        acks.sent(2)
        buffer = b"".join(ack(pid) for pid in (acks._next, acks._next % 3 + 1))
        assert acks.run(buffer, 0) == (2, 8)


def test_messages_without_subscribers_are_counted() -> None:
    acks = Acks(10)
    acks.sent(5)
    buffer = ack(1) + ack(2, 0x10) + ack(3, 0x10) + ack(4, 0) + ack(5, 0x10)
    assert acks.run(buffer, 0) == (5, len(buffer))
    assert acks.unheard == 3


def test_a_refusal_stops_the_run() -> None:
    acks = Acks(10)
    acks.sent(3)
    assert acks.run(ack(1) + ack(2, 0x87) + ack(3), 0) == (1, 4)
    assert acks.answered(2, 0x87) == [0x87]
    assert acks.run(ack(3), 0) == (1, 4)


def test_an_acknowledgement_out_of_order_waits_for_its_turn() -> None:
    acks = Acks(10)
    acks.sent(3)
    assert acks.answered(2, 0x10) == []
    assert acks.answered(1, 0) == [0, 0x10]
    assert (acks.in_flight, acks.unheard) == (1, 1)


@pytest.mark.parametrize("pid", [3, 9])
def test_an_acknowledgement_of_nothing_ends_the_line(pid: int) -> None:
    acks = Acks(10)
    acks.sent(2)
    with pytest.raises(BrokerLost):
        acks.answered(pid, 0)


@given(st.lists(st.sampled_from([None, 0, 0x10]), max_size=40), st.data())
def test_any_mixture_cut_anywhere_is_counted_whole(reasons: list[int | None], data: st.DataObject) -> None:
    acks = Acks(16)
    stream = b"".join(ack(i % 16 + 1, reason) for i, reason in enumerate(reasons))
    cut = data.draw(st.integers(0, len(stream)))
    total = 0
    rest = b""
    for piece in (stream[:cut], stream[cut:]):
        buffer, place = rest + piece, 0
        acks.sent(min(16, len(reasons) - total) - acks.in_flight)
        while (step := acks.run(buffer, place))[0]:
            total, place = total + step[0], step[1]
            acks.sent(min(16, len(reasons) - total) - acks.in_flight)
        rest = buffer[place:]
    assert (total, rest) == (len(reasons), b"")
    assert acks.unheard == reasons.count(0x10)
