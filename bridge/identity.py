"""What the bridge says of itself on `health/bridge`: online, stopped, and in its will offline."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridge import __version__, topics
from bridge.clock import Clock
from bridge.health import clocked
from bridge.streams import Streams

log = logging.getLogger(__name__)

CHILDREN_FILE = "children.json"


class Identity:
    """Who publishes: the run, and `health/bridge` for a given connection. `figures()` brings what changes."""

    def __init__(self, streams: Streams, clock: Clock, figures: Callable[[], dict[str, Any]]) -> None:
        self._streams = streams
        self._clock = clock
        self._figures = figures
        self._since_mono_ns = clock.monotonic_ns()

    @property
    def run(self) -> int | None:
        return self._streams.run

    def bridge_health(self, status: str, connection: int, now_ns: int) -> bytes:
        """`health/bridge`. The will has no time: nobody knows yet when it will be said."""
        fields: dict[str, Any] = {
            "status": status,
            "run": self.run,
            "connection": connection,
            "version": __version__,
            "since_ns": self._since_mono_ns + self._clock.offset_ns,
        }
        if status == "offline":
            return topics.state(fields)
        fields = clocked({**fields, **self._figures()}, synced=self._clock.synced, now_ns=now_ns)
        return topics.state(fields)


def children(data_dir: Path) -> dict[str, Any] | None:
    """What `tickbridge up` tells of its child processes, if it started us; restarts are seen here."""
    path = data_dir / CHILDREN_FILE
    try:
        told = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("%s cannot be read: %s", path, error)
        return None
    return told if isinstance(told, dict) else None
