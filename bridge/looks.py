"""Suspicious silence: which symbols are looked at by REST, and what the answer means. Pure; times are monotonic ns."""

from collections.abc import Iterable
from operator import itemgetter

from bridge.events import Channel, Symbol, Tick
from bridge.exchanges.base import Exchange, Fetch, Look
from bridge.feed import Feed
from bridge.freshness import Budget, SymbolLife


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
        suspects = []
        for symbol in symbols:
            life = self._feed.life(symbol, mono_ns)
            if life.unanswered(mono_ns):
                reason = f"silent for {life.silent_s(mono_ns):.0f} s, unexplained"
                self._feed.mark_stale(symbol, reason, mono_ns)
                life.look_again(mono_ns)
            if life.is_suspect(mono_ns):
                suspects.append((life.waits_ns, symbol, life))
        return [
            self._look(exchange, *one[1:], mono_ns)
            for one in sorted(suspects, key=itemgetter(0, 1))
            if self._budget.spend(mono_ns)
        ]

    def _look(self, exchange: Exchange, symbol: Symbol, life: SymbolLife, mono_ns: int) -> Fetch:
        life.looked(mono_ns)
        self.made += 1
        return exchange.look(symbol)

    def contradicts(self, look: Look, mono_ns: int) -> bool:
        """Compare REST's answer with ours. True: the line has forgotten this symbol, subscribe it anew."""
        symbol = look.tick.symbol
        series = self._feed.series.get(symbol)
        if series is None or not series.life.is_looked_at:
            return False  # it has spoken since: the answer is older than what it said
        if series.last is not None and _agrees(series.last, look.tick):
            self._feed.vindicate(series, mono_ns)
            return False
        if series.last is None or not series.life.is_told:
            # nothing heard since this line is up: what REST tells is the newest there is
            self._feed.deliver([look.tick], mono_ns, on_line=False)
            return False
        self._feed.mark_stale(symbol, "REST tells another price than the line", mono_ns)
        series.life.look_again(mono_ns)
        return True


def _agrees(ours: Tick, told: Tick) -> bool:
    if told.seq is not None and ours.seq is not None and told.seq <= ours.seq:
        return True
    pairs = ((ours.price, told.price), (ours.bid, told.bid), (ours.ask, told.ask))
    return all(b is None or a == b for a, b in pairs)
