"""The names by which Home Assistant knows us for ever: devices, entities, and whose they are. Pure.

Never change what is made here: a changed unique id leaves its entity, with all that its owner set, without a source.
"""

import hashlib
import re

from msgspec import Struct

from bridge.events import Symbol

BRIDGE = "bridge"
_PLAIN = re.compile(r"[A-Z0-9]+-[A-Z0-9]+").fullmatch
_NAME = re.compile(r"[a-z0-9]+(-\d+)?").fullmatch


class Ids(Struct, frozen=True):
    """All ids of one bridge. `shard`: its part of the work (`""`: all), so that parts have devices of their own."""

    instance: str
    shard: str = ""
    root: str = "homeassistant"

    def device(self, name: str) -> str:
        """An exchange's device, or that of `bridge`."""
        return f"{self.instance}_{name}" + (f"-{self.part}" if self.part else "")

    @property
    def part(self) -> str:
        """The number of its part of the work; empty for all of it."""
        return self.shard.partition("/")[0]

    def entity(self, name: str, key: str) -> str:
        """A symbol's unique id. It does not depend on the part of the work that brings it."""
        return f"{self.instance}_{name}_{key}"

    def own(self, name: str, key: str) -> str:
        """The unique id of what tells how a part of the work does: every part has its own."""
        return f"{self.device(name)}_{key}"

    def topic(self, name: str) -> str:
        """Where a device's configuration is retained."""
        return f"{self.root}/device/{self.device(name)}/config"

    def filter(self) -> str:
        """All devices' configurations, others' as well."""
        return f"{self.root}/device/+/config"

    def name(self, topic: str) -> str | None:
        """The exchange (or `bridge`) whose configuration this topic of ours holds; None: not ours.

        `home` must not take `home_2_kucoin` for its own: a name holds no underscore.
        """
        begin, end = f"{self.root}/device/", "/config"
        if not topic.startswith(begin) or not topic.endswith(end):
            return None
        instance, _, name = topic[len(begin) : -len(end)].rpartition("_")
        if instance != self.instance or not _NAME(name):
            return None
        name, _, part = name.partition("-")
        return name if part == self.part else None


def slug(symbol: Symbol) -> str:
    """A symbol as part of an id, all different: `btc_usdt`; one that would lose letters gets a check sum."""
    text = re.sub(r"[^a-z0-9]+", "_", symbol.lower()).strip("_")
    if _PLAIN(symbol):
        return text
    return f"{text}_{hashlib.sha256(symbol.encode()).hexdigest()[:8]}".lstrip("_")
