"""The publisher against a real Mosquitto: what is appended arrives, whatever happens to broker and line."""

import asyncio
import logging
from pathlib import Path

import aiomqtt
import msgspec
import pytest
import uvloop

from bridge.mqtt import publisher
from bridge.topics import State
from tests.broker import Broker
from tests.mqtt.cutting import CuttingBroker
from tests.mqtt.house import CLIENT_ID, PATIENCE_S, RUN, House, listening, running, until

pytestmark = pytest.mark.real
PRICE = "prices/x/A-B"
HEALTH = "health/bridge"
MARKER = f"tickbridge/marker/{CLIENT_ID}"


def state(topic: str, payload: bytes = b"{}", qos: int = 0, expiry_s: int | None = None) -> State:
    return State(topic, lambda _: payload, qos=qos, expiry_s=expiry_s)


async def test_what_is_appended_arrives_in_order_with_its_content_type(broker: Broker) -> None:
    async with listening(broker, "prices/#") as listener, running(House(broker)) as house:
        house.publish(5_000)
        await until(lambda: len(listener.messages) >= 5_000, "all arrive")
        await house.settled()
    assert listener.numbers(PRICE) == list(range(1, 5_001))
    first = listener.messages[0]
    assert first.qos == 1
    assert not first.retain
    assert first.properties is not None
    assert first.properties.ContentType == "application/json"
    assert not hasattr(first.properties, "UserProperty")
    assert not hasattr(first.properties, "MessageExpiryInterval")
    assert house.publisher.figures.published == 5_000


async def test_a_long_gathering_does_not_keep_the_answers_waiting(broker: Broker) -> None:
    async with running(House(broker, gather_ms=1000)) as house:
        await house.connected()
        house.publish(500)
        await until(lambda: house.outbox.untaken == 0, "all are sent")
        await until(lambda: house.outbox.unacknowledged == 0, "all are answered", seconds=0.5)


async def test_messages_that_nobody_hears_are_published_and_counted(broker: Broker) -> None:
    async with running(House(broker)) as house:
        house.publish(50)
        await house.settled()
    assert house.publisher.figures.unheard == 50
    assert house.outbox.dropped == 0


async def test_the_birth_comes_behind_the_states(broker: Broker) -> None:
    async with listening(broker, "#") as listener:
        house = House(broker)
        for topic in (HEALTH, "latest/x/A-B", "catalogue/x"):
            house.states.put(state(topic, b'{"status":"from the app"}' if topic == HEALTH else b"{}"))
        async with running(house):
            await until(lambda: listener.last(HEALTH).get("status") == "online", "the birth")
    topics = [str(m.topic) for m in listener.messages if not str(m.topic).startswith("tickbridge/")]
    assert topics == ["latest/x/A-B", "catalogue/x", HEALTH, HEALTH]


async def test_a_state_carries_its_expiry_and_is_retained(broker: Broker) -> None:
    async with running(House(broker)) as house:
        house.states.put(state("latest/x/A-B", expiry_s=30))
        house.publisher.wake()
        await until(lambda: house.publisher.figures.states == 1, "the state is sent")
        async with listening(broker, "latest/#", HEALTH) as listener:
            await until(lambda: len(listener.messages) == 2, "both states are retained")
    by_topic = {str(message.topic): message for message in listener.messages}
    properties = by_topic["latest/x/A-B"].properties
    assert properties is not None
    assert 25 <= properties.MessageExpiryInterval <= 30
    assert by_topic[HEALTH].retain


@pytest.mark.slow
async def test_after_a_crash_of_the_broker_every_number_is_there(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "m", replace={"autosave_interval 30": "autosave_interval 2"}).start()
    try:
        async with listening(broker, "prices/#", session="store") as listener, running(House(broker)) as house:
            broker.save()
            enough = asyncio.Event()
            appending = asyncio.create_task(append_until(house, enough))
            for kills in (1, 2):
                seen = len(set(listener.numbers(PRICE)))
                await until(lambda more=seen + 1_500: len(set(listener.numbers(PRICE))) > more, "messages flow")
                broker.kill9()
                broker.start()
                await until(lambda count=kills: house.publisher.figures.reconnects == count, "it reconnects")
            enough.set()
            await appending
            await house.settled()
            await until(lambda: set(listener.numbers(PRICE)) == set(range(1, house.n[PRICE] + 1)), "every number")
            assert house.outbox.dropped == 0
            again = [m for m in listener.messages if m.properties and hasattr(m.properties, "UserProperty")]
            assert {pair for m in again for pair in m.properties.UserProperty} == {("resent", "1")}
    finally:
        broker.stop()


async def append_until(house: House, enough: asyncio.Event) -> None:
    while not enough.is_set():
        house.publish(20)
        await asyncio.sleep(0.01)


async def test_the_log_is_rewound_to_the_marker(broker: Broker) -> None:
    async with running(House(broker)) as house:
        house.publish(100)
        await house.settled()
        async with aiomqtt.Client(broker.host, broker.port) as client:
            marker = msgspec.json.encode({"run": RUN, "position": 60})
            await until(lambda: house.publisher.figures.published == 100, "all are published")
            async with listening(broker, MARKER) as markers:
                await until(lambda: markers.last(MARKER).get("position") == 100, "the marker moves")
                await client.publish(MARKER, marker, qos=1, retain=True)
                async with listening(broker, "prices/#") as listener:
                    house.publisher.renew()
                    await until(lambda: house.publisher.figures.reconnects == 1, "it reconnects")
                    await until(lambda: len(listener.messages) >= 40, "what follows the marker")
                    await house.settled()
    # a renewal writes the marker before it leaves, but only if it moved: the forged one stood
    assert listener.numbers(PRICE) == list(range(61, 101))
    assert all(m.properties is not None and m.properties.UserProperty == [("resent", "1")] for m in listener.messages)


@pytest.mark.parametrize("marker", [b"", b"no json", b'{"run":1,"position":99}', b'{"run":1743147000123}'])
async def test_without_a_marker_of_ours_everything_is_sent_again(broker: Broker, marker: bytes) -> None:
    async with running(House(broker)) as house:
        house.publish(20)
        await house.settled()
        async with listening(broker, MARKER) as markers:
            await until(lambda: markers.last(MARKER).get("position") == 20, "the marker moves")
        async with aiomqtt.Client(broker.host, broker.port) as client:
            await client.publish(MARKER, marker, qos=1, retain=True)
        async with listening(broker, "prices/#") as listener:
            house.publisher.renew()
            await until(lambda: listener.numbers(PRICE) == list(range(1, 21)), "all again")


async def test_a_new_run_renews_the_will_and_sends_nothing_twice(broker: Broker) -> None:
    async with listening(broker, "prices/#", HEALTH) as listener, running(House(broker)) as house:
        house.publish(10)
        await house.settled()
        house.identity.run = RUN + 1
        house.publisher.renew()
        await until(lambda: listener.last(HEALTH).get("run") == RUN + 1, "the new birth")
    assert listener.numbers(PRICE) == list(range(1, 11))
    assert "offline" not in [msgspec.json.decode(p)["status"] for p in listener.payloads(HEALTH)]


async def test_a_wrong_password_is_said_once_and_tried_again(
    guarded_broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with running(House(guarded_broker, password="wrong")) as house:
            await until(lambda: house.publisher.figures.connection >= 3, "it tries again")
    said = [record.message for record in caplog.records if record.name == "bridge.mqtt.publisher"]
    assert len(said) == 1
    assert "refuses us: not authorized (0x87)" in said[0]
    assert "wrong" not in said[0]
    assert not house.publisher.figures.connected


async def test_a_denied_topic_is_counted_and_the_others_flow(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    acl = "user bridge\ntopic readwrite #\ntopic deny trades/#\nuser dashboard\ntopic read #\n"
    with Broker(tmp_path / "m", with_users=True, acl=acl) as broker, caplog.at_level(logging.WARNING):
        async with listening(broker, "prices/#") as listener, running(House(broker)) as house:
            for _ in range(30):
                house.publish(1)
                house.publish(1, topic="trades/x/A-B")
            await until(lambda: len(listener.messages) == 30, "the prices flow")
            await house.settled()
    refusal = house.publisher.figures.refused["trades"]
    assert (refusal.count, refusal.reason) == (30, "not authorized (0x87)")
    assert [(d.topic, d.from_n, d.to_n, d.cause) for d in house.outbox.drops()] == [("trades/x/A-B", 1, 30, "refused")]
    assert len([r for r in caplog.records if "refuses trades/" in r.message]) == 1


async def test_what_is_too_large_for_the_broker_is_refused_and_the_others_flow(tmp_path: Path) -> None:
    with Broker(tmp_path / "m", replace={"max_packet_size 1048576": "max_packet_size 2000"}) as broker:
        async with listening(broker, "prices/#") as listener, running(House(broker)) as house:
            house.publish(1)
            house.publish(1, payload=b" " * 5_000)
            house.publish(1)
            house.states.put(state("catalogue/x", b" " * 5_000, qos=1))
            await until(lambda: len(listener.messages) == 2, "the others arrive")
            await house.settled()
            await until(lambda: "catalogue" in house.publisher.figures.refused, "the state is refused")
        assert listener.numbers(PRICE) == [1, 3]
        assert [(d.from_n, d.to_n, d.cause) for d in house.outbox.drops()] == [(2, 2, "refused")]
        assert house.publisher.figures.reconnects == 0


async def test_a_message_that_the_broker_cuts_the_line_for_is_parked(broker: Broker) -> None:
    poison = "prices/x/A\x01B"
    async with listening(broker, "prices/#") as listener, running(House(broker)) as house:
        house.publish(10)
        house.publish(1, topic=poison)
        house.publish(10)
        await house.settled()
        await until(lambda: set(listener.numbers(PRICE)) == set(range(1, 21)), "the others arrive")
    assert [(d.topic, d.from_n, d.cause) for d in house.outbox.drops()] == [(poison, 1, "refused")]
    assert house.publisher.figures.refused["prices"].count == 1


async def test_a_message_that_the_broker_cuts_the_line_for_without_a_word_is_parked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publisher, "BACKOFF_FIRST_S", 0.02)
    async with CuttingBroker(b"poison").running() as broker, running(House(broker)) as house:
        house.publish(50)
        await until(lambda: house.outbox.acknowledged == 50, "the good ones before it")
        house.publish(1, payload=b"poison")
        house.publish(50)
        await house.settled()
    assert len(broker.accepted) == 100
    assert [(d.topic, d.from_n, d.to_n, d.cause) for d in house.outbox.drops()] == [(PRICE, 51, 51, "refused")]
    assert broker.connections < 10


async def test_a_state_that_the_broker_cuts_the_line_for_is_parked(broker: Broker) -> None:
    async with listening(broker, "#") as listener, running(House(broker)) as house:
        house.states.put(state("latest/x/A\x01B"))
        house.states.put(state("latest/x/A-B"))
        house.publish(3)
        house.publisher.wake()
        await until(lambda: house.states.parked == 1, "the state is parked")
        await until(lambda: listener.payloads("latest/x/A-B"), "the other state arrives")
        await until(lambda: set(listener.numbers(PRICE)) == {1, 2, 3}, "the stream flows")
    assert house.outbox.dropped == 0


async def test_a_stopped_broker_is_noticed_and_nothing_is_lost(broker: Broker) -> None:
    house = House(broker, keepalive_s=5, connect_timeout_s=1)
    async with listening(broker, "prices/#", session="store") as listener, running(house):
        house.publish(10)
        await house.settled()
        broker.stop_process()
        house.publish(10)
        await until(lambda: not house.publisher.figures.connected, "the silence is noticed")
        assert "silent" in house.publisher.figures.reason
        broker.continue_process()
        await until(lambda: set(listener.numbers(PRICE)) == set(range(1, 21)), "every number")
        await house.settled()
        assert house.outbox.dropped == 0


async def test_a_foreign_value_of_our_health_is_overwritten_at_once(broker: Broker) -> None:
    async with listening(broker, HEALTH) as listener, running(House(broker)) as house:
        await until(lambda: listener.last(HEALTH).get("status") == "online", "the birth")
        late_will = house.identity.bridge_health("offline", 0, 0)
        async with aiomqtt.Client(broker.host, broker.port) as client:
            await client.publish(HEALTH, late_will, qos=1, retain=True)
        await until(lambda: house.publisher.figures.overwritten == 1, "it is noticed")
        await until(lambda: listener.last(HEALTH).get("status") == "online", "it is overwritten")


async def test_the_will_speaks_when_the_line_is_cut(broker: Broker) -> None:
    async with listening(broker, HEALTH) as listener:
        async with running(House(broker)) as house:
            await until(lambda: listener.last(HEALTH).get("status") == "online", "the birth")
        await until(lambda: listener.last(HEALTH).get("status") == "offline", "the will")
    assert listener.last(HEALTH)["connection"] == house.publisher.connection == 1


async def test_closing_drains_and_says_stopped_for_ever(broker: Broker) -> None:
    async with listening(broker, "prices/#", HEALTH) as listener, running(House(broker)) as house:
        await house.connected()
        house.publish(2_000)
        assert await house.publisher.close(drain_s=5) == 0
        await until(lambda: listener.last(HEALTH).get("status") == "stopped", "stopped is said")
        await until(lambda: len(listener.numbers(PRICE)) == 2_000, "all arrive")
        async with listening(broker, HEALTH) as late:
            await until(lambda: late.messages, "it is retained")
    assert "offline" not in [msgspec.json.decode(p)["status"] for p in listener.payloads(HEALTH)]
    (message,) = late.messages
    assert not hasattr(message.properties, "MessageExpiryInterval")


async def test_closing_hands_over_to_a_broker_that_is_back_since_the_last_try(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.backoff.random.uniform", lambda least, most: 3600.0)
    async with listening(broker, "prices/#", session="store") as listener, running(House(broker)) as house:
        await house.connected()
        broker.stop()
        await until(lambda: bool(house.publisher.figures.reason), "it is missed")
        house.publish(7)
        broker.start()
        assert await house.publisher.close(drain_s=5) == 0
        await until(lambda: set(listener.numbers(PRICE)) == set(range(1, 8)), "every number")


async def test_closing_without_a_broker_counts_what_is_left(broker: Broker) -> None:
    broker.stop()
    async with running(House(broker)) as house:
        house.publish(7)
        assert await house.publisher.close(drain_s=0.2) == 7
    assert house.outbox.abandon() == 7


async def test_a_broker_that_hides_the_marker_still_gets_everything(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    acl = "user bridge\ntopic readwrite prices/#\ntopic readwrite health/#\nuser dashboard\ntopic read #\n"
    with Broker(tmp_path / "m", with_users=True, acl=acl) as broker, caplog.at_level(logging.WARNING):
        async with listening(broker, "prices/#") as listener, running(House(broker)) as house:
            house.publish(5)
            await until(lambda: listener.numbers(PRICE) == [1, 2, 3, 4, 5], "all arrive")
    assert any("no marker" in record.message for record in caplog.records)


async def test_two_publishers_with_one_client_id_throw_each_other_out_ever_more_rarely(broker: Broker) -> None:
    async with running(House(broker)) as first, running(House(broker)) as second:
        await until(lambda: first.publisher.connection + second.publisher.connection >= 6, "they fight")
        assert max(first.publisher._backoff._tries, second.publisher._backoff._tries) >= 2


def test_on_uvloop_messages_flow_and_the_end_is_clean(broker: Broker) -> None:
    async def main() -> list[int]:
        async with listening(broker, "prices/#") as listener, running(House(broker)) as house:
            house.publish(10_000)
            await house.settled()
            assert await house.publisher.close(5) == 0
            await until(lambda: len(listener.messages) >= 10_000, "all arrive")
            return listener.numbers(PRICE)

    assert uvloop.run(main()) == list(range(1, 10_001))


async def test_a_mistake_of_ours_ends_the_publisher_instead_of_hiding(broker: Broker) -> None:
    house = House(broker)
    task = asyncio.create_task(house.publisher.run())
    await house.connected()
    house.states.put(State("latest/x/A-B", lambda _: 1 // 0 and b""))
    house.publisher.wake()
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(task, PATIENCE_S)
