"""From what a broker retains of ours to what is wanted: which messages, in which order. Pure."""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from bridge.homeassistant.devices import ORIGIN, components, decoded, encoded
from bridge.homeassistant.ids import Ids

GONE = b""
"""An empty retained payload removes a device with all its entities."""


class Wanted(Struct, frozen=True):
    """The configurations that are wanted, by topic and in order.

    `unknown`: devices of which nothing can be said yet (their exchange has told no catalogue): left as they are.
    `held`: components that are wanted but cannot be described (their symbol is missing from the catalogue).
    """

    devices: Mapping[str, bytes] = {}
    unknown: frozenset[str] = frozenset()
    held: Mapping[str, frozenset[str]] = {}


def changes(retained: Mapping[str, bytes], wanted: Wanted, *, again: bool = False) -> Iterator[tuple[str, bytes]]:
    """What to publish, retained: nothing for what the broker has already, unless `again`."""
    for topic in retained:
        if topic not in wanted.devices and topic not in wanted.unknown:
            yield topic, GONE
    for topic, plain in wanted.devices.items():
        before = retained.get(topic, GONE)
        payload = _with_held(plain, before, wanted.held.get(topic, frozenset()))
        removed = _removed(before, payload)
        if removed:
            yield topic, _reduced(payload, removed)
        if removed or again or decoded(before) != decoded(payload):
            yield topic, payload


def ours(ids: Ids, retained: Mapping[str, bytes]) -> dict[str, bytes]:
    """What we may remove: the topic has our instance's name and the payload says that Tickbridge wrote it."""
    from_us = {topic: payload for topic, payload in retained.items() if ids.name(topic) is not None}
    return {topic: payload for topic, payload in from_us.items() if is_by_us(payload)}


def is_by_us(payload: bytes) -> bool:
    """Whether a retained configuration says that Tickbridge wrote it."""
    origin = decoded(payload).get("origin")
    return isinstance(origin, dict) and origin.get("name") == ORIGIN


def _with_held(payload: bytes, before: bytes, held: frozenset[str]) -> bytes:
    """What cannot be described anew stays as it was described."""
    now = components(payload)
    kept = {key for key in components(before) if key in held and key not in now}
    if not kept:
        return payload
    config, old = decoded(payload), decoded(before)["components"]
    config["components"] |= {key: old[key] for key in sorted(kept)}
    return encoded(config)


def _removed(before: bytes, after: bytes) -> dict[str, str]:
    """Leaving a component out does not remove its entity: these must be told once by their platform alone."""
    now = components(after)
    return {key: platform for key, platform in components(before).items() if key not in now}


def _reduced(payload: bytes, removed: Mapping[str, str]) -> bytes:
    config = decoded(payload)
    config["components"] |= {key: {"platform": platform} for key, platform in removed.items()}
    return encoded(config)
