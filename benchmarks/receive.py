"""What it costs to receive a websocket frame: websockets, websockets on uvloop, picows on uvloop, side by side.

python -m benchmarks.receive [--frames 20000]: CPU microseconds a frame in the receiving process, one frame a
millisecond, in bursts of 100, and as fast as they come. Ratios count; absolute figures belong to this machine.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time

import picows
import uvloop
import websockets

FRAME = json.dumps(
    {
        "topic": "/market/ticker:BTC-USDT",
        "type": "message",
        "subject": "trade.ticker",
        "data": {
            "bestAsk": "67232.9",
            "bestAskSize": "0.51987471",
            "bestBid": "67232.8",
            "bestBidSize": "1.29267802",
            "price": "67232.9",
            "sequence": "14691455768",
            "size": "0.00004316",
            "time": 1729757723612,
        },
    }
)
WAYS = ("websockets", "websockets on uvloop", "picows on uvloop")
PACES = {"1 a ms": (1, 0.001), "100 each 100 ms": (100, 0.1), "saturated": (1000, 0.0)}


async def send(port: int, count: int, burst: int, pause_s: float) -> None:
    async def handler(connection: websockets.ServerConnection) -> None:
        await connection.recv()
        begun = time.monotonic()
        for sent in range(0, count, burst):
            for _ in range(burst):
                await connection.send(FRAME)
            if pause_s:
                await asyncio.sleep(max(0.0, begun + (sent / burst + 1) * pause_s - time.monotonic()))
        await connection.close()

    async with websockets.serve(handler, "127.0.0.1", port, compression=None) as server:
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().create_future()


async def by_websockets(url: str) -> int:
    got = 0
    async with websockets.connect(url, compression=None, proxy=None) as connection:
        await connection.send("go")
        async for _ in connection:
            got += 1
    return got


class Counter(picows.WSListener):
    def __init__(self) -> None:
        self.got = 0

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type is picows.WSMsgType.CLOSE:
            transport.disconnect()
        else:
            frame.get_payload_as_bytes()
            self.got += 1


async def by_picows(url: str) -> int:
    transport, counter = await picows.ws_connect(Counter, url)
    transport.send(picows.WSMsgType.TEXT, b"go")
    await transport.wait_disconnected()
    assert isinstance(counter, Counter)
    return counter.got


def receive(way: str, port: int) -> None:
    run = uvloop.run if "uvloop" in way else asyncio.run
    coroutine = by_picows if way.startswith("picows") else by_websockets

    async def measured() -> tuple[int, float]:
        before = time.process_time()
        got = await coroutine(f"ws://127.0.0.1:{port}/")
        return got, time.process_time() - before

    got, used = run(measured())
    sys.stdout.write(f"{used / max(got, 1) * 1e6}\n")


def once(way: str, pace: str, frames: int) -> float:
    burst, pause_s = PACES[pace]
    module = [sys.executable, "-m", "benchmarks.receive"]
    sender = subprocess.Popen(
        [*module, "--send", str(frames), str(burst), str(pause_s)], stdout=subprocess.PIPE, text=True
    )
    assert sender.stdout is not None
    try:
        port = sender.stdout.readline().strip()
        return float(subprocess.run([*module, "--receive", way, port], check=True, capture_output=True).stdout)
    finally:
        sender.kill()
        sender.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=20_000, help="frames of each run (default 20000)")
    parser.add_argument("--send", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--receive", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send:
        asyncio.run(send(0, int(options.send[0]), int(options.send[1]), float(options.send[2])))
    elif options.receive:
        receive(options.receive[0], int(options.receive[1]))
    else:
        for pace in PACES:
            costs = {way: sorted(once(way, pace, options.frames) for _ in range(3))[1] for way in WAYS}
            for way, cost in costs.items():
                sys.stdout.write(f"{pace:16} {way:22} {cost:7.1f} us a frame, {cost / costs[WAYS[-1]]:5.1f} x picows\n")


if __name__ == "__main__":
    main()
