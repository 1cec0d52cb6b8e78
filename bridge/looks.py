"""Suspicious silence: which symbols are looked at by REST, and what the answer means. Pure; times are monotonic ns."""

from collections.abc import Iterable

from bridge.events import Channel, Symbol, Tick
from bridge.exchanges.base import Exchange, Fetch, Look
from bridge.feed import Feed
from bridge.freshness import Budget


class Looks:
    """The looks of one feed, within one budget a minute for all its symbols."""

    def __init__(self, feed: Feed, per_minute: int) -> None:
        self._feed = feed
        self._budget = Budget(per_minute)
        self.made = 0

    def due(self, exchange: Exchange, symbols: Iterable[Symbol], mono_ns: int) -> list[Fetch]:
        """The looks to make now for one line's symbols; those whose silence nobody explained become stale."""
        if Channel.TICKER not in exchange.wanted:
            return []
        fetches = []
        for symbol in symbols:
            life = self._feed.life(symbol, mono_ns)
            if life.unanswered(mono_ns):
                self._feed.mark_stale(symbol, f"silent for {life.silent_s(mono_ns):.0f} s, unexplained", mono_ns)
            elif life.is_suspect(mono_ns) and self._budget.spend(mono_ns):
                life.looked(mono_ns)
                self.made += 1
                fetches.append(exchange.look(symbol))
        return fetches

    def contradicts(self, look: Look, mono_ns: int) -> bool:
        """Compare REST's answer with ours. True: the line has forgotten this symbol, subscribe it anew."""
        symbol = look.tick.symbol
        series = self._feed.series.get(symbol)
        if series is None or series.last is None or not series.life.on_line:
            # nothing heard on this line yet: what REST tells is the newest there is
            self._feed.deliver([look.tick], mono_ns, on_line=False)
            return False
        if _agrees(series.last, look.tick):
            series.life.vindicated(mono_ns)
            return False
        self._feed.mark_stale(symbol, "REST tells another price than the line", mono_ns)
        return True


def _agrees(ours: Tick, told: Tick) -> bool:
    if told.seq is not None and ours.seq is not None and told.seq <= ours.seq:
        return True
    pairs = ((ours.price, told.price), (ours.bid, told.bid), (ours.ask, told.ask))
    return all(b is None or a == b for a, b in pairs)
