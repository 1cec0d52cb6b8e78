"""Home Assistant's own rules for a device's discovery payload, as far as its code and its log tell them."""

import re
from collections.abc import Iterator
from typing import Any

DEVICE = {"identifiers", "connections", "manufacturer", "model", "model_id", "name", "hw_version", "serial_number"}
DEVICE |= {"sw_version", "via_device", "suggested_area", "configuration_url"}
ORIGIN = {"name", "sw_version", "support_url"}
SHARED = {"availability", "availability_mode", "availability_template", "availability_topic", "payload_available"}
SHARED |= {"payload_not_available", "command_topic", "state_topic"}
TOP = SHARED | {"device", "origin", "components", "qos", "encoding"}
ENTITY = SHARED | {"platform", "unique_id", "default_entity_id", "object_id", "name", "icon", "entity_category"}
ENTITY |= {"enabled_by_default", "value_template", "expire_after", "device_class", "qos", "encoding", "force_update"}
PLATFORMS = {
    "sensor": {"state_class", "unit_of_measurement", "suggested_display_precision", "options"},
    "binary_sensor": {"off_delay", "payload_on", "payload_off"},
}  # fmt: skip
TOPIC = re.compile(r"[A-Za-z0-9_/-]+/device/[a-zA-Z0-9_-]+/config").fullmatch
ENTITY_ID = re.compile(r"(sensor|binary_sensor)\.(?!_)[a-z0-9_]{1,250}(?<!_)").fullmatch
CLASS_UNITS = {"duration": {"ms", "s", "min", "h", "d"}, "timestamp": {None}, "enum": {None}}


def broken(topic: str, config: dict[str, Any]) -> Iterator[str]:
    """Each rule that this device's configuration breaks, in words."""
    if not TOPIC(topic):
        yield f"{topic!r} is an illegal discovery topic"
    yield from (f"{key!r} is no key of a device's configuration" for key in config.keys() - TOP)
    yield from (f"{key!r} is missing" for key in {"device", "origin", "components"} - config.keys())
    device, origin = config.get("device", {}), config.get("origin", {})
    yield from (f"device has no key {key!r}" for key in device.keys() - DEVICE)
    yield from (f"origin has no key {key!r}" for key in origin.keys() - ORIGIN)
    if not device.get("identifiers") and not device.get("connections"):
        yield "the device has no identifier"
    if not origin.get("name"):
        yield "the origin has no name"
    components = config.get("components", {})
    unique = [one.get("unique_id") for one in components.values() if len(one) > 1]
    if len(unique) != len(set(unique)):
        yield "a unique id stands twice"
    entity_ids = [one.get("default_entity_id") for one in components.values() if len(one) > 1]
    if len(entity_ids) != len(set(entity_ids)):
        yield "an entity id stands twice"
    for key, one in components.items():
        yield from (f"{key}: {problem}" for problem in component(one, config))


def component(one: dict[str, Any], config: dict[str, Any]) -> Iterator[str]:
    """What is wrong with one entity, or with its removal by the platform alone."""
    platform = one.get("platform")
    if platform not in PLATFORMS:
        yield f"platform {platform!r} is not one of ours"
        return
    if len(one) == 1:
        return
    yield from (f"{key!r} is no key of a {platform}" for key in one.keys() - ENTITY - PLATFORMS[platform])
    for key in ("unique_id", "name", "default_entity_id", "state_topic"):
        if not (one.get(key) or config.get(key)):
            yield f"has no {key}"
    if not ENTITY_ID(str(one.get("default_entity_id"))):
        yield f"{one.get('default_entity_id')!r} is no entity id"
    if not str(one.get("default_entity_id")).startswith(f"{platform}."):
        yield "the entity id belongs to another platform"
    yield from classes(one)
    yield from availability(one.get("availability") or config.get("availability") or [])
    if any(char in str(one.get("state_topic")) for char in "+#\0"):
        yield "the state topic holds a wildcard"


def classes(one: dict[str, Any]) -> Iterator[str]:
    """Classes and units that do not go together: Home Assistant logs a warning, or will refuse them."""
    device_class, state_class, unit = one.get("device_class"), one.get("state_class"), one.get("unit_of_measurement")
    if device_class == "monetary":
        yield "monetary goes neither with a measurement nor with a unit that is no currency"
    if device_class in CLASS_UNITS and unit not in CLASS_UNITS[device_class]:
        yield f"{unit!r} is no unit of {device_class}"
    if device_class in ("enum", "timestamp") and (state_class or "suggested_display_precision" in one):
        yield f"{device_class} is no number"
    if ("options" in one) != (device_class == "enum"):
        yield "options belong to an enum"
    if state_class not in (None, "measurement", "total", "total_increasing"):
        yield f"{state_class!r} is no state class"
    if not isinstance(one.get("expire_after", 1), int):
        yield "expire_after is no whole number"
    if len(str(one.get("name"))) > 100:
        yield "the name is too long for anybody to read"


def availability(rows: list[dict[str, str]]) -> Iterator[str]:
    """Each topic may stand there once, and a template must say one of the two words."""
    topics = [row.get("topic") for row in rows]
    if len(topics) != len(set(topics)):
        yield "an availability topic stands twice: only the last would count"
    for row in rows:
        yield from (f"availability has no key {key!r}" for key in row.keys() - {"topic", "value_template"})
        if not {"'online'", "'offline'"} <= set(re.findall(r"'\w+'", row.get("value_template", ""))):
            yield "a template that does not map to both words leaves Home Assistant with the old one"
