"""A KuCoin that tells recorded tickers at a given pace: REST and websocket on one port, frames ready-made.

python -m benchmarks.feeder CAPTURE COUNT BURST PAUSE_S [SYMBOLS]: prints its port; feeds COUNT frames to whoever
says `go` or subscribes to the ticker, in bursts of BURST every PAUSE_S seconds (0: as fast as they are taken).
Every lap of the recording gets later sequences and times, so that all frames are distinct. With SYMBOLS the
frames are told under so many invented names in turn, as the whole market's ticker tells them.
"""

import asyncio
import json
import re
import sys
import time
from pathlib import Path

import uvloop
from aiohttp import WSMsgType, web

SEQUENCE = re.compile(r'"sequence":"(\d+)"')
TIME = re.compile(r'"time":(\d{13})')
NAMES = re.compile(r'"subject":"trade.ticker","topic":"/market/ticker:[^"]+"')
SETTLE_S = 2.0


def frames(capture: Path, count: int, symbols: int = 0) -> list[bytes]:
    """`count` text frames as websocket bytes: recorded tickers, shifted to now by a whole number of minutes."""
    recorded = []
    for line in capture.open():
        told = json.loads(line)
        if told.get("t") == "recv" and '"trade.ticker"' in told["data"]:
            recorded.append(told["data"])
    first = int(TIME.search(recorded[0])[1])  # type: ignore[index]
    shift = (int(time.time() * 1000) - first) // 60_000 * 60_000
    made = []
    for k in range(count):
        lap, text = divmod(k, len(recorded))[0], recorded[k % len(recorded)]
        if symbols:
            text = SEQUENCE.sub(f'"sequence":"{k + 1}"', text)
            text = NAMES.sub(f'"subject":"S{k % symbols}-USDT","topic":"/market/ticker:all"', text)
        text = SEQUENCE.sub(lambda found, lap=lap: f'"sequence":"{int(found[1]) + lap * 10**6}"', text)
        made.append(encode(TIME.sub(lambda found: f'"time":{int(found[1]) + shift - 60_000}', text).encode()))
    return made


def encode(text: bytes) -> bytes:
    if len(text) < 126:
        return bytes((0x81, len(text))) + text
    return b"\x81\x7e" + len(text).to_bytes(2, "big") + text


class Feeder:
    def __init__(self, made: list[bytes], burst: int, pause_s: float, symbols: int) -> None:
        self._made = made
        self._burst = burst
        self._pause_s = pause_s
        told = {re.search(rb"ticker:([^\"]+)", frame)[1].decode() for frame in made}  # type: ignore[index]
        self._symbols = [f"S{k}-USDT" for k in range(symbols)] or sorted(told)
        self.port = 0
        self.fed: set[asyncio.Task[None]] = set()

    async def symbols(self, request: web.Request) -> web.Response:
        rows = [
            {"symbol": s, "name": s, "baseCurrency": s.split("-")[0], "quoteCurrency": s.split("-")[1]}
            | {"enableTrading": True, "priceIncrement": "0.00000001", "baseIncrement": "0.00000001"}
            for s in self._symbols
        ]
        return web.json_response({"code": "200000", "data": rows})

    async def bullet(self, request: web.Request) -> web.Response:
        server = {"endpoint": f"ws://127.0.0.1:{self.port}/ws", "pingInterval": 18000, "pingTimeout": 10000}
        return web.json_response({"code": "200000", "data": {"token": "t", "instanceServers": [server]}})

    async def nothing(self, request: web.Request) -> web.Response:
        return web.json_response({"code": "200000", "data": []})

    async def websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        await socket.send_str('{"id":"1","type":"welcome"}')
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self._heard(message.data, socket, request)
        return socket

    async def _heard(self, text: str, socket: web.WebSocketResponse, request: web.Request) -> None:
        if text.startswith("{"):
            told = json.loads(text)
            kind = {"ping": "pong", "subscribe": "ack"}.get(told["type"])
            if kind:
                await socket.send_str(json.dumps({"id": told["id"], "type": kind}))
        if text == "go" or "/market/ticker:" in text:
            assert request.transport is not None
            task = asyncio.create_task(self._feed(request.transport))
            self.fed.add(task)

    async def _feed(self, transport: asyncio.Transport) -> None:
        await asyncio.sleep(SETTLE_S)
        begun = time.monotonic()
        for k, start in enumerate(range(0, len(self._made), self._burst), 1):
            transport.write(b"".join(self._made[start : start + self._burst]))
            if self._pause_s:
                await asyncio.sleep(max(0.0, begun + k * self._pause_s - time.monotonic()))
            else:
                while transport.get_write_buffer_size() > 1_000_000:
                    await asyncio.sleep(0.001)


async def main(capture: str, count: str, burst: str, pause_s: str, symbols: str = "0") -> None:
    feeder = Feeder(frames(Path(capture), int(count), int(symbols)), int(burst), float(pause_s), int(symbols))
    app = web.Application()
    app.add_routes(
        [
            web.get("/api/v2/symbols", feeder.symbols),
            web.post("/api/v1/bullet-public", feeder.bullet),
            web.get("/ws", feeder.websocket),
            web.get("/{tail:.*}", feeder.nothing),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    feeder.port = runner.addresses[0][1]
    sys.stdout.write(f"{feeder.port}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
