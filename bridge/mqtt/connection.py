"""One connection to the broker on the event loop: greeting, flushing, breaking. A fresh object per attempt.

CONNECT → CONNACK → subscribe to marker and own health, nonce → the marker before the nonce → `Flow` is live.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import cast

import msgspec

from bridge.errors import BrokerLost
from bridge.mqtt.flow import Flow
from bridge.mqtt.parts import PUBLISHER, Marker, Parts
from bridge.mqtt.protocol import Line
from bridge.mqtt.told import Acked, Connected, Ended, Event, Login, StateAcked, Subscribed, Told
from bridge.settings import Broker

log = logging.getLogger(__name__)

MARKER_WAIT_S = 5.0
"""A broker that does not give the nonce back within this is taken to remember nothing."""
TICK_S = 1.0
"""How often the marker is written while it moves, and the keepalive looked at."""
READ_PAUSE_S = 0.002
"""How long acknowledgements gather while more waits to be sent than the window holds."""
READ_PAUSE_MOST_S = 0.02
"""How long they gather at most: a DISCONNECT or a foreign value of our health waits no longer, whatever `gather_ms`."""
ACK_S = 30.0
"""A broker that acknowledges nothing is left sooner (`protocol.ACK_WAIT_NS`): later than this, it is us."""
SMALL_WINDOW = 256
"""Below it waiting for acknowledgements would limit the throughput."""
WRITE_HIGH = 1024 * 1024
"""Bytes that may wait in the transport before nothing more is taken from the outbox."""


class Connection(asyncio.Protocol):
    """`ready` ends when the traffic flows (True) or never will (False), `ended` with the reason of the end."""

    def __init__(self, parts: Parts, settings: Broker, login: Login, number: int) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._clock = parts.clock
        self._identity = parts.identity
        self._figures = parts.figures
        self._states = parts.states
        self._outbox = parts.outbox
        self._vitals = parts.vitals
        self._published = -1
        self._login = login
        self._gather_s = settings.gather_ms / 1000
        self._line = Line(settings.keepalive_s, settings.max_inflight, parts.clock.monotonic_ns())
        self._marker_topic = parts.topics.marker(login.client_id)
        self._health_topic = parts.topics.health("bridge")
        self._nonce = token_hex(16).encode()
        self._remembered: bytes = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._resume: asyncio.TimerHandle | None = None
        self._writable = True
        self._scheduled = False
        self._leaving = False
        self.flow = Flow(parts, self._line, number)
        self.heard = False
        """The broker has said anything at all."""
        self.asleep = False
        """Nothing is scheduled and something could be sent: whoever appends must `rouse`."""
        self.ready: asyncio.Future[bool] = loop.create_future()
        self.ended: asyncio.Future[str] = loop.create_future()

    @property
    def max_packet(self) -> int | None:
        """The largest packet that the broker takes, in bytes."""
        return self._line.max_packet

    # --- sending ------------------------------------------------------------------------------------
    def rouse(self) -> None:
        """Something is to be sent: flush once, a few milliseconds from now, with what gathers until then."""
        self.asleep = False
        self._scheduled = True
        self._loop.call_later(self._gather_s, self._due)

    def _due(self) -> None:
        self._scheduled = False
        with self._guard():
            self._flush()
        self._doze()
        self._rest()

    def _doze(self) -> None:
        self.asleep = self.flow.live and self._writable and not self._scheduled and not self.ended.done()

    def _flush(self) -> None:
        if self.flow.live and self._writable:
            self._write(self.flow.batch())
            if self._states.waiting and not self._scheduled and self._line.state_room:
                self.rouse()
        self._say_refusals()

    def _write(self, data: bytes) -> None:
        if data and self._transport is not None and not self.ended.done():
            self._transport.write(data)

    def _say_refusals(self) -> None:
        if not self.flow.refusals:
            return
        for root, reason in self.flow.refusals:
            log.warning("the broker refuses %s/: %s", root, reason)
        self.flow.refusals.clear()

    # --- the event loop calls these -----------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = stream = cast(asyncio.Transport, transport)  # uvloop's are no subclass of it
        if self.ended.done():
            stream.abort()
            return
        stream.set_write_buffer_limits(high=WRITE_HIGH)
        self._write(self._line.connect(self._login))

    def data_received(self, data: bytes) -> None:
        self.heard = True
        with self._guard():
            for event in self._line.receive(data, self._clock.monotonic_ns()):
                if type(event) is Acked:
                    self.flow.acked(event.count)
                else:
                    self._on(event)
            if self.flow.live and self.flow.starved and not self._scheduled and self.flow.roomy:
                self._flush()
            self._say_refusals()
        self._rest()

    def _rest(self) -> None:
        """Let acknowledgements gather: Mosquitto writes each by itself, and a wake-up each costs more than its work."""
        transport = self._transport
        if transport is None or self._resume is not None or not self.flow.live or transport.is_closing():
            return
        if self._line.in_flight > 1 and self._line.window >= SMALL_WINDOW:
            pause_s = READ_PAUSE_S if self.flow.starved else min(self._gather_s, READ_PAUSE_MOST_S)
            transport.pause_reading()
            self._resume = self._loop.call_later(pause_s, self._resume_reading)

    def _resume_reading(self) -> None:
        if self._resume is not None:
            self._resume.cancel()
            self._resume = None
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    def pause_writing(self) -> None:
        self._writable = False
        self.asleep = False

    def resume_writing(self) -> None:
        self._writable = True
        with self._guard():
            self._flush()
        self._doze()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            with self._guard():
                self.flow.broke(None)
        self.end(f"the line broke: {exc}" if exc else "the broker closed the line")

    # --- greeting -----------------------------------------------------------------------------------
    def _on(self, event: Event) -> None:
        match event:
            case Connected():
                self._greet()
            case Told(topic, payload) if topic == self._marker_topic:
                self._marker_told(payload)
            case Subscribed(refused):
                self._subscribed(refused)
            case StateAcked(topic, reason) if topic == self._marker_topic and reason is not None:
                self._unmarked(reason)
            case Ended(code, reason):
                self.flow.broke(code)
                self.end(f"the broker ends the connection: {reason}")
            case _:
                self.flow.on(event)

    def _greet(self) -> None:
        """The nonce comes back behind what the broker retains of the marker: no answer needs a time-out."""
        nonce = self._line.state(self._marker_topic, self._nonce, qos=1, retain=False, expiry_s=None)
        self._write(self._line.subscribe([self._marker_topic, self._health_topic]) + (nonce or b""))
        self._timer = self._loop.call_later(MARKER_WAIT_S, self._unmarked, "it does not come back")

    def _subscribed(self, refused: dict[str, str]) -> None:
        for topic, reason in refused.items():
            log.warning("the broker does not let us read %s: %s", topic, reason)
        if self._marker_topic in refused:
            self._unmarked(refused[self._marker_topic])

    def _marker_told(self, payload: bytes) -> None:
        if self.flow.live:
            return
        if payload != self._nonce:
            self._remembered = payload
            return
        try:
            marker = msgspec.json.decode(self._remembered, type=Marker)
        except msgspec.DecodeError:
            marker = None
        if marker is not None:
            self._figures.marker_run = max(self._figures.marker_run, marker.run)
        known = marker is not None and marker.run == self._identity.run
        self._go(marker.position if marker is not None and known else None)

    def _unmarked(self, reason: str) -> None:
        if not self.flow.live:
            log.warning("no marker on %s (%s): everything the log holds is sent again", self._marker_topic, reason)
            with self._guard():
                self._go(None)

    def _go(self, position: int | None) -> None:
        if self._leaving:
            return
        self._stop_timer()
        self.flow.begin(position)
        self._write(self._line.unsubscribe(self._marker_topic))
        self._flush()
        self._doze()
        self._timer = self._loop.call_later(TICK_S, self._tick)
        if not self.ready.done():
            self.ready.set_result(True)

    def _tick(self) -> None:
        with self._guard():
            self._write(self.flow.tick(self._clock.monotonic_ns()))
            self._flush()
            self._prove()
            self._timer = self._loop.call_later(TICK_S, self._tick)

    def _prove(self) -> None:
        """Life is what the broker acknowledges, or that there is nothing to acknowledge."""
        published = self._figures.published
        if published != self._published or not self._outbox.unacknowledged:
            self._published = published
            self._vitals.promise(PUBLISHER, ACK_S)

    # --- the end ------------------------------------------------------------------------------------
    def say_stopped(self) -> None:
        """Publish `stopped`; nothing else goes out any more."""
        if self.flow.live:
            self._write(self.flow.stop())

    def leave(self) -> None:
        """Say goodbye, so that no will is told; the broker closes the line then."""
        if self.flow.live and not self.flow.stopped:
            self._write(self.flow.marker())
        self._write(self._line.disconnect())
        self._leaving = True
        self._resume_reading()
        self.asleep = self.flow.live = False
        self._stop_timer()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """What goes wrong in a callback ends the line; a bug of ours goes on to `Publisher.run`, not to the loop."""
        try:
            yield
        except BrokerLost as error:
            self.end(f"the broker {error}")
        except Exception as error:
            if self.ended.done():
                raise
            self.ended.set_exception(error)
            self._clean_up()

    def end(self, reason: str) -> None:
        """The line is over, whoever ended it."""
        if not self.ended.done():
            self.ended.set_result(reason)
            self._clean_up()

    def _clean_up(self) -> None:
        self.asleep = self.flow.live = False
        self._stop_timer()
        self._resume_reading()
        if not self.ready.done():
            self.ready.set_result(False)
        if self._transport is not None:
            self._transport.abort()
        self._say_refusals()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
