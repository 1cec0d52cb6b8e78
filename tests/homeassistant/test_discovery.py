"""A whole bridge on a broker with our users: what it announces, repeats, removes and leaves alone."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import aiomqtt
import pytest

from bridge.brokerfiles import AclValues, render_acl
from bridge.settings import MAX_PREFIX
from bridge.simulator import Simulator
from tests.broker import Broker
from tests.homeassistant.rules import broken
from tests.running import environment, tickbridge

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

BRIDGE, KUCOIN, BINANCE = (f"homeassistant/device/tickbridge_{name}/config" for name in ("bridge", "kucoin", "binance"))
SENSOR = "sensors/kucoin/BTC-USDT"


class Listener:
    """Everything under Home Assistant's root and ours that it needs, as (topic, payload, retained), from now on."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.heard: list[tuple[str, bytes, bool]] = []

    async def listen(self) -> None:
        async for message in self.client.messages:
            self.heard.append((str(message.topic), bytes(message.payload), bool(message.retain)))  # type: ignore[arg-type]

    def told(self, topic: str) -> list[Any]:
        return [json.loads(payload or b"null") for name, payload, _ in self.heard if name == topic]

    async def until(self, condition: Callable[[], object], within_s: float = 30.0) -> None:
        deadline = monotonic() + within_s
        while not condition():
            assert monotonic() < deadline, [(topic, len(payload)) for topic, payload, _ in self.heard][-30:]
            await asyncio.sleep(0.02)


@asynccontextmanager
async def listening(broker: Broker) -> AsyncIterator[Listener]:
    user, password = broker.credentials()
    async with aiomqtt.Client(broker.host, broker.port, username=user, password=password) as client:
        one = Listener(client)
        task = asyncio.create_task(one.listen())
        for topic in ("homeassistant/#", "sensors/#", "display/#", "health/#"):
            await client.subscribe(topic, qos=1)
        try:
            yield one
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def config_file(folder: Path, kucoin: str = "", more: str = "") -> Path:
    path = folder / "tickbridge.toml"
    path.write_text(
        f"[homeassistant]\nenabled = true\n{more}\n[display]\nenabled = true\n[feed]\nfirst_candles_h = 0\n"
        f'[exchanges.kucoin]\n{kucoin}\n[exchanges.binance]\nsymbols = ["BTC-USDT"]\n'
    )
    return path


def env(broker: Broker, folder: Path, sim: Simulator, path: Path) -> dict[str, str]:
    user, password = broker.credentials()
    who = {} if user is None else {"BROKER__USER": user, "BROKER__PASSWORD": password}
    return environment(broker, folder, sim, CONFIG=path, **who)


BOTH = 'symbols = ["BTC-USDT", "ETH-USDT"]'
ONE = 'symbols = ["BTC-USDT"]'


async def test_what_is_announced_keeps_the_rules_and_what_is_told_is_not_retained(
    guarded_broker: Broker, tmp_path: Path
) -> None:
    broker, path = guarded_broker, config_file(tmp_path, BOTH)
    async with Simulator(rate=50) as sim, listening(broker) as live:
        with tickbridge("run", tmp_path, env(broker, tmp_path, sim, path)):
            await live.until(lambda: all(live.told(topic) for topic in (BRIDGE, KUCOIN, BINANCE)))
            await live.until(lambda: any(told["stale"] is False for told in live.told(SENSOR)))
            await live.until(lambda: "change" in live.told(SENSOR)[-1], 25)
            await live.until(lambda: live.told("display/kucoin/ETH-USDT"))
            for topic in (BRIDGE, KUCOIN, BINANCE):
                assert list(broken(topic, live.told(topic)[0])) == []
            assert "eth_usdt_price" in live.told(KUCOIN)[0]["components"]
            await live.until(lambda: live.told("sensors/kucoin")[-1].get("chosen_stale") == 0)
            assert live.told("health/bridge")[-1].keys() >= {"homeassistant"}
            async with listening(broker) as late:
                await late.until(lambda: late.told("sensors/bridge"))
                retained = {topic: payload for topic, payload, kept in late.heard if kept}
                assert {topic for topic in retained if topic.startswith(("sensors/", "display/"))} == {
                    "sensors/bridge", "sensors/kucoin", "sensors/binance"
                }  # fmt: skip
                assert {json.loads(retained[f"sensors/{name}"])["status"] for name in ("bridge", "kucoin")} == {
                    "unknown"
                }
                assert {BRIDGE, KUCOIN, BINANCE} <= retained.keys()
        await live.until(lambda: live.told("sensors/bridge")[-1]["status"] == "stopped", 5)


async def test_home_assistants_birth_brings_all_again_after_a_while(broker: Broker, tmp_path: Path) -> None:
    path = config_file(tmp_path, ONE)
    async with Simulator(rate=50) as sim, listening(broker) as live:
        await live.client.publish("homeassistant/status", "online", qos=1, retain=True)
        with tickbridge("run", tmp_path, env(broker, tmp_path, sim, path)):
            await live.until(lambda: all(live.told(topic) for topic in (BRIDGE, KUCOIN, BINANCE)))
            counts = [len(live.told(topic)) for topic in (BRIDGE, KUCOIN, BINANCE)]
            assert counts == [1, 1, 1], "a retained birth is old news"
            began = monotonic()
            await live.client.publish("homeassistant/status", "online", qos=1)
            await live.until(lambda: all(len(live.told(topic)) > 1 for topic in (BRIDGE, KUCOIN, BINANCE)), 8)
            assert monotonic() - began >= 1.0
            assert live.told(KUCOIN)[0] == live.told(KUCOIN)[1]
            heartbeats = len(live.told("sensors/bridge"))
            for _ in range(200):
                await live.client.publish("homeassistant/status", "online", qos=1)
            await live.until(lambda: live.told("sensors/bridge")[heartbeats + 1 :], 25)
            assert len(live.told(KUCOIN)) == 2, "many births are answered once, and not at once"


async def test_what_is_taken_out_is_removed_while_it_runs_and_between_two_runs(broker: Broker, tmp_path: Path) -> None:
    path = config_file(tmp_path, BOTH)
    foreign = "homeassistant/device/tickbridge_2_kucoin/config"
    async with Simulator(rate=50) as sim, listening(broker) as live:
        await live.client.publish(foreign, b'{"origin":{"name":"tickbridge"}}', qos=1, retain=True)
        with tickbridge("run", tmp_path, env(broker, tmp_path, sim, path)) as process:
            await live.until(lambda: live.told("sensors/kucoin/ETH-USDT") and live.told(KUCOIN))
            config_file(tmp_path, ONE)
            process.send_signal(signal.SIGHUP)
            await live.until(lambda: len(live.told(KUCOIN)) == 3)
            _, reduced, final = live.told(KUCOIN)
            assert reduced["components"]["eth_usdt_price"] == {"platform": "sensor"}
            assert list(broken(KUCOIN, reduced)) == []
            assert "eth_usdt_price" not in final["components"]
            await live.until(lambda: any(told["stale"] for told in live.told("sensors/kucoin/ETH-USDT")), 5)
        config_file(tmp_path, "enabled = false")
        with tickbridge("run", tmp_path, env(broker, tmp_path, sim, path)):
            await live.until(lambda: live.told(KUCOIN)[-1] is None)
            before = len(live.told("sensors/binance/BTC-USDT"))
            await live.until(lambda: len(live.told("sensors/binance/BTC-USDT")) > before)
            assert len(live.told(BINANCE)) == 1, "what is right is not written anew"
        assert live.told(foreign) == [{"origin": {"name": "tickbridge"}}]


async def test_a_broker_that_forgot_is_told_again(tmp_path: Path) -> None:
    path = config_file(tmp_path, ONE, 'discovery_root = "ha/root"\nbirth_topic = "ha/birth"')
    topic = "ha/root/device/tickbridge_kucoin/config"
    with Broker(tmp_path / "mosquitto") as broker:
        async with Simulator(rate=50) as sim:
            with tickbridge("run", tmp_path, env(broker, tmp_path, sim, path)):
                first = await _retained(broker, topic)
                broker.kill9()
                (tmp_path / "mosquitto" / "data" / "mosquitto.db").unlink(missing_ok=True)
                broker.start()
                assert await _retained(broker, topic) == first


async def _retained(broker: Broker, topic: str) -> Any:
    """What comes first on a topic, retained or as soon as it is written."""
    async with aiomqtt.Client(broker.host, broker.port) as client, asyncio.timeout(30):
        await client.subscribe(topic, qos=1)
        async for message in client.messages:
            return json.loads(bytes(message.payload))  # type: ignore[arg-type]
    return None


async def test_a_broker_that_does_not_let_us_is_named_once(tmp_path: Path) -> None:
    path = config_file(tmp_path, ONE)
    acl = render_acl(AclValues()).replace("readwrite homeassistant/device", "read homeassistant/device")
    with Broker(tmp_path / "mosquitto", with_users=True, acl=acl) as broker:
        async with Simulator(rate=50) as sim, listening(broker) as live:
            with tickbridge("run", tmp_path, env(broker, tmp_path, sim, path)):
                said = f"cannot be told: the broker does not let us publish {BRIDGE}: see its access list"
                await live.until(lambda: said in (tmp_path / "run.log").read_text())
                await live.until(lambda: len(live.told(SENSOR)) > 0)
    assert (tmp_path / "run.log").read_text().count("Home Assistant's devices cannot be told") == 1


async def test_what_somebody_else_removed_or_changed_while_it_runs_is_written_again(
    broker: Broker, tmp_path: Path
) -> None:
    path = config_file(tmp_path, ONE)
    async with Simulator(rate=50) as sim, listening(broker) as live:
        with tickbridge("run", tmp_path, env(broker, tmp_path, sim, path)):
            await live.until(lambda: all(live.told(topic) for topic in (BRIDGE, KUCOIN, BINANCE)))
            first, kept = live.told(KUCOIN)[0], len(live.told(BINANCE))
            await live.client.publish(KUCOIN, b"", qos=1, retain=True)
            await live.client.publish(BRIDGE, b'{"components":{}}', qos=1, retain=True)
            await live.until(lambda: live.told(KUCOIN)[-1] == first and len(live.told(KUCOIN)) == 3, 8)
            await live.until(lambda: live.told(BRIDGE)[-1] == live.told(BRIDGE)[0], 2)
            assert len(live.told(BINANCE)) == kept, "what is right is not written anew"


async def test_what_is_too_large_for_the_broker_is_told_in_health_and_stays_there(tmp_path: Path) -> None:
    path = config_file(tmp_path, BOTH)
    instance, prefix = "i" * 32, "p" * MAX_PREFIX
    longest = {"TICKBRIDGE_INSTANCE": instance, "TICKBRIDGE_PREFIX": prefix}
    bridge, kucoin = (f"homeassistant/device/{instance}_{name}/config" for name in ("bridge", "kucoin"))
    smaller = {"max_packet_size 1048576": "max_packet_size 15000"}
    with Broker(tmp_path / "mosquitto", replace=smaller) as broker:
        async with Simulator(rate=50, invented=0) as sim, listening(broker) as live:
            await live.client.subscribe(f"{prefix}/health/#", qos=1)
            with tickbridge("run", tmp_path, env(broker, tmp_path, sim, path) | longest):
                troubles = lambda: [  # noqa: E731
                    told["homeassistant"].get("trouble", "") for told in live.told(f"{prefix}/health/bridge")
                ]
                await live.until(lambda: any("bytes, more than the 14" in trouble for trouble in troubles()))
                told = len(troubles())
                await live.until(lambda: len(troubles()) > told, 15)
                assert f"{kucoin} has " in troubles()[-1]
                assert live.told(bridge), "what fits is told"
                assert not live.told(kucoin)
    log = (tmp_path / "run.log").read_text()
    assert log.count("devices cannot be told") == 1
    assert "are told again" not in log


async def test_two_bridges_on_one_broker_do_not_touch_each_others(broker: Broker, tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    for folder in (mine, other):
        folder.mkdir()
    theirs = KUCOIN.replace("tickbridge_", "home_")
    async with Simulator(rate=50) as sim, listening(broker) as live:
        apart = {"TICKBRIDGE_INSTANCE": "home", "TICKBRIDGE_PREFIX": "home"}
        with tickbridge("run", other, env(broker, other, sim, config_file(other, ONE)) | apart):
            await live.until(lambda: live.told(theirs))
            with tickbridge("run", mine, env(broker, mine, sim, config_file(mine, ONE))):
                await live.until(lambda: live.told(KUCOIN))
            with tickbridge("run", mine, env(broker, mine, sim, config_file(mine, "enabled = false"))):
                await live.until(lambda: live.told(KUCOIN)[-1] is None)
                await live.until(lambda: live.told("sensors/binance/BTC-USDT"))
            assert len(live.told(theirs)) == 1
    (config,) = live.told(theirs)
    assert config["components"]["btc_usdt_price"]["state_topic"] == f"home/{SENSOR}"
    assert config["components"]["btc_usdt_price"]["unique_id"] == "home_kucoin_btc_usdt_price"
    assert config["device"]["name"] == "KuCoin (home)"
