"""Which symbols are chosen by patterns, and how many of them a budget allows. Pure.

A pattern is `[EXCHANGE:]SYMBOL` with * and ?; an empty list chooses each exchange's watchlist.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from msgspec import Struct

from bridge.events import Symbol

DAY_S = 86_400


class Offer(Struct, frozen=True):
    """What one exchange has: its watchlist, in order, and everything else that is subscribed."""

    watchlist: tuple[Symbol, ...]
    beside: tuple[Symbol, ...] = ()


Pair = tuple[str, Symbol]


class Choice(Struct, frozen=True):
    """The chosen symbols as (exchange, symbol), those left out by the budget, and patterns that match nothing."""

    taken: tuple[Pair, ...] = ()
    left_out: tuple[Pair, ...] = ()
    idle: tuple[str, ...] = ()

    def of(self, exchange: str) -> tuple[Symbol, ...]:
        """An exchange's own."""
        return tuple(symbol for name, symbol in self.taken if name == exchange)


def choose(
    patterns: Sequence[str], offers: Mapping[str, Offer], budget: int | None = None, first: Sequence[Pair] = ()
) -> Choice:
    """In the order of the patterns, then of exchanges and watchlists: the first `budget` of them (None: all).

    Of those that are wanted, `first` come before all others.
    """
    found = {pattern: _matching(pattern, offers) for pattern in patterns}
    wanted = dict.fromkeys([pair for pairs in found.values() for pair in pairs] if patterns else _watchlists(offers))
    ordered = tuple(dict.fromkeys([*(pair for pair in first if pair in wanted), *wanted]))
    most = len(ordered) if budget is None else budget
    return Choice(ordered[:most], ordered[most:], tuple(pattern for pattern, pairs in found.items() if not pairs))


def rows_a_day(entities: int, interval_s: float) -> int:
    """What Home Assistant's recorder writes at most for so many prices that all change with every message."""
    return round(entities * DAY_S / interval_s)


def _watchlists(offers: Mapping[str, Offer]) -> list[Pair]:
    return [(exchange, symbol) for exchange, offer in offers.items() for symbol in offer.watchlist]


def _matching(pattern: str, offers: Mapping[str, Offer]) -> list[Pair]:
    exchange, _, symbol = pattern.rpartition(":")
    named = [name for name in offers if not exchange or fnmatchcase(name, exchange)]
    return [
        (name, one)
        for name in named
        for one in (*offers[name].watchlist, *offers[name].beside)
        if fnmatchcase(one, symbol)
    ]
