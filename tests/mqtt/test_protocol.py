"""One connection as bytes and values: whatever comes gives events or BrokerLost, whatever goes fits the broker."""

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.entries import Entry
from bridge.errors import BrokerLost
from bridge.mqtt.protocol import ACK_WAIT_NS, MAX_INCOMING, Line
from bridge.mqtt.told import Acked, Connected, Ended, Event, Login, Pong, Rejected, StateAcked, Subscribed, Told

SECOND = 1_000_000_000
LOGIN = Login("me", "user", "secret", "health/bridge", b'{"status":"offline"}')


def accepted(receive_max: int = 65_535, max_packet: int | None = None, max_inflight: int = 100) -> Line:
    line = Line(10, max_inflight, 0)
    line.connect(LOGIN)
    told = mqtt5.ConnAckPacket(receive_max=receive_max, max_packet_size=max_packet).write()
    assert line.receive(told, 0) == [Connected()]
    return line


def entries(count: int) -> list[Entry]:
    return [("prices/x/A-B", b"{}", 1, n, 0, False) for n in range(1, count + 1)]


def puback(pid: int, reason: mqtt5.PubAckReasonCode = mqtt5.PubAckReasonCode.SUCCESS) -> bytes:
    return mqtt5.PubAckPacket(pid, reason_code=reason).write()


def test_we_connect_without_a_session_and_with_a_retained_will() -> None:
    packet, _ = mqtt5.read(memoryview(Line(10, 100, 0).connect(LOGIN)))
    assert isinstance(packet, mqtt5.ConnectPacket)
    assert packet.clean_start
    assert (packet.session_expiry_interval, packet.keep_alive) == (0, 10)
    assert (packet.username, packet.password) == ("user", b"secret")
    assert packet.will is not None
    assert (packet.will.topic, packet.will.payload) == ("health/bridge", b'{"status":"offline"}')
    assert packet.will.retain
    assert packet.will.message_expiry_interval is None


def test_a_refusal_is_said_in_words() -> None:
    refused = mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD).write()
    with pytest.raises(BrokerLost, match="bad user name or password"):
        Line(10, 100, 0).receive(refused, 0)


def test_a_broker_without_qos_1_is_of_no_use() -> None:
    told = mqtt5.ConnAckPacket(max_qos=mqtt5.QoS.AT_MOST_ONCE).write()
    with pytest.raises(BrokerLost, match="no QoS 1"):
        Line(10, 100, 0).receive(told, 0)


@pytest.mark.parametrize(("receive_max", "room"), [(65_535, 100), (20, 20), (1, 1)])
def test_the_window_is_the_smaller_of_ours_and_the_brokers(receive_max: int, room: int) -> None:
    assert accepted(receive_max).room == room


def test_states_and_streams_share_the_brokers_receive_maximum() -> None:
    line = accepted(receive_max=3)
    line.publish(entries(2), 0)
    assert (line.room, line.state_room) == (1, 1)
    line.state("health/x", b"{}", qos=1, retain=True, expiry_s=30)
    assert (line.room, line.state_room) == (0, 0)
    assert line.receive(puback(4), 0) == [StateAcked("health/x", None)]
    assert line.receive(puback(1), 0) == [Acked(1)]
    assert line.room == 2


def test_a_refused_message_is_told_in_its_place() -> None:
    line = accepted()
    line.publish(entries(3), 0)
    data = puback(1) + puback(2, mqtt5.PubAckReasonCode.NOT_AUTHORIZED) + puback(3)
    assert line.receive(data, 0) == [Acked(1), Rejected("not authorized (0x87)"), Acked(1)]


def test_a_state_too_large_for_the_broker_is_not_made_and_takes_no_room() -> None:
    line = accepted(max_packet=100)
    room = line.state_room
    assert line.state("catalogue/x", bytes(100), qos=1, retain=True, expiry_s=None) is None
    assert line.state_room == room


def test_silence_is_answered_by_a_ping_and_then_by_the_end() -> None:
    line = accepted()
    assert line.keep_alive(4 * SECOND) == b""
    assert line.keep_alive(5 * SECOND) == mqtt5.PingReqPacket().write()
    assert line.keep_alive(9 * SECOND) == b""
    with pytest.raises(BrokerLost, match="silent for 10 s"):
        line.keep_alive(10 * SECOND)


def test_anything_heard_proves_life() -> None:
    line = accepted()
    line.keep_alive(5 * SECOND)
    assert line.receive(mqtt5.PingRespPacket().write(), 6 * SECOND) == [Pong()]
    assert line.keep_alive(15 * SECOND) != b""


def test_a_broker_that_pings_but_acknowledges_nothing_is_given_up() -> None:
    line = accepted()
    line.publish(entries(1), 0)
    line.receive(mqtt5.PingRespPacket().write(), ACK_WAIT_NS)
    with pytest.raises(BrokerLost, match="acknowledges nothing"):
        line.keep_alive(ACK_WAIT_NS)


def test_a_pong_is_told_only_when_every_ping_is_answered() -> None:
    line = accepted()
    line.ping(0)
    line.ping(0)
    pong = mqtt5.PingRespPacket().write()
    assert line.receive(pong, 0) == []
    assert line.receive(pong, 0) == [Pong()]


def test_a_disconnect_gives_its_reason() -> None:
    goodbye = mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.MALFORMED_PACKET).write()
    assert accepted().receive(goodbye, 0) == [Ended(0x81, "malformed packet (0x81)")]


def test_a_refused_subscription_is_told_by_topic() -> None:
    line = accepted()
    packet, _ = mqtt5.read(memoryview(line.subscribe(["a", "b"])))
    assert isinstance(packet, mqtt5.SubscribePacket)
    codes = [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_MOST_ONCE, mqtt5.SubAckReasonCode.NOT_AUTHORIZED]
    answer = mqtt5.SubAckPacket(packet.packet_id, codes).write()
    assert line.receive(answer, 0) == [Subscribed({"b": "not authorized (0x87)"})]


@pytest.mark.parametrize("length", [MAX_INCOMING + 1, 268_435_455])
def test_a_packet_that_is_not_for_us_ends_the_line(length: int) -> None:
    packet = mqtt5.PublishPacket("t", bytes(length if length < 10**6 else 0)).write()
    data = packet if length < 10**6 else b"\x30\xff\xff\xff\x7f"
    with pytest.raises(BrokerLost, match="a packet of"):
        accepted().receive(data, 0)


@given(st.integers(1, 30), st.data())
def test_packets_cut_anywhere_tell_the_same(cut: int, data: st.DataObject) -> None:
    stream = puback(1) + mqtt5.PublishPacket("t", b"x" * 200).write() + puback(2) + puback(3)
    whole, pieces = accepted(), accepted()
    for line in (whole, pieces):
        line.publish(entries(3), 0)
    step = data.draw(st.integers(1, 50)) + cut
    told = [event for i in range(0, len(stream), step) for event in pieces.receive(stream[i : i + step], 0)]
    assert settled(told) == settled(whole.receive(stream, 0)) == (3, [Told("t", b"x" * 200)])


def settled(events: list[Event]) -> tuple[int, list[Event]]:
    return sum(e.count for e in events if isinstance(e, Acked)), [e for e in events if not isinstance(e, Acked)]


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_bytes_give_events_or_the_end(pieces: list[bytes]) -> None:
    line = accepted()
    line.publish(entries(5), 0)
    try:
        for piece in pieces:
            line.receive(piece, 0)
    except BrokerLost:
        return
    assert line.in_flight <= 5
