"""What a connection works with, and the two payloads that only the publisher reads. Pure."""

from typing import Protocol

from msgspec import Struct

from bridge.mqtt.figures import Figures
from bridge.mqtt.suspects import Suspects
from bridge.outbox import Outbox
from bridge.states import States
from bridge.topics import Topics
from bridge.vitals import Vitals

PUBLISHER = "publisher"
"""Its name among the parts that must move."""


class Clock(Protocol):
    """Wall and monotonic time in ns."""

    def now_ns(self) -> int: ...
    def monotonic_ns(self) -> int: ...


class Identity(Protocol):
    """Who publishes: the run (None until the clock is synchronised) and `health/bridge` for a connection."""

    @property
    def run(self) -> int | None: ...
    def bridge_health(self, status: str, connection: int, now_ns: int) -> bytes: ...


class Parts(Struct, frozen=True):
    """The same for every connection of one publisher."""

    client_id: str
    topics: Topics
    outbox: Outbox
    states: States
    clock: Clock
    identity: Identity
    figures: Figures
    suspects: Suspects
    vitals: Vitals


class Marker(Struct):
    """How far the broker surely remembers: retained on `tickbridge/marker/<client id>`."""

    run: int
    position: int


class OwnHealth(Struct):
    """What tells our own `health/bridge` from another connection's."""

    status: str
    connection: int
    run: int | None = None
