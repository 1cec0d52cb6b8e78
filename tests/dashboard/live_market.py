"""A numbered market on a real broker, for tests: it knows what it has published."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiomqtt

from tests.broker import Broker
from tests.dashboard.payloads import RUN, tick

CHUNK = 100


class Market:
    """Publishes ticks of some symbols at QoS 1; `truth` holds every payload that the broker took."""

    def __init__(self, broker: Broker, symbols: int = 5, prefix: str = "") -> None:
        self._broker = broker
        self._user, self._password = broker.credentials("bridge")
        self._symbols = [f"S{number}-USDT" for number in range(symbols)]
        self._prefix = prefix
        self._count = 0
        self.truth: dict[str, list[bytes]] = {symbol: [] for symbol in self._symbols}

    async def publish(self, count: int) -> None:
        """So many ticks, as fast as the broker takes them; what a broken line left open is sent again."""
        await self._send([self._next() for _ in range(count)])

    async def publish_again(self) -> None:
        """All of it once more, as the bridge's rewind does with what a killed broker may have forgotten."""
        await self._send(
            [
                (f"{self._prefix}prices/kucoin/{symbol}", payload)
                for symbol, payloads in self.truth.items()
                for payload in payloads
            ]
        )

    async def _send(self, messages: list[tuple[str, bytes]]) -> None:
        while messages:
            try:
                async with self.client() as client:
                    while messages:
                        await asyncio.gather(*(client.publish(*one, qos=1) for one in messages[:CHUNK]))
                        del messages[:CHUNK]
            except aiomqtt.MqttError:
                await asyncio.sleep(0.05)

    def client(self) -> aiomqtt.Client:
        client = aiomqtt.Client(
            self._broker.host,
            self._broker.port,
            username=self._user,
            password=self._password,
            max_inflight_messages=CHUNK,
        )
        client.pending_calls_threshold = CHUNK + 1
        return client

    def _next(self) -> tuple[str, bytes]:
        symbol = self._symbols[self._count % len(self._symbols)]
        n = self._count // len(self._symbols) + 1
        self._count += 1
        payload = tick(time.time_ns(), f"{self._count}.10", n, run=RUN)
        self.truth[symbol].append(payload)
        return f"{self._prefix}prices/kucoin/{symbol}", payload


async def until(condition: Callable[[], Any], what: str, seconds: float = 20.0) -> None:
    """Wait for a condition (a value or an awaitable of one)."""
    async with asyncio.timeout(seconds):
        while True:
            met = condition()
            if await met if asyncio.iscoroutine(met) else met:
                return
            await asyncio.sleep(0.02)
    raise AssertionError(what)
