"""`tickbridge clean`: what is left over of ours is shown, removed only when told to, and nothing else is touched."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import aiomqtt
import pytest

from bridge.cli import main
from bridge.leftovers import leftovers
from bridge.settings import Settings
from tests.broker import Broker

OURS = b'{"origin":{"name":"tickbridge"}}'
WANTED = (
    "latest/kucoin/BTC-USDT",
    "stats/kucoin/BTC-USDT",
    "forming/kucoin/BTC-USDT/1m",
    "health/kucoin",
    "health/bridge",
    "catalogue/kucoin",
    "sensors/kucoin",
    "sensors/bridge",
    "homeassistant/device/tickbridge_kucoin/config",
    "homeassistant/device/tickbridge_bridge/config",
)
FOREIGN = (
    "home/latest/kucoin/OLD-USDT",
    "latest/kraken/BTC-USDT",
    "sensors/kitchen",
    "sensors/kitchen/temperature",
    "health/bridge/2",
    "catalogue/kucoin/2",
    "health/kucoin/2",
    "prices/kucoin/OLD-USDT",
    "latest/kucoin",
    "latest/kucoin/BTC-USDT/price",
    "homeassistant/device/home_kucoin/config",
    "homeassistant/device/tickbridge_2_kucoin/config",
    "homeassistant/sensor/tickbridge_kucoin/config",
    "homeassistant/status",
)
OF_OTHER_PARTS = (
    "health/bridge/2",
    "catalogue/kucoin/2",
    "health/kucoin/2",
    "latest/kucoin",
    "latest/kucoin/BTC-USDT/price",
)
"""Ours by their names; whether they are wanted, another bridge knows."""
LEFT = (
    "latest/kucoin/OLD-USDT",
    "stats/kucoin/OLD-USDT",
    "forming/kucoin/OLD-USDT/1m",
    "sensors/kucoin/BTC-USDT",
    "catalogue/binance",
    "sensors/binance",
    "latest/binance/BTC-USDT",
    "homeassistant/device/tickbridge_binance/config",
    "homeassistant/device/tickbridge_kraken/config",
)
SETTINGS = Settings.model_validate({
    "homeassistant": {"enabled": True},
    "exchanges": {"kucoin": {"symbols": ["BTC-USDT"]}, "binance": {"enabled": False}},
})  # fmt: skip


def found(topics: Iterable[str], settings: Settings = SETTINGS) -> list[str]:
    return [one.topic for one in leftovers(dict.fromkeys(topics, OURS), settings)]


def test_only_what_is_ours_and_wanted_no_more_is_left_over() -> None:
    assert found([*WANTED, *FOREIGN, *LEFT]) == sorted(LEFT)


def test_without_home_assistant_its_devices_and_heartbeats_are_left_over() -> None:
    off = SETTINGS.model_copy(update={"homeassistant": Settings().homeassistant})
    assert set(found(WANTED, off)) == {topic for topic in WANTED if topic.startswith(("sensors", "homeassistant"))}


def test_a_device_that_another_program_wrote_is_not_ours() -> None:
    assert leftovers({"homeassistant/device/tickbridge_binance/config": b'{"origin":{"name":"x"}}'}, SETTINGS) == []


def test_what_another_bridge_tells_at_this_moment_is_left_alone() -> None:
    told = dict.fromkeys(("health/binance", "latest/binance/BTC-USDT", "latest/kucoin/OLD-USDT"), OURS)
    busy = {one.topic: one.busy for one in leftovers(told, SETTINGS)}
    assert busy == {"health/binance": True, "latest/binance/BTC-USDT": True, "latest/kucoin/OLD-USDT": False}


def test_of_an_exchange_that_another_bridge_tells_in_parts_too() -> None:
    told = dict.fromkeys(("health/binance/2", "latest/binance/BTC-USDT"), OURS)
    assert {one.topic: one.busy for one in leftovers(told, SETTINGS)} == {"latest/binance/BTC-USDT": True}


def test_what_our_own_running_bridge_tells_home_assistant_is_left_alone() -> None:
    off = SETTINGS.model_copy(update={"homeassistant": Settings().homeassistant})
    told = dict.fromkeys([*WANTED, "homeassistant/device/tickbridge_binance/config"], OURS)
    alive = told | {"health/bridge": b'{"status":"online","homeassistant":{"entities":1}}'}
    busy = {one.topic: one.busy for one in leftovers(alive, off)}
    gone = busy.pop("homeassistant/device/tickbridge_binance/config")
    assert not gone, "nobody tells of that exchange"
    assert len(busy) == 4
    assert all(busy.values())
    for health in (b'{"status":"online"}', b'{"status":"offline","homeassistant":{}}', b""):
        assert not any(one.busy for one in leftovers(alive | {"health/bridge": health}, off))


def test_of_split_work_only_ones_own_part_is_looked_at() -> None:
    part = SETTINGS.model_copy(update={"shard": "2/3"})
    assert found([*LEFT, "latest/kucoin/OTHER-USDT", "health/binance/2", "health/binance/3"], part) == [
        "health/binance/2"
    ]


def test_a_whole_market_wants_every_symbol() -> None:
    whole = Settings.model_validate({"exchanges": {"kucoin": {"whole_market": True}}})
    assert found(["latest/kucoin/ANY-USDT"], whole) == []


@pytest.mark.real
def test_it_shows_first_and_removes_when_told_to(
    broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKBRIDGE_CONFIG", "")
    everything = {*WANTED, *LEFT, *FOREIGN}
    asyncio.run(publish(broker, everything))
    sets = [
        f"broker.port={broker.port}", "homeassistant.enabled=true", "exchanges.kucoin.symbols=BTC-USDT",
        "exchanges.binance.enabled=false",
    ]  # fmt: skip
    arguments = ["clean", "--data-dir", str(tmp_path), *(part for one in sets for part in ("--set", one))]
    assert main(arguments) == 4
    told = capsys.readouterr().out
    ours = len(WANTED) + len(LEFT) + len([topic for topic in FOREIGN if topic in OF_OTHER_PARTS])
    assert told.startswith("settings   the defaults (instance tickbridge, no prefix)\n")
    assert f":{broker.port}: {ours} topics of ours, {ours - len(LEFT)} wanted\n" in told
    assert f"{len(LEFT)} left over; nothing was removed" in told
    assert asyncio.run(retained(broker)) == everything
    assert main([*arguments, "--yes"]) == 0
    assert capsys.readouterr().out.count("removed ") == len(LEFT)
    assert asyncio.run(retained(broker)) == everything - set(LEFT)
    assert main(arguments) == 0
    assert "nothing is left over" in capsys.readouterr().out
    assert main([*arguments, "--yes", "--set", "instance=home", "--set", "prefix=home"]) == 0
    assert asyncio.run(retained(broker)) == everything - {*LEFT, "home/latest/kucoin/OLD-USDT"}


@pytest.mark.real
def test_who_must_not_remove_is_told_so(
    guarded_broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKBRIDGE_CONFIG", "")
    monkeypatch.setattr("bridge.clean.LOOK_S", 1.0)
    asyncio.run(publish(guarded_broker, ["latest/kucoin/OLD-USDT"]))
    _, password = guarded_broker.credentials("guest")
    monkeypatch.setenv("TICKBRIDGE_BROKER__PASSWORD", str(password))
    sets = (f"broker.port={guarded_broker.port}", "broker.user=guest")
    arguments = ["clean", "--yes", "--data-dir", str(tmp_path), *(part for one in sets for part in ("--set", one))]
    assert main(arguments) == 1
    assert "tickbridge: the broker" in capsys.readouterr().err


async def publish(broker: Broker, topics: Iterable[str]) -> None:
    user, password = broker.credentials()
    async with aiomqtt.Client(broker.host, broker.port, username=user, password=password) as client:
        for topic in topics:
            await client.publish(topic, OURS, qos=1, retain=True)


async def retained(broker: Broker) -> set[str]:
    """Every retained topic that the bridge's user may read."""
    user, password = broker.credentials()
    heard: set[str] = set()
    async with aiomqtt.Client(broker.host, broker.port, username=user, password=password) as client:
        await client.subscribe("#", qos=1)
        await client.publish("tickbridge/answer/end", b"", qos=1)
        async for message in client.messages:
            if str(message.topic) == "tickbridge/answer/end":
                break
            heard.add(str(message.topic))
    return heard


@pytest.mark.real
def test_who_meant_the_demo_is_told_where_it_is(
    guarded_broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKBRIDGE_CONFIG", "")
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "bridge-broker.json").write_text("{}")
    arguments = ["--data-dir", str(tmp_path), "--set", f"broker.port={guarded_broker.port}"]
    for verb in (["clean"], ["backfill", "kucoin", "--from", "2026-01-01"], ["healthy"]):
        assert main([*verb, *arguments]) == 1
        told = capsys.readouterr()
        hint = f"for the demo, which has users of its own, add --data-dir {tmp_path / 'demo'}\n"
        assert hint in told.out + told.err, verb
