"""The symbols of the settings in the order that people gave them: how a table of prices is best begun. Pure."""

from bridge.settings import Settings

MOST = 1_000


def watchlist(settings: Settings) -> list[str]:
    """Every chosen symbol once: those that stand first in any exchange's list come first."""
    exchanges = [getattr(settings.exchanges, name) for name in type(settings.exchanges).model_fields]
    places: dict[str, int] = {}
    for exchange in exchanges:
        for place, symbol in enumerate(exchange.symbols if exchange.enabled else ()):
            places[symbol] = min(place, places.get(symbol, place))
    return sorted(places, key=places.__getitem__)[:MOST]
