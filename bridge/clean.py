"""`tickbridge clean`: shows what the broker retains of ours and is wanted no more, and removes it if told to."""

import asyncio
from collections.abc import Sequence
from secrets import token_hex

import aiomqtt
from msgspec import Struct

from bridge import tls
from bridge.discovery import Shelf
from bridge.errors import BrokerLost
from bridge.leftovers import Leftover, count_ours, filters, leftovers
from bridge.mqtt.client import client
from bridge.settings import Settings
from bridge.topics import Topics

LOOK_S = 15.0
"""How long a broker may take to tell what it retains."""
NO_ANSWER = "no answer in time; the user must be allowed what the bridge is (see the broker's access list)"


class Seen(Struct, frozen=True):
    """What was compared: the settings with their broker, and how many topics of `ours` it retains."""

    settings: Settings
    ours: int
    left: list[Leftover]

    @property
    def wanted(self) -> int:
        return self.ours - len(self.left)


def run(ways: Sequence[Settings], *, remove: bool) -> Seen:
    """What is left over, and with `remove` is gone now. `ways`: with which brokers to try, in order.

    Raises SettingsError, and BrokerLost if no broker can be used or one does not let us remove it.
    """
    problems: list[str] = []
    for settings in ways:
        try:
            return asyncio.run(_clean(settings, remove=remove))
        except BrokerLost as error:
            problems.append(str(error))
    raise BrokerLost("\n".join(problems))


async def _clean(settings: Settings, *, remove: bool) -> Seen:
    found = await _look(settings)
    gone = [one.topic for one in found.left if not one.busy]
    if remove and gone:
        await _remove(settings, gone)
        left = {one.topic for one in (await _look(settings)).left} & set(gone)
        if left:
            raise BrokerLost(f"the broker does not let us remove {min(left)} ({len(left)} in all): see its access list")
    return found


async def _look(settings: Settings) -> Seen:
    shelf = Shelf(Topics(settings.prefix).answer_root())
    try:
        async with _connect(settings) as connection, asyncio.timeout(LOOK_S):
            await shelf.ask(connection, filters(settings))
            async for message in connection.messages:
                if shelf.take(message):
                    break
    except (aiomqtt.MqttError, OSError, TimeoutError) as error:
        raise _lost(settings, error) from error
    return Seen(settings, count_ours(shelf.topics, settings), leftovers(shelf.topics, settings))


async def _remove(settings: Settings, gone: Sequence[str]) -> None:
    try:
        async with _connect(settings) as connection:
            for topic in gone:
                await connection.publish(topic, b"", qos=1, retain=True)
    except (aiomqtt.MqttError, OSError, TimeoutError) as error:
        raise _lost(settings, error) from error


def _connect(settings: Settings) -> aiomqtt.Client:
    return client(settings.broker, f"{settings.instance}-clean-{token_hex(6)}", settings.broker.secret())


def _lost(settings: Settings, error: Exception) -> BrokerLost:
    broker = settings.broker
    told = NO_ANSWER if isinstance(error, TimeoutError) else tls.words(error, broker)
    return BrokerLost(f"the broker at {broker.host}:{broker.port} cannot be used: {told}")
