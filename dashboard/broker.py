"""Connections to the broker: a new client for each, and acknowledgement by hand."""

import asyncio
import logging
import random
import ssl
from typing import Any, cast

import aiomqtt

from bridge import tls
from bridge.settings import Broker

log = logging.getLogger(__name__)

MOST_UNACKNOWLEDGED = 65_535
"""What a broker can send before we acknowledge: there are no more packet ids."""
BACKOFF_FIRST_S = 0.5
BACKOFF_MOST_S = 15.0


class Inbox(asyncio.Queue[aiomqtt.Message]):
    """Messages of one connection. Bounded by what the broker may send unacknowledged, and room for QoS 0.

    `overflown`: a broker sent more, and that was thrown away. What was not acknowledged comes on a new connection.
    """

    def __init__(self, most: int = MOST_UNACKNOWLEDGED + 1000) -> None:
        super().__init__(most)
        self.overflown = False

    def put_nowait(self, item: aiomqtt.Message) -> None:
        if not self.full():
            super().put_nowait(item)
        elif not self.overflown:  # aiomqtt would say so of every single message
            self.overflown = True
            log.warning("the broker sends more at once than can be held: the rest must come again")


def session_client(settings: Broker, identifier: str, inbox: Inbox) -> aiomqtt.Client:
    """A client whose session, and what we did not acknowledge, the broker keeps while we are away.

    MQTT 3.1.1: paho spends 50 µs of every MQTT 5 message on its properties, of which we need none here (measured: 134
    µs a message, with 3.1.1 80), and a Pi could not follow a whole market. How long a session lives is then the
    broker's to say (`persistent_client_expiration`). Raises SettingsError if the password's or the authority's file
    cannot be used.
    """
    return _client(settings, identifier, inbox, protocol=aiomqtt.ProtocolVersion.V311, clean_session=False)


def passing_client(settings: Broker, identifier: str, inbox: Inbox) -> aiomqtt.Client:
    """A client that the broker forgets with its connection: MQTT 5, so that it tells what is left of an expiry."""
    return _client(settings, identifier, inbox, protocol=aiomqtt.ProtocolVersion.V5, clean_start=True)


def _client(settings: Broker, identifier: str, inbox: Inbox, **more: Any) -> aiomqtt.Client:
    return aiomqtt.Client(
        settings.host,
        settings.port,
        username=settings.user,
        password=settings.secret(),
        identifier=identifier,
        keepalive=settings.keepalive_s,
        timeout=settings.connect_timeout_s,
        # aiomqtt calls this once with a size; the inbox has its own
        queue_type=cast("type[asyncio.Queue[aiomqtt.Message]]", lambda maxsize: inbox),
        tls_context=tls.context(settings),
        **more,
    )


def acknowledge_by_hand(client: aiomqtt.Client) -> None:
    """To be called before connecting: nothing is acknowledged on its own any more."""
    _paho(client).manual_ack_set(True)


def acknowledge(client: aiomqtt.Client, packet_id: int) -> None:
    """Send the PUBACK of a QoS 1 message."""
    _paho(client).ack(packet_id, 1)


def certificate_until_s(client: aiomqtt.Client) -> float | None:
    """When the broker's certificate ends, in seconds since the epoch, while it is connected; None: without TLS."""
    line = _paho(client).socket()
    told = line.getpeercert() if isinstance(line, ssl.SSLSocket) else None
    return float(ssl.cert_time_to_seconds(str(told["notAfter"]))) if told else None


def _paho(client: aiomqtt.Client) -> Any:
    """The paho client inside: aiomqtt 2.5 has no public name for acknowledging by hand (its version is pinned)."""
    return client._client


def backoff_s(tries: int) -> float:
    """How long to wait after so many failures in a row: longer and longer, with full jitter."""
    return random.uniform(0.0, min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2.0 ** min(tries, 30)))


def refused_topics(topics: list[str], codes: Any) -> list[str]:
    """Which subscriptions the broker did not grant."""
    return [topic for topic, code in zip(topics, codes, strict=True) if int(getattr(code, "value", code)) >= 0x80]
