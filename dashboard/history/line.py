"""One connection of the recorder: what it has brought, and its acknowledgement."""

import asyncio
from collections import deque

import aiomqtt

from dashboard.broker import acknowledge

ACKNOWLEDGE = 250
"""So many are acknowledged before others get their turn."""


class Line:
    """One connection and what it has brought that is not acknowledged."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self.waiting: deque[int] = deque()
        self.alive = True

    async def acknowledge(self, count: int) -> None:
        """Acknowledge the oldest `count`; a dead line's come again on the next one."""
        for sent in range(count):
            if not self.alive:
                return
            acknowledge(self._client, self.waiting.popleft())
            if sent % ACKNOWLEDGE == ACKNOWLEDGE - 1:
                await asyncio.sleep(0)
