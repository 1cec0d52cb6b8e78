"""CPU of publishing alone, per message, beside aiomqtt: QoS 1 into a real Mosquitto over loopback.

python -m benchmarks.publisher [--messages N] [--seconds S]: saturated, and 1,000 a second evenly and in bursts of 100.
Both run on uvloop, in processes of their own. The ratios count; absolute figures belong to this machine.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiomqtt
import uvloop
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bridge.mqtt.publisher import Publisher
from bridge.outbox import Outbox
from bridge.settings import Broker as BrokerSettings
from bridge.states import States
from bridge.topics import CONTENT_TYPE, Topics
from tests.broker import Broker

PAYLOAD = b'{"price":85439.99,"size":0.002,"time_ns":1743147199001234567,"run":1743147000123,"n":%d,"more":"' + (
    b"x" * 90 + b'"}'
)
TOPICS = [f"prices/kucoin/S{number}-USDT" for number in range(100)]
BURST = {"even": (1, 0.001), "bursts": (100, 0.1)}
IN_FLIGHT = 100
"""Publishes that aiomqtt may await at a time when saturated."""
WARM = 2_000


class SystemClock:
    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class Nobody:
    run = 1_743_147_000_123

    def bridge_health(self, status: str, connection: int, now_ns: int) -> bytes:
        return b'{"status":"%s","connection":%d,"run":%d}' % (status.encode(), connection, self.run)


async def paced(pace: str, seconds: float, send: Callable[[int], Awaitable[None]]) -> int:
    """Send so many together at each beat. How many were sent."""
    burst, pause_s = BURST[pace]
    beats = int(seconds / pause_s)
    start = time.monotonic()
    for beat in range(1, beats + 1):
        await send(burst)
        await asyncio.sleep(max(0.0, start + beat * pause_s - time.monotonic()))
    return beats * burst


async def tickbridge(port: int, pace: str, messages: int, seconds: float) -> float:
    outbox = Outbox(64 << 20, 90.0)
    publisher = Publisher(BrokerSettings(port=port), "bench", Topics(), outbox, States(), SystemClock(), Nobody())
    task = asyncio.create_task(publisher.run())
    numbers = iter(range(1, 10**9))

    async def send(count: int) -> None:
        for _ in range(count):
            n = next(numbers)
            outbox.append(TOPICS[n % 100], PAYLOAD % n, Nobody.run, n, n)
            publisher.wake()

    async def saturated(count: int) -> int:
        for _ in range(count // 500):
            await send(500)
            while outbox.unacknowledged > 8_000:
                await asyncio.sleep(0.002)
        return count

    await saturated(WARM)
    while outbox.unacknowledged:
        await asyncio.sleep(0.01)
    start = time.process_time()
    count = await (saturated(messages) if pace == "saturated" else paced(pace, seconds, send))
    while outbox.unacknowledged:
        await asyncio.sleep(0.01)
    used = time.process_time() - start
    await publisher.close(1.0)
    await task
    return used / count


async def peer(port: int, pace: str, messages: int, seconds: float) -> float:
    properties = Properties(PacketTypes.PUBLISH)
    properties.ContentType = CONTENT_TYPE
    numbers = iter(range(1, 10**9))
    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:

        async def one() -> None:
            n = next(numbers)
            await client.publish(TOPICS[n % 100], PAYLOAD % n, qos=1, properties=properties)

        async def send(count: int) -> None:
            await asyncio.gather(*[one() for _ in range(count)])

        async def saturated(count: int) -> int:
            for _ in range(count // IN_FLIGHT):
                await send(IN_FLIGHT)
            return count

        await saturated(WARM)
        start = time.process_time()
        count = await (saturated(messages // 10) if pace == "saturated" else paced(pace, seconds, send))
        return (time.process_time() - start) / count


async def beat_alone(_port: int, pace: str, _messages: int, seconds: float) -> float:
    """What the beat itself costs: taken off the paced figures."""

    async def nothing(_count: int) -> None:
        return

    start = time.process_time()
    count = await paced(pace, seconds, nothing)
    return (time.process_time() - start) / count


WHO = {"tickbridge": tickbridge, "aiomqtt": peer, "beat": beat_alone}


def measure(who: str, port: int, pace: str, arguments: argparse.Namespace) -> float:
    """Microseconds of CPU per message, measured in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.publisher", "--who", who, "--port", str(port), "--pace", pace]
    command += ["--messages", str(arguments.messages), "--seconds", str(arguments.seconds)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--who", choices=WHO, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--pace", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.who:
        used = uvloop.run(WHO[arguments.who](arguments.port, arguments.pace, arguments.messages, arguments.seconds))
        sys.stdout.write(f"{used * 1e6}\n")
        return
    with tempfile.TemporaryDirectory() as folder, Broker(Path(folder)) as broker:
        for pace in ("saturated", *BURST):
            beat = 0.0 if pace == "saturated" else measure("beat", broker.port, pace, arguments)
            ours, theirs = (measure(who, broker.port, pace, arguments) - beat for who in ("tickbridge", "aiomqtt"))
            sys.stdout.write(
                f"{pace:10} tickbridge {ours:7.2f} µs   aiomqtt {theirs:7.2f} µs   {theirs / ours:5.1f} times\n"
            )


if __name__ == "__main__":
    main()
