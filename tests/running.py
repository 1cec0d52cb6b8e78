"""A whole bridge as a process of its own (`tickbridge run`), and a store-like subscriber to what it publishes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bridge.simulator import Simulator
from tests.broker import Broker

STREAMS = ("prices/#", "trades/#", "candles/#", "gaps/#", "errors/#")


def environment(broker: Broker, folder: Path, sim: Simulator | None = None, **settings: object) -> dict[str, str]:
    """The variables of a bridge on this broker, against this simulator; `SECTION__KEY=value` for more."""
    given: dict[str, object] = {
        "DATA_DIR": folder,
        "BROKER__PORT": broker.port,
        "LOG__LEVEL": "info",
    }
    if sim is not None:
        given |= {
            "EXCHANGES__KUCOIN__REST_HOST": sim.kucoin.rest_url,
            "EXCHANGES__BINANCE__REST_HOST": sim.binance.rest_url,
            "EXCHANGES__BINANCE__WS_HOST": sim.binance.ws_url,
        }
    given |= settings
    return os.environ | {f"TICKBRIDGE_{name}": str(value) for name, value in given.items()}


@contextmanager
def tickbridge(
    verb: str, folder: Path, env: dict[str, str], *, exit_code: int | None = 0
) -> Iterator[subprocess.Popen[str]]:
    """`tickbridge VERB` as a child; ended by SIGINT. Its output is in `<folder>/<verb>.log`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{verb}.log").open("a") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "bridge.cli", verb], env=env, stdout=log, stderr=subprocess.STDOUT, text=True
        )
        try:
            yield child
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                child.wait(10)
            child.kill()
            child.wait()
    if exit_code is not None:
        assert child.returncode == exit_code, (folder / f"{verb}.log").read_text()[-3000:]


class Subscriber:
    """What a store hears: QoS 1, Clean Start 0, every payload as bytes, by topic, in order."""

    def __init__(self) -> None:
        self.payloads: dict[str, list[bytes]] = defaultdict(list)
        self.count = 0

    def told(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(payload) for payload in self.payloads.get(topic, [])]

    def topics(self, start: str) -> list[str]:
        return [topic for topic in self.payloads if topic.startswith(start)]

    async def until(self, condition: Callable[[], object], within_s: float = 30.0) -> None:
        deadline = monotonic() + within_s
        while not condition():
            assert monotonic() < deadline, f"not within {within_s} s; heard {self.count} on {len(self.payloads)} topics"
            await asyncio.sleep(0.05)

    async def settled(self, quiet_s: float = 2.0) -> None:
        """Wait until nothing comes any more."""
        count = -1
        while count != self.count:
            count = self.count
            await asyncio.sleep(quiet_s)

    async def listen(self, port: int, filters: tuple[str, ...]) -> None:
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600
        properties.ReceiveMaximum = 65_535
        while True:
            with suppress(aiomqtt.MqttError):
                async with aiomqtt.Client(
                    "127.0.0.1",
                    port,
                    identifier="test-store",
                    protocol=aiomqtt.ProtocolVersion.V5,
                    clean_start=False,
                    properties=properties,
                ) as client:
                    for one in filters:
                        await client.subscribe(one, qos=1)
                    self.ready.set()
                    async for message in client.messages:
                        self.payloads[str(message.topic)].append(bytes(message.payload))  # type: ignore[arg-type]
                        self.count += 1
            await asyncio.sleep(0.2)

    ready: asyncio.Event


@asynccontextmanager
async def subscribed(broker: Broker, filters: tuple[str, ...] = STREAMS) -> AsyncIterator[Subscriber]:
    """A subscriber that hears everything from now on, over broker restarts."""
    subscriber = Subscriber()
    subscriber.ready = asyncio.Event()
    task = asyncio.create_task(subscriber.listen(broker.port, filters))
    await subscriber.ready.wait()
    try:
        yield subscriber
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
