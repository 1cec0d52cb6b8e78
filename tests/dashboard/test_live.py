"""Live states from a real Mosquitto."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import aiomqtt
import msgspec
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bridge.settings import Broker as BrokerSettings
from bridge.settings import Settings
from bridge.vitals import Vitals
from dashboard.live import LiveStates
from tests.broker import Broker
from tests.dashboard.live_market import until

pytestmark = pytest.mark.real


@pytest.fixture
async def live(broker: Broker) -> AsyncIterator[LiveStates]:
    live = LiveStates(Settings(broker=BrokerSettings(port=broker.port)))
    running = asyncio.create_task(live.run())
    await until(lambda: live.connected, "connected")
    yield live
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def publish(broker: Broker, topic: str, payload: bytes, expiry_s: int | None = None) -> None:
    properties = Properties(PacketTypes.PUBLISH)
    if expiry_s is not None:
        properties.MessageExpiryInterval = expiry_s
    async with aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.publish(topic, payload, qos=1, retain=True, properties=properties)


async def test_latest_is_given_with_its_digits_and_its_age_by_now(broker: Broker, live: LiveStates) -> None:
    await publish(broker, "latest/kucoin/BTC-USDT", b'{"price":0.00000012,"stale":false,"age_ms":120}', 25)
    await publish(broker, "health/kucoin", b'{"status":"online"}', 30)
    await until(live.health, "it spoke")
    payload = (await live.latest())["kucoin", "BTC-USDT"]
    assert b'"price":0.00000012' in payload
    # 5 s of the 30 had passed before it was received, and the wait for others after
    assert 5120 <= json.loads(payload)["age_ms"] < 9000


@pytest.mark.parametrize("expiry_s", [7200, None])
async def test_what_the_broker_retained_is_not_fresh_before_its_exchange_spoke(
    broker: Broker, live: LiveStates, expiry_s: int | None
) -> None:
    await publish(broker, "latest/kucoin/BTC-USDT", b'{"price":1,"stale":false,"age_ms":120}', expiry_s)
    told = json.loads((await live.latest())["kucoin", "BTC-USDT"])
    assert (told["stale"], "age_ms" in told) == (True, False)
    await publish(broker, "health/kucoin", b'{"status":"online"}', 30)
    await until(live.health, "it spoke")
    assert json.loads((await live.latest())["kucoin", "BTC-USDT"])["stale"] is False
    assert (live._states["latest/kucoin/BTC-USDT"].until_s or 2**63) < time.monotonic() + 31


@pytest.mark.parametrize("payload", [b'{"a":' + b"[" * 5000, b'{"a":"\xff"}', b'{"instruments":[{"symbol":5}]}'])
async def test_foreign_bytes_are_counted_and_end_nothing(broker: Broker, live: LiveStates, payload: bytes) -> None:
    await publish(broker, "catalogue/kucoin", payload)
    await until(lambda: live.unreadable == 1, "counted")
    assert live.instruments() == {}


async def test_what_has_expired_is_not_given_out(broker: Broker, live: LiveStates) -> None:
    await live.latest()
    await publish(broker, "latest/kucoin/BTC-USDT", b'{"price":1}', 1)
    await until(lambda: live._states.get("latest/kucoin/BTC-USDT"), "it is there")
    await until(lambda: _is_empty(live), "it is gone")


async def _is_empty(live: LiveStates) -> bool:
    return not await live.latest()


async def test_health_and_instruments_are_known_without_asking(broker: Broker, live: LiveStates) -> None:
    await publish(broker, "health/kucoin", b'{"status":"online"}', 30)
    instruments = b'{"time_ns":1,"instruments":[{"symbol":"BTC-USDT","price_step":0.10},{"odd":1}]}'
    await publish(broker, "catalogue/kucoin", instruments)
    await until(lambda: live.instruments() and live.health(), "both are there")
    assert msgspec.json.encode(live.health()) == b'{"kucoin":{"status":"online"}}'
    assert msgspec.json.encode(live.instruments()["kucoin", "BTC-USDT"]) == b'{"symbol":"BTC-USDT","price_step":0.10}'


async def test_a_state_that_is_no_object_is_counted_and_left_out(broker: Broker, live: LiveStates) -> None:
    await publish(broker, "health/kucoin", b"?")
    await until(lambda: live.unreadable == 1, "counted")
    assert live.health() == {}


async def test_it_comes_back_after_the_broker_does(broker: Broker, live: LiveStates) -> None:
    broker.kill9()
    await until(lambda: not live.connected, "it is known that the broker is away")
    broker.start()
    await publish(broker, "health/kucoin", b'{"status":"online"}')
    await until(lambda: live.connected and live.health(), "again")


async def test_a_subscription_that_the_broker_forgot_is_asked_for_anew(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.renewal.RENEW_S", 0.2)
    vitals = Vitals(time.monotonic_ns, 5)
    live = LiveStates(Settings(broker=BrokerSettings(port=broker.port)), vitals)
    running = asyncio.create_task(live.run())
    await until(lambda: live.connected, "connected")
    client = live._client
    assert client is not None
    await client.unsubscribe("health/#")
    await publish(broker, "health/kucoin", b'{"status":"online"}', 30)
    await until(live.health, "what was said meanwhile is heard")
    assert live._client is client, "on the same connection"
    assert not vitals.stuck()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
