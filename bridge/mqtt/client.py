"""Connections to the broker beside the publisher's, by aiomqtt: no will, no session, small messages sent at once."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import cast

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bridge import tls
from bridge.backoff import Backoff
from bridge.errors import BrokerLost, SettingsError
from bridge.settings import Broker

BACKOFF_FIRST_S = 1.0
BACKOFF_MOST_S = 60.0
STEADY_S = 30.0
"""A connection that lived so long earns a fast retry; two bridges of one name throw each other out at once."""
MAX_PACKET = 1024 * 1024
"""What the broker may send us; larger than any request, so that one that is too long can still be told so."""


def client(
    broker: Broker, identifier: str, password: str | None, inbox: asyncio.Queue[aiomqtt.Message] | None = None
) -> aiomqtt.Client:
    """A new one for every connection. `inbox`: a queue of one's own in place of aiomqtt's, which has no limit.

    Raises SettingsError if the authority's file cannot be used.
    """
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 0
    properties.MaximumPacketSize = MAX_PACKET
    return aiomqtt.Client(
        broker.host,
        broker.port,
        username=broker.user,
        password=password,
        identifier=identifier,
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=True,
        keepalive=broker.keepalive_s,
        timeout=broker.connect_timeout_s,
        properties=properties,
        # else every answer waits 40 ms for the acknowledgement of the PUBACK before it
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        # aiomqtt makes its queue by this, with a size
        queue_type=None if inbox is None else cast("type[asyncio.Queue[aiomqtt.Message]]", lambda maxsize: inbox),
        tls_context=tls.context(broker),
    )


async def keep_serving(
    broker: Broker,
    serve: Callable[[], Awaitable[None]],
    away: Callable[[str], None],
    pausing: Callable[[float], None] = lambda _delay_s: None,
) -> None:
    """Until cancelled: `serve` one connection after the other.

    `away` is told why one ended, `pausing` for how many seconds nothing happens then.
    """
    loop = asyncio.get_running_loop()
    backoff = Backoff(BACKOFF_FIRST_S, BACKOFF_MOST_S)
    while True:
        began_s = loop.time()
        try:
            await serve()
        except (aiomqtt.MqttError, BrokerLost, SettingsError, OSError) as error:  # a file may be renewed just now
            heed_cancel()
            away(tls.words(error, broker))
        if loop.time() - began_s > STEADY_S:
            backoff.reset()
        delay_s = backoff.next()
        pausing(delay_s)
        await asyncio.sleep(delay_s)


def heed_cancel() -> None:
    """Before Python 3.12 `wait_for` loses a cancellation that comes together with its result: a stop would hang."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
