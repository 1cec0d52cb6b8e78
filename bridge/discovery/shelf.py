"""What a broker retains under some filters: a nonce published behind the subscription tells when all of it is there."""

from collections.abc import Callable
from secrets import token_hex

import aiomqtt

from bridge.errors import BrokerLost

MOST = 100_000
"""Topics that are remembered; a broker with more of ours than that has another trouble."""
REFUSED = 0x80


class Shelf:
    """`topics`: the retained payloads of those that `is_kept`. `answer_root`: where the nonce may go."""

    def __init__(self, answer_root: str, is_kept: Callable[[str], bool] = lambda topic: True) -> None:
        self.topics: dict[str, bytes] = {}
        self._is_kept = is_kept
        self._topic = f"{answer_root}look-{token_hex(8)}"
        self._nonce = b""

    async def ask(self, client: aiomqtt.Client, filters: list[str]) -> None:
        """Subscribe; `take` says when everything was told. QoS 1 throughout, so that all comes in order.

        Raises BrokerLost for what must not be read.
        """
        for one in [*filters, self._topic]:
            codes = await client.subscribe(one, qos=1)
            if any(getattr(code, "value", code) >= REFUSED for code in codes):
                raise BrokerLost(f"the broker refuses the subscription of {one}")
        await self.ask_again(client)

    async def ask_again(self, client: aiomqtt.Client) -> None:
        """Another nonce: when it is back, everything published before it is, too."""
        self._nonce = token_hex(16).encode()
        await client.publish(self._topic, self._nonce, qos=1)

    def take(self, message: aiomqtt.Message) -> bool:
        """Keep a retained message; True when the nonce is back."""
        topic, payload = str(message.topic), bytes(message.payload)
        if topic == self._topic:
            return payload == self._nonce
        if message.retain and len(self.topics) < MOST and self._is_kept(topic):
            self.topics[topic] = payload
        return False
