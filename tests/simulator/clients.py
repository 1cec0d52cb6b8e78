"""Plain websocket and REST clients, as a stranger would write them, to look at the simulator from outside."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
from websockets.asyncio.client import ClientConnection, connect

from bridge.simulator import Simulator

PATIENCE_S = 10.0
_ROOM: dict[str, Any] = {"compression": None, "max_size": 64 * 1024 * 1024, "max_queue": None, "close_timeout": 1.0}
"""With its default queue this client stops reading when it is full, and then waits long for the closing handshake."""


async def get(url: str, method: str = "GET") -> tuple[int, Any]:
    """Status and JSON of one REST call."""
    async with aiohttp.ClientSession() as http, http.request(method, url) as answer:
        return answer.status, await answer.json()


async def kucoin_url(sim: Simulator, line_id: str = "me") -> str:
    """A fresh token, put into the address of a line."""
    _, told = await get(f"{sim.kucoin.rest_url}/api/v1/bullet-public", "POST")
    server = told["data"]["instanceServers"][0]
    return f"{server['endpoint']}?token={quote(told['data']['token'], safe='')}&connectId={line_id}"


@asynccontextmanager
async def kucoin(sim: Simulator, *topics: str) -> AsyncIterator[ClientConnection]:
    """A welcomed KuCoin line with these topics acknowledged."""
    async with connect(await kucoin_url(sim), **_ROOM) as ws:
        assert json.loads(await ws.recv()) == {"id": "me", "type": "welcome"}
        for topic in topics:
            await subscribe(ws, topic)
            await until(ws, lambda told: told.get("type") == "ack")
        yield ws


async def subscribe(ws: ClientConnection, topic: str, request_id: object = 1, kind: str = "subscribe") -> None:
    """Ask KuCoin for a topic."""
    await ws.send(json.dumps({"id": request_id, "type": kind, "topic": topic, "response": True}))


@asynccontextmanager
async def binance(sim: Simulator, *streams: str, path: str = "/stream") -> AsyncIterator[ClientConnection]:
    """A Binance line with these streams acknowledged."""
    async with connect(sim.binance.ws_url + path, **_ROOM) as ws:
        if streams:
            assert await ask(ws, "SUBSCRIBE", list(streams)) == {"result": None, "id": 7}
        yield ws


async def ask(ws: ClientConnection, method: str, params: object = None, request_id: object = 7) -> Any:
    """Ask Binance something and wait for the answer."""
    request = {"method": method, "id": request_id} | ({} if params is None else {"params": params})
    await ws.send(json.dumps(request))
    return await until(ws, lambda told: "stream" not in told and "e" not in told)


async def until(ws: ClientConnection, wanted: Callable[[Any], bool]) -> Any:
    """The next frame that is wanted, decoded; JSON frames only."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            told = json.loads(await ws.recv())
            if wanted(told):
                return told


async def texts(ws: ClientConnection, count: int) -> list[str]:
    """So many frames as they came."""
    async with asyncio.timeout(PATIENCE_S):
        return [str(await ws.recv()) for _ in range(count)]


async def happens(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


async def drain(ws: ClientConnection) -> None:
    """Read until the line is closed, which raises ConnectionClosed."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await ws.recv()
