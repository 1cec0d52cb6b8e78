"""Which retained topics are ours and wanted no more, by the present settings. Pure.

Ours are only topics of exchanges that Tickbridge knows, below our prefix, and devices of our instance that say so:
`sensors/kitchen` is somebody else's. What is told at this moment is left alone, be it by another bridge or by
our own with other settings (from its environment or command line).
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from bridge.exchanges import EXCHANGES
from bridge.homeassistant.changes import ours
from bridge.homeassistant.devices import decoded
from bridge.homeassistant.ids import BRIDGE, Ids
from bridge.settings import ExchangeSettings, Settings
from bridge.topics import Topics

ROOTS = ("latest", "forming", "stats", "sensors", "display", "health", "catalogue")
OF_A_SYMBOL = {"latest": 3, "stats": 3, "forming": 4, "sensors": 3, "display": 3}
"""Levels of a symbol's topic."""
NEVER_RETAINED = ("sensors", "display")


class Leftover(Struct, frozen=True):
    """A topic and why it is wanted no more. `busy`: a running bridge seems to use it, so it is left alone."""

    topic: str
    why: str
    busy: bool = False


def filters(settings: Settings) -> list[str]:
    """What to look at."""
    names = Topics(settings.prefix)
    return [_ids(settings).filter(), *(f"{names.prefix}{root}/#" for root in ROOTS)]


def leftovers(retained: Mapping[str, bytes], settings: Settings) -> list[Leftover]:
    """In the order of the topics."""
    found = [*_devices(retained, settings), *_topics(retained, settings)]
    return sorted(found, key=lambda one: one.topic)


def count_ours(retained: Mapping[str, bytes], settings: Settings) -> int:
    """How many of them are ours, wanted or not."""
    names = Topics(settings.prefix, settings.shard)
    return len(list(ours(_ids(settings), retained))) + len(list(_parted(names, retained)))


def _ids(settings: Settings) -> Ids:
    return Ids(settings.instance, settings.shard, settings.homeassistant.discovery_root)


def _exchanges(settings: Settings) -> dict[str, ExchangeSettings]:
    known = {name: getattr(settings.exchanges, name) for name in EXCHANGES}
    return {name: one for name, one in known.items() if one.enabled}


def _devices(retained: Mapping[str, bytes], settings: Settings) -> Iterator[Leftover]:
    ids = _ids(settings)
    names = Topics(settings.prefix, settings.shard)
    wanted = {BRIDGE, *_exchanges(settings)} if settings.homeassistant.enabled else set()
    for topic in ours(ids, retained):
        name = ids.name(topic)
        if name is not None and name not in wanted:
            off = "homeassistant.enabled = false" if not wanted else "the exchange is off"
            yield Leftover(topic, off, _is_announced(names, name, retained))


def _topics(retained: Mapping[str, bytes], settings: Settings) -> Iterator[Leftover]:
    names = Topics(settings.prefix, settings.shard)
    enabled = _exchanges(settings)
    for topic, root, rest in _parted(names, retained):
        why = _whole(names, root, rest, settings) if _is_whole(root, rest) else _single(root, rest, settings)
        if why is not None:
            busy = rest[0] not in (*enabled, BRIDGE) and _is_told(names, rest[0], retained)
            announced = root == "sensors" and _is_whole(root, rest) and _is_announced(names, rest[0], retained)
            yield Leftover(topic, why, busy or announced)


def _parted(names: Topics, retained: Mapping[str, bytes]) -> Iterator[tuple[str, str, list[str]]]:
    """Our topics beside the devices: each with its root and the levels below."""
    for topic in retained:
        root, *rest = topic.removeprefix(names.prefix).split("/")
        if topic.startswith(names.prefix) and root in ROOTS and rest and rest[0] in (*EXCHANGES, BRIDGE):
            yield topic, root, rest


def _is_told(names: Topics, exchange: str, retained: Mapping[str, bytes]) -> bool:
    """Whether a bridge, or one for a part of the work, has told of it within the last 30 s."""
    whole = f"{names.prefix}health/{exchange}"
    return any(topic == whole or topic.startswith(f"{whole}/") for topic in retained)


def _is_announced(names: Topics, name: str, retained: Mapping[str, bytes]) -> bool:
    """Whether our own bridge runs at this moment and tells Home Assistant of it, whatever our settings say."""
    told = decoded(retained.get(names.health(BRIDGE), b""))
    runs = told.get("status") == "online" and "homeassistant" in told
    return runs and (name == BRIDGE or _is_told(names, name, retained))


def _is_whole(root: str, rest: Sequence[str]) -> bool:
    """Whether it tells of a whole exchange, perhaps of one part of the work."""
    return root in ("sensors", "health", "catalogue") and (len(rest) == 1 or (len(rest) == 2 and rest[1].isdigit()))


def _whole(names: Topics, root: str, rest: Sequence[str], settings: Settings) -> str | None:
    """Why a topic of an exchange or the bridge is not wanted; None also for those of another part of the work."""
    exchange = rest[0]
    made = {"sensors": names.sensors, "health": names.health, "catalogue": names.catalogue}[root](exchange)
    if made != f"{names.prefix}{root}/{'/'.join(rest)}":
        return None
    if root == "sensors" and not settings.homeassistant.enabled:
        return "homeassistant.enabled = false"
    return None if exchange in (BRIDGE, *_exchanges(settings)) else "the exchange is off"


def _single(root: str, rest: Sequence[str], settings: Settings) -> str | None:
    """Why a symbol's topic is not wanted. Of work that is split nobody can tell whose a symbol is."""
    if settings.shard or OF_A_SYMBOL.get(root) != len(rest) + 1 or rest[0] == BRIDGE:
        return None
    if root in NEVER_RETAINED:
        return "nothing is retained there"
    one = _exchanges(settings).get(rest[0])
    if one is None:
        return "the exchange is off"
    return None if one.whole_market or rest[1] in one.symbols else "the symbol is not subscribed"
