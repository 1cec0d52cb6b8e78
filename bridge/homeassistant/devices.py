"""A device's whole configuration, as Home Assistant's device discovery wants it. Pure."""

from collections.abc import Iterable
from typing import Any

import msgspec

from bridge.events import Instrument
from bridge.homeassistant.entities import Component, bridge, bridge_availability, feed, prices
from bridge.homeassistant.ids import BRIDGE, Ids
from bridge.topics import Topics

ORIGIN = "tickbridge"
MAX_BYTES = 1_000_000
"""Just below what our Mosquitto takes (`max_packet_size`); a larger one would cost the connection."""


def bridge_device(ids: Ids, names: Topics, version: str) -> dict[str, Any]:
    """The bridge's own."""
    device = {"name": _titled("Tickbridge", ids), "model": "Bridge"}
    return _config(ids, BRIDGE, device, version, {"components": bridge(ids, names)})


def exchange_device(
    ids: Ids, names: Topics, exchange: str, title: str, instruments: Iterable[Instrument], version: str
) -> dict[str, Any]:
    """An exchange's: its feed's health, and the prices of these instruments, always in the same order."""
    components: dict[str, Component] = feed(ids, names, exchange)
    for one in sorted(instruments, key=lambda one: one.symbol):
        components |= prices(ids, names, exchange, one)
    device = {"name": _titled(title, ids), "model": "Exchange", "via_device": ids.device(BRIDGE)}
    more = {
        "availability": bridge_availability(names),
        "availability_mode": "all",
        "components": components,
    }
    return _config(ids, exchange, device, version, more)


def encoded(config: dict[str, Any]) -> bytes:
    """As it is published: the same bytes for the same configuration."""
    return msgspec.json.encode(config)


def decoded(payload: bytes) -> dict[str, Any]:
    """A retained configuration, whoever wrote it; empty if it is none."""
    try:
        config = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def components(payload: bytes) -> dict[str, str]:
    """The components of a retained configuration, with their platforms."""
    told = decoded(payload).get("components")
    rows = told.items() if isinstance(told, dict) else ()
    return {key: str(one["platform"]) for key, one in rows if isinstance(one, dict) and "platform" in one}


def _titled(title: str, ids: Ids) -> str:
    """Two bridges' devices for one exchange must not look alike."""
    apart = [ids.instance] if ids.instance != ORIGIN else []
    apart += [ids.shard] if ids.shard else []
    return f"{title} ({', '.join(apart)})" if apart else title


def _config(ids: Ids, name: str, device: dict[str, str], version: str, more: dict[str, Any]) -> dict[str, Any]:
    about = {"identifiers": [ids.device(name)], "manufacturer": "Tickbridge", "sw_version": version}
    return {"device": about | device, "origin": {"name": ORIGIN, "sw_version": version}, **more}
