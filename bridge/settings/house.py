"""How often states are told, and what Home Assistant and simple displays get of them."""

import re
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import AfterValidator, Field

from bridge.settings.exchanges import Exchanges
from bridge.settings.values import Seconds, Section, shaped
from bridge.topics import symbol_problem

MAX_PATTERN = 200
USUAL_ENTITIES = 50
"""So many prices in a Home Assistant are no burden to its recorder."""
Topic = Annotated[
    str, shaped(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+){0,7}", "levels of letters, digits, _ and -, parted by /")
]


def _pattern(text: str) -> str:
    """`[EXCHANGE:]SYMBOL`, where * and ? stand for anything. Raises ValueError."""
    exchange, colon, symbol = text.rpartition(":")
    if (problem := symbol_problem(re.sub(r"[*?]", "", symbol) or "-")) or len(symbol) > MAX_PATTERN:
        raise ValueError(f"{text[:60]!r} {problem or 'is too long'}")
    if symbol != symbol.upper() or not symbol:
        raise ValueError(f"{text!r} is not written [EXCHANGE:]SYMBOL with the symbol in capitals, like kucoin:*-USDT")
    if colon and not any(fnmatchcase(name, exchange) for name in Exchanges.model_fields):
        raise ValueError(f"{text!r} names no exchange: there are {', '.join(Exchanges.model_fields)}")
    return text


Patterns = tuple[Annotated[str, AfterValidator(_pattern)], ...]


class Latest(Section):
    """How often the states are sent."""

    interval_s: Seconds = 1.0
    stats_interval_s: Seconds = 5.0


Heartbeat = Annotated[float, Field(ge=1, le=10)]
"""Seconds. A subscriber counts to 35: three of these, and some patience."""


class HomeAssistant(Section):
    """What Home Assistant is told of, by MQTT discovery."""

    enabled: bool = False
    symbols: Patterns = ()
    entities: Annotated[int, Field(ge=1, le=200)] = USUAL_ENTITIES
    interval_s: Heartbeat = 10.0
    discovery_root: Topic = "homeassistant"
    birth_topic: Topic = "homeassistant/status"


class Display(Section):
    """Prices as plain text, for displays that read no JSON."""

    enabled: bool = False
    symbols: Patterns = ()
    interval_s: Heartbeat = 1.0
