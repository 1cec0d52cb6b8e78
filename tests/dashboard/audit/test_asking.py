"""What others answer is material, never trusted: a strange answer costs one look, not the dashboard."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bridge.errors import BrokerLost
from bridge.settings import Audit as AuditSettings
from bridge.settings import Broker as BrokerSettings
from bridge.settings import Settings
from dashboard.audit.asking import BridgeAway, BridgeRefuses, asking
from dashboard.audit.keeper import Keeper
from tests.asking import BTC, RUN, House, Past, S, calling, serving
from tests.broker import Broker
from tests.dashboard.audit.shelf import Shelf

GOOD = {"ok": True, "rows": [], "run": 1, "time_ns": S, "version": 1}


def settings_for(broker: Broker, user: str = "dashboard", **audit: Any) -> Settings:
    name, password = broker.credentials(user)
    at = BrokerSettings(port=broker.port, user=name, password=password)
    return Settings(broker=at, audit=AuditSettings(**audit))


@asynccontextmanager
async def impostor(broker: Broker, *answers: bytes) -> AsyncIterator[None]:
    """Somebody who answers every request with these bytes."""
    async with aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe("tickbridge/request/+", qos=1)

        async def answer() -> None:
            async for message in client.messages:
                properties = Properties(PacketTypes.PUBLISH)
                properties.CorrelationData = message.properties.CorrelationData  # type: ignore[union-attr]
                for payload in answers:
                    await client.publish(message.properties.ResponseTopic, payload, properties=properties)  # type: ignore[union-attr]

        task = asyncio.create_task(answer())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.mark.real
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b"null",
        b'{"ok":"yes"}',
        b'{"ok":true,"page":7,"pages":9}',
        b'{"ok":true,"pages":99999999}',
        b'{"ok":true,"rows":[1,2,3],"run":1,"time_ns":1,"version":1}',
        b'{"ok":true,"rows":[{"topic":"","n":-1}],"run":1,"time_ns":1,"version":1}',
        b'{"ok":true,"rows":[{"topic":"a/b/c","n":1e400}],"run":1,"time_ns":1,"version":1}',
        b'{"ok":true,"rows":[]}',
        b'{"ok":false,"error":"no"}',
        b'{"ok":false}',
    ],
)
async def test_a_hostile_answer_ends_nothing(broker: Broker, answer: bytes) -> None:
    keeper = Keeper(settings_for(broker), Shelf())
    async with impostor(broker, answer), asking(settings_for(broker), "audit") as bridge:
        with pytest.raises((BridgeAway, BridgeRefuses)):
            await keeper.look(bridge)
        assert await keeper.round(bridge) > 0
        assert keeper.proof()["state"] == "waiting"


@pytest.mark.real
async def test_topics_of_no_stream_are_passed_over(broker: Broker) -> None:
    rows = [
        {"topic": topic, "run": 1, "n": 5, "acknowledged": 5, "first_ns": 1, "last_ns": 2}
        for topic in ("../../etc/passwd", "prices", "x" * 500, "prices/a/b/c/d", "$SYS/broker")
    ]
    keeper = Keeper(settings_for(broker), Shelf())
    answer = json.dumps({**GOOD, "rows": rows}).encode()
    async with impostor(broker, answer), asking(settings_for(broker), "audit") as bridge:
        await keeper.look(bridge)
        assert (await bridge.ledger()).rows == []
    assert keeper.proof()["state"] == "complete"


@pytest.mark.real
async def test_at_the_start_nothing_is_called_complete_before_a_row_is_found(broker: Broker) -> None:
    now_ns = 1_795_248_000 * 10**9
    row = {
        "topic": "prices/kucoin/BTC-USDT",
        "run": 1,
        "n": 5,
        "acknowledged": 5,
        "first_ns": now_ns,
        "last_ns": now_ns,
    }
    answer = json.dumps({**GOOD, "rows": [row], "time_ns": now_ns}).encode()
    keeper = Keeper(settings_for(broker), Shelf(), lambda: now_ns)
    async with impostor(broker, answer), asking(settings_for(broker), "audit") as bridge:
        await keeper.look(bridge)
    assert keeper.proof()["state"] == "starting"
    assert "complete_until_ns" not in keeper.proof()


@pytest.mark.real
async def test_a_bridge_that_is_not_there_yet_is_asked_again_soon(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("dashboard.audit.asking.ANSWER_S", 0.1)
    keeper = Keeper(settings_for(broker), Shelf())
    async with asking(settings_for(broker), "audit") as bridge:
        assert await keeper.round(bridge) <= 1
    assert keeper.proof()["state"] == "waiting"
    assert "the proof waits" not in caplog.text


@pytest.mark.real
async def test_nobody_can_guess_where_an_answer_is_expected_nor_to_what(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may ask, too, could else have the bridge answer in another's place."""
    monkeypatch.setattr("dashboard.audit.asking.ANSWER_S", 0.05)
    async with aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5) as witness:
        await witness.subscribe("tickbridge/request/+", qos=1)
        for _ in range(2):
            async with asking(settings_for(broker), "audit") as bridge:
                for _ in range(2):
                    with pytest.raises(BridgeAway):
                        await bridge.ledger()
        asked: list[Any] = [(await anext(witness.messages)).properties for _ in range(4)]
    places = {properties.ResponseTopic for properties in asked}
    assert len(places) == 2
    assert {len(place.rpartition("/")[2]) for place in places} == {16}
    questions = {properties.CorrelationData for properties in asked}
    assert len(questions) == 4
    assert {len(one) for one in questions} == {16}


@pytest.mark.real
async def test_nobody_answers(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.audit.asking.ANSWER_S", 0.1)
    async with asking(settings_for(broker), "audit") as bridge:
        with pytest.raises(BridgeAway, match="does not answer"):
            await bridge.ledger()


async def test_no_broker_is_said_plainly() -> None:
    settings = Settings(broker=BrokerSettings(port=1, connect_timeout_s=2))
    with pytest.raises(BrokerLost, match=r"127\.0\.0\.1:1"):
        async with asking(settings, "audit"):
            pass


@pytest.mark.real
async def test_a_real_desk_is_asked_with_our_access_list(guarded_broker: Broker) -> None:
    house = House(1000)
    settings = settings_for(guarded_broker)
    async with (
        serving(house, guarded_broker, Past()),
        calling(house, guarded_broker),
        asking(settings, "audit") as bridge,
    ):
        told = await bridge.ledger()
        assert [(row.topic, row.n, row.run) for row in told.rows] == [(BTC, 1000, RUN)]
        assert (await bridge.ledger(told.version)).rows == []
        asked = {"topic": BTC, "run": RUN, "from_n": 5, "to_n": 7}
        assert (await bridge.resend(asked)).resent == 3
        assert (await bridge.lost(asked)).gap == "7-1"
        assert (await bridge.lost(asked)).known
        (gap,) = await bridge.gaps(0, 2000 * S)
        assert [one.pair for one in gap.lost or ()] == [(5, 7)]
        await bridge.found(asked)
        assert house.told[-1].state == "partial" or house.told[-1].filled == 3


@pytest.mark.real
async def test_a_hole_is_asked_for_once_and_told_lost_when_it_does_not_come(broker: Broker) -> None:
    """By the bridge's own desk: the store gets everything but one message, and the log's copy never arrives."""
    house, shelf, clock = House(5), Shelf(), [1000 * S]
    house.desk.now_ns = lambda: clock[0]
    for n in (1, 2, 4, 5):
        shelf.put(BTC, n, (990 + n) * S)
    keeper = Keeper(settings_for(broker, reach_s=3600, settle_s=1), shelf, lambda: clock[0])
    seen: list[tuple[int, int]] = []
    async with serving(house, broker), calling(house, broker), asking(settings_for(broker), "audit") as bridge:
        for look in range(10):
            await keeper.look(bridge)
            clock[0] += 20 * S
            at_ns = clock[0]
            house.streams.publish(house.streams.stream(BTC), '{"price":1', at_ns, at_ns)
            shelf.put(BTC, 6 + look, at_ns)
            seen.append((keeper.counts.resends, len(keeper.ranges()["missing_ranges"])))
    assert sorted(set(seen)) == [(0, 0), (1, 1), (2, 0), (2, 1)], seen
    assert keeper.counts.lost == 1
    assert [entry[3] for entry in house.sent_again()] == [3, 3]
    assert [(one["from_n"], one["to_n"]) for one in house.told[-1].lost or ()] == [(3, 3)]
    assert keeper.proof()["state"] == "complete"
