"""What one connection hears at the broker: each filter once, however many want it, and made anew after a break."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress

import aiomqtt
from paho.mqtt.subscribeoptions import SubscribeOptions

from bridge.renewal import RETAINED_IF_NEW
from dashboard.broker import refused_topics

AT_ONCE = 200
"""So many filters go into one SUBSCRIBE."""


class Subscriptions:
    """Filters without the prefix, at QoS 0, with how many want each."""

    def __init__(self, prefix: str, always: Sequence[str]) -> None:
        self._prefix = prefix
        self._wanted = Counter(always)
        self._client: aiomqtt.Client | None = None

    def __contains__(self, one: str) -> bool:
        return one in self._wanted

    def __iter__(self) -> Iterator[str]:
        return iter(self._wanted)

    def __len__(self) -> int:
        return len(self._wanted)

    async def begin(self, client: aiomqtt.Client) -> list[str]:
        """Hear everything on a new connection; what the broker refuses."""
        refused = await self._subscribe(client, [*self._wanted])
        self._client = client
        return refused

    async def renew(self) -> None:
        """Have again what the broker has forgotten of them, if it has. Raises MqttError if it does not answer."""
        if self._client is not None:
            await self._subscribe(self._client, [*self._wanted], RETAINED_IF_NEW)

    def end(self) -> None:
        """The connection is gone."""
        self._client = None

    async def want(self, filters: Sequence[str]) -> list[str]:
        """One more wants these; what the broker refuses of them. Without a connection they wait for the next one."""
        fresh = [one for one in dict.fromkeys(filters) if one not in self._wanted]
        self._wanted.update(filters)
        if self._client is None:
            return []
        try:
            return await self._subscribe(self._client, fresh)
        except aiomqtt.MqttError:  # the next connection asks again
            return []

    async def release(self, filters: Sequence[str]) -> None:
        """One less wants these; what nobody wants any more is not heard any more."""
        self._wanted.subtract(filters)
        gone = [one for one in dict.fromkeys(filters) if self._wanted[one] <= 0]
        for one in gone:
            del self._wanted[one]
        if gone and self._client is not None:
            with suppress(aiomqtt.MqttError):
                await self._client.unsubscribe([self._prefix + one for one in gone])

    async def _subscribe(self, client: aiomqtt.Client, filters: list[str], retained: int = 0) -> list[str]:
        refused: list[str] = []
        options = SubscribeOptions(qos=0, retainHandling=retained)
        for start in range(0, len(filters), AT_ONCE):
            topics = [self._prefix + one for one in filters[start : start + AT_ONCE]]
            refused += refused_topics(topics, await client.subscribe([(topic, options) for topic in topics]))
        return refused
