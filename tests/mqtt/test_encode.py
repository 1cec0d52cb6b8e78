"""Packets made by hand are byte for byte those of mqtt5."""

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.entries import Entry
from bridge.mqtt.encode import RESENT, Encoder
from bridge.topics import CONTENT_TYPE


def entry(topic: str, payload: bytes, again: bool = False) -> Entry:
    return topic, payload, 1, 1, 0, again


def by_library(topic: str, payload: bytes, pid: int, again: bool) -> bytes:
    return mqtt5.PublishPacket(
        topic,
        payload,
        qos=mqtt5.QoS.AT_LEAST_ONCE,
        packet_id=pid,
        content_type=CONTENT_TYPE,
        user_properties=[RESENT] if again else None,
    ).write()


TOPICS = st.text(st.characters(exclude_categories=("C",), exclude_characters="+#"), min_size=1, max_size=60)


@given(st.lists(st.tuples(TOPICS, st.binary(max_size=300), st.booleans()), max_size=10))
def test_packets_equal_the_librarys(messages: list[tuple[str, bytes, bool]]) -> None:
    data, unfit = Encoder(100, None).encode([entry(*message) for message in messages])
    assert data == b"".join(
        by_library(topic, payload, pid, again) for pid, (topic, payload, again) in enumerate(messages, 1)
    )
    assert unfit == []


@pytest.mark.parametrize("size", [60, 61, 95, 96, 97, 2_000, 2_040, 16_340, 16_350, 16_384, 2_097_100, 2_097_152])
def test_lengths_equal_the_librarys_at_every_width(size: int) -> None:
    data, _ = Encoder(9, None).encode([entry("prices/x/A-B", bytes(size))])
    assert data == by_library("prices/x/A-B", bytes(size), 1, False)


def test_packet_ids_go_round() -> None:
    encoder = Encoder(2, None)
    data, _ = encoder.encode([entry("t", b""), entry("t", b""), entry("t", b"")])
    assert data == b"".join(by_library("t", b"", pid, False) for pid in (1, 2, 1))


@pytest.mark.parametrize("payload", [100, 150, 16_400])
def test_a_packet_of_the_brokers_very_size_is_sent_and_one_byte_more_is_not(payload: int) -> None:
    size = len(by_library("t", bytes(payload), 1, False))
    fits = entry("t", bytes(payload))
    assert Encoder(9, size).encode([fits])[1] == []
    assert Encoder(9, size - 1).encode([fits]) == (b"", [fits])


@pytest.mark.parametrize("topic", ["x" * 70_000, "\ud800"])
def test_a_topic_that_no_packet_can_carry_is_unfit(topic: str) -> None:
    bad, good = entry(topic, b""), entry("t", b"")
    data, unfit = Encoder(9, None).encode([bad, good])
    assert (data, unfit) == (by_library("t", b"", 1, False), [bad])
