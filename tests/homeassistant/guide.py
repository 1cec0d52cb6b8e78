"""docs/home-assistant-guide.md as the tests read it: its pieces of YAML and TOML, and the entities it names."""

import re
from typing import Any

import yaml

from bridge.events import Instrument
from bridge.homeassistant.devices import bridge_device, exchange_device
from bridge.homeassistant.ids import Ids
from bridge.topics import Topics
from tests.clients.snippets import ROOT, blocks

GUIDE = ROOT / "docs" / "home-assistant-guide.md"
AUTOMATIONS = ("automation", "outage")
_ENTITY = re.compile(r"\b(?:binary_)?sensor\.[a-z0-9_]+(?![a-z0-9_*])")


def piece(name: str) -> Any:
    """A block of YAML, loaded."""
    return yaml.safe_load(blocks(GUIDE)[name])


def named() -> set[str]:
    """Every entity that the guide names."""
    return set(_ENTITY.findall(GUIDE.read_text(encoding="utf-8")))


def announced() -> set[str]:
    """Every entity that Home Assistant is asked to make for the guide's symbols."""
    ids, names = Ids("tickbridge"), Topics()
    instruments = [Instrument(f"{base}-USDT", base, "USDT", f"{base}-USDT", "0.1") for base in ("BTC", "ETH")]
    devices = [bridge_device(ids, names, "0.1.0")]
    devices += [exchange_device(ids, names, one, one, instruments, "0.1.0") for one in ("kucoin", "binance")]
    return {one["default_entity_id"] for device in devices for one in device["components"].values()}


def everything(tree: Any) -> list[dict[str, Any]]:
    """Every mapping in a piece, at any depth."""
    if isinstance(tree, dict):
        return [tree, *(found for value in tree.values() for found in everything(value))]
    return [found for value in tree for found in everything(value)] if isinstance(tree, list) else []
