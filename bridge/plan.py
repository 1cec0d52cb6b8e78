"""How an exchange's symbols are split over its lines, by its stated limits. Pure."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from msgspec import Struct

from bridge.events import Channel, Symbol
from bridge.exchanges.base import Catalogue, Exchange, Refused
from bridge.settings import ExchangeSettings


class Plan(Struct, frozen=True):
    """One line to be: what it carries. `whole`: one subscription tells of every symbol."""

    name: str
    symbols: tuple[Symbol, ...]
    channels: frozenset[Channel]
    whole: bool = False


def plan(kind: type[Exchange], settings: ExchangeSettings, catalogue: Catalogue) -> tuple[list[Plan], list[Refused]]:
    """The lines for these settings, and the wanted symbols that the exchange does not have."""
    channels = settings.channels & kind.channels
    symbols, refused = known(settings.symbols, catalogue)
    plans = []
    if settings.whole_market and (told := channels & kind.whole_market_channels):
        trading = tuple(one.symbol for one in catalogue.by_symbol.values() if one.status == "trading")
        plans.append(Plan(f"{kind.name}/all", trading, told, whole=True))
        channels -= told
    if channels and symbols:
        blocks = split(symbols, per_line(kind, channels))
        plans += [Plan(f"{kind.name}/{k}", tuple(block), channels) for k, block in enumerate(blocks, 1)]
    return plans, refused


def known(wanted: Iterable[Symbol], catalogue: Catalogue) -> tuple[list[Symbol], list[Refused]]:
    """Part the wanted symbols into those of the catalogue and the others, with the nearest name."""
    symbols, refused = [], []
    for symbol in dict.fromkeys(wanted):
        if symbol in catalogue:
            symbols.append(symbol)
        else:
            near = get_close_matches(symbol, catalogue.by_symbol, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            refused.append(Refused("symbol", f"is not in the exchange's catalogue{hint}", symbol))
    return symbols, refused


def per_line(kind: type[Exchange], channels: frozenset[Channel]) -> int:
    """How many symbols fit on a line."""
    return max(1, kind.limits.topics_per_line // max(1, kind.topics_per_symbol(channels)))


def split(symbols: Sequence[Symbol], size: int) -> list[Sequence[Symbol]]:
    return [symbols[start : start + size] for start in range(0, len(symbols), size)]


def rearrange(lines: Sequence[Iterable[Symbol]], wanted: Sequence[Symbol], size: int) -> list[list[Symbol]]:
    """Give every wanted symbol a line, leaving those that have one where they are; the last lists may be new lines."""
    left = dict.fromkeys(wanted)
    arranged = []
    for line in lines:
        kept = [symbol for symbol in line if symbol in left]
        for symbol in kept:
            del left[symbol]
        arranged.append(kept)
    for symbol in left:
        roomy = next((line for line in arranged if len(line) < size), None)
        if roomy is None:
            arranged.append(roomy := [])
        roomy.append(symbol)
    return arranged
