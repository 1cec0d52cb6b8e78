"""The dashboard's page and API on a real port, in the test's own loop, beside a real broker."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from websockets.asyncio.client import ClientConnection, connect

from bridge.settings import Settings
from dashboard.api import Api
from dashboard.app import create_app
from dashboard.door.door import Door
from dashboard.history.base import History
from dashboard.live import LiveStates
from dashboard.serve import Server, bind, configured
from dashboard.stream.hub import Hub
from dashboard.stream.socket import PATH, Stream
from tests.broker import Broker
from tests.dashboard.live_market import until


class Served:
    """One running dashboard."""

    def __init__(
        self, port: int, live: LiveStates, hub: Hub, server: Server, store: History | None, door: Door
    ) -> None:
        self.port = port
        self.door = door
        self.live = live
        self.hub = hub
        self.store = store
        self._server = server
        self.http = f"http://127.0.0.1:{port}"
        self.ws = f"ws://127.0.0.1:{port}{PATH}"

    def connections(self) -> int:
        return len(self._server.server_state.connections)

    def reader(self, **more: Any) -> connect:
        return connect(self.ws, max_size=None, **more)


@asynccontextmanager
async def served(settings: Settings, store: History | None = None) -> AsyncIterator[Served]:
    live = LiveStates(settings)
    hub = Hub(live)
    door = Door(settings)
    app = create_app(Api(settings, live, store, None), 9001, Path("/nowhere"), Stream(hub), door)
    listener = bind("127.0.0.1", 0)
    server = Server(configured(app, settings.dashboard.trusted_proxies, door.certificate))
    tasks = [asyncio.create_task(live.run()), asyncio.create_task(server.serve([listener]))]
    try:
        await until(lambda: server.started, "it serves")
        yield Served(listener.getsockname()[1], live, hub, server, store, door)
    finally:
        server.should_exit = True
        await tasks[1]
        tasks[0].cancel()
        with suppress(asyncio.CancelledError):
            await tasks[0]
        listener.close()


async def ask(line: ClientConnection, **request: Any) -> dict[str, Any]:
    """A request's answer; messages before it are left out."""
    await line.send(json.dumps(request))
    return await told(line, "ok")


async def told(line: ClientConnection, field: str, value: Any = None) -> dict[str, Any]:
    """The next message with this field (of this value)."""
    async with asyncio.timeout(10):
        while True:
            message = json.loads(await line.recv())
            if field in message and value in (None, message[field]):
                return dict(message)


class Teller:
    """Publishes as the bridge does."""

    def __init__(self, client: aiomqtt.Client, prefix: str = "") -> None:
        self._client = client
        self._prefix = prefix

    async def stream(self, topic: str, payload: bytes) -> None:
        await self._client.publish(self._prefix + topic, payload, qos=1)

    async def state(self, topic: str, payload: bytes, expiry_s: int | None = None) -> None:
        properties = Properties(PacketTypes.PUBLISH)
        if expiry_s is not None:
            properties.MessageExpiryInterval = expiry_s
        await self._client.publish(self._prefix + topic, payload, qos=1, retain=True, properties=properties)


@asynccontextmanager
async def telling(broker: Broker, prefix: str = "") -> AsyncIterator[Teller]:
    user, password = broker.credentials("bridge")
    async with aiomqtt.Client(
        broker.host, broker.port, username=user, password=password, protocol=aiomqtt.ProtocolVersion.V5
    ) as client:
        client.pending_calls_threshold = 1000
        yield Teller(client, prefix)
