"""Settings that are allowed and yet hardly meant: they would start, and show nothing. Pure."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from bridge.homeassistant.choice import Offer, choose
from bridge.settings import ExchangeSettings, Settings


def doubts(settings: Settings) -> Iterator[tuple[str, str]]:
    """What it is about, and what to do."""
    enabled = _enabled(settings)
    if not enabled:
        names = " or ".join(f"exchanges.{name}.enabled" for name in type(settings.exchanges).model_fields)
        yield "exchanges", f"none is enabled, so no price will come: set {names} = true"
    for name, section in (("homeassistant", settings.homeassistant), ("display", settings.display)):
        if section.symbols and not section.enabled:
            yield name, f"has symbols, but nothing is told of them: set {name}.enabled = true"
        for pattern in _idle(section.symbols, enabled):
            yield name, f"{name}.symbols: {pattern} matches no symbol of exchanges.*.symbols"


def _enabled(settings: Settings) -> dict[str, ExchangeSettings]:
    known = {name: getattr(settings.exchanges, name) for name in type(settings.exchanges).model_fields}
    return {name: one for name, one in known.items() if one.enabled}


def _idle(patterns: tuple[str, ...], enabled: dict[str, ExchangeSettings]) -> list[str]:
    """Of a whole market nobody knows the symbols without asking for them: there any pattern may match."""
    offers = {name: Offer(one.symbols) for name, one in enabled.items()}
    whole = [name for name, one in enabled.items() if one.whole_market]
    return [one for one in choose(patterns, offers).idle if not any(_means(one, name) for name in whole)]


def _means(pattern: str, exchange: str) -> bool:
    named = pattern.rpartition(":")[0]
    return not named or fnmatchcase(exchange, named)
