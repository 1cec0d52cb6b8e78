"""A lively market for any number of symbols at any rate: seeded, pure, given its times. It knows its own truth.

Prices walk at random in whole steps and are drawn to the path of `history`, so that the past and the present join.
"""

from collections import deque
from collections.abc import Sequence
from itertools import accumulate
from math import ceil
from random import Random
from statistics import fmean

from bridge.simulator.chart import Chart
from bridge.simulator.history import MINUTE_S, Path, Row
from bridge.simulator.values import Bar, Day, Deal, Event, Listing, Quote, Text

MS, S, MINUTE_NS = 1_000_000, 1_000_000_000, 60_000_000_000
TRADE_SHARE = 0.25
"""Of all quote updates, those that trades brought about."""
_TRADES = (1, 1, 1, 2, 3)
"""So many trades are brought about at once."""
_MOST_SEQ = 20
_SEQ_PER_TRADE = _MOST_SEQ / (TRADE_SHARE * fmean(_TRADES))
MOST_AT_ONCE_S = 1.0
"""After a stall of the clock at most this much market is made up for."""
_USUAL_NOTIONAL_CENTS = {"BTC": 1}
_OTHERWISE_CENTS = 50_000


class Market:
    """All markets of one exchange. `rate` is quote updates a second in all; one `path_seed` gives one past."""

    def __init__(
        self,
        listings: Sequence[Listing],
        text: Text,
        *,
        seed: int,
        path_seed: int,
        start_ns: int,
        rate: float,
    ) -> None:
        self.rate = rate
        self._random = Random(seed)
        # trades a minute of a market of weight 1, so that volumes of the past are those of the present
        pace = rate * 60 * TRADE_SHARE * fmean(_TRADES) / (sum(one.weight for one in listings) or 1)
        self._pairs = {
            one.native: Pair(one, text, path_seed, start_ns, self._random, pace * one.weight) for one in listings
        }
        self._order = list(self._pairs.values())
        self._weights = list(accumulate(one.weight for one in listings))
        self._now_ns = start_ns
        self._owed = 0.0

    def advance(self, now_ns: int) -> list[Event]:
        """What has happened since the last call, in order: trades before the quote that shows them."""
        passed_s = min(MOST_AT_ONCE_S, max(0, now_ns - self._now_ns) / S)
        self._now_ns = max(now_ns, self._now_ns)
        self._owed += self.rate * passed_s
        count = int(self._owed)
        self._owed -= count
        if not count or not self._order:
            return []
        events: list[Event] = []
        for pair in self._random.choices(self._order, cum_weights=self._weights, k=count):
            pair.move(now_ns // MS, self._random.random() < TRADE_SHARE, events)
        return events

    def quote(self, native: str) -> Quote:
        """The newest quote. Raises KeyError for an unknown symbol, as all of these do."""
        return self._pairs[native].quote

    def trades(self, native: str) -> list[Deal]:
        """The remembered trades, oldest first."""
        return list(self._pairs[native].deals)

    def bars(self, native: str, since_s: int, until_s: int, *, flat: bool = False) -> list[Bar]:
        """Candles that open in [since, until), oldest first, the forming one included; `flat`: empty minutes, too."""
        last = min(-(-until_s // MINUTE_S), self._now_ns // MINUTE_NS + 1)
        return self._pairs[native].bars(range(-(-since_s // MINUTE_S), last), flat=flat)

    def day(self, native: str) -> Day:
        """24 h statistics as of the last `advance`."""
        return self._pairs[native].day(self._now_ns // MINUTE_NS)


class Pair:
    """One market: its walk, its newest quote, its remembered trades and its chart."""

    def __init__(
        self, listing: Listing, text: Text, seed: int, start_ns: int, random: Random, trades_a_minute: float
    ) -> None:
        self._native, self._text, self._random = listing.native, text, random
        self._price_decimals, self._size_decimals = listing.price_decimals, listing.size_decimals
        self._usual = _usual_size(listing)
        self._path = Path(listing.name, seed, listing.start, self._usual * trades_a_minute)
        minute = start_ns // MINUTE_NS
        lively = listing.weight >= 1
        self._chart = Chart(self._path, minute, 1500 if lively else 300)
        self.deals: deque[Deal] = deque(maxlen=20_000 if lively else 1000)
        self._mid = self._path.price(minute)
        # a market that begins again later goes on with greater numbers, as an exchange does
        self._seq = 10**9 + minute * (997 + ceil(trades_a_minute * _SEQ_PER_TRADE))
        self._id = minute * (MINUTE_S + ceil(2 * trades_a_minute))
        self._single_id = minute * 32
        self._last = (self._mid, self._usual)
        self._last_ms = start_ns // MS
        self.quote = self._quoted()

    def move(self, now_ms: int, trades: bool, events: list[Event]) -> None:
        """One step of the walk: perhaps some trades (all of one moment), then the new quote."""
        random = self._random
        step = max(1, self._mid // 20_000)
        drift = self._path.price(now_ms // 60_000) - self._mid
        pull = step if drift > 20 * step else -step if drift < -20 * step else 0
        self._mid = max(2, self._mid + random.choice((-2, -1, -1, 0, 0, 0, 1, 1, 2)) * step + pull)
        if trades:
            events.extend([self._trade(now_ms) for _ in range(random.choice(_TRADES))])
        self._seq += random.randrange(1, _MOST_SEQ)
        self.quote = self._quoted()
        events.append(self.quote)

    def bars(self, minutes: range, *, flat: bool) -> list[Bar]:
        """These minutes as candles; a flat one repeats the close before it."""
        bars, close = [], self._path.price(minutes.start)
        for minute in minutes:
            row = self._chart.row(minute)
            if row is None and flat:
                row = (minute, close, close, close, close, 0, 0, 0, 0, 0, 0)
            if row is not None:
                close = row[4]
                bars.append(self._bar(row))
        return bars

    def day(self, minute: int) -> Day:
        """24 h statistics in the given minute."""
        open_, high, low, volume, turnover, count = self._chart.day(minute)
        last, price = self._last[0], self._price_decimals
        rate = round((last - open_) * 10**4 / open_) if open_ else 0
        prices = (self._text(open_, price), self._text(high, price), self._text(low, price), self._text(last, price))
        sums = self._text(volume, self._size_decimals), self._text(turnover, price + self._size_decimals)
        mean = self._text(turnover // volume if volume else last, price)
        return Day(self._native, *prices, *sums, self._text(last - open_, price), self._text(rate, 4), mean, count)

    def _trade(self, now_ms: int) -> Deal:
        buys = self._random.random() < 0.5
        price = self._mid + (1 if buys else -1)
        size = max(1, int(self._usual * self._random.expovariate(1.0)))
        singles = self._random.choice((1, 1, 1, 2, 4))
        self._chart.trade(now_ms // 60_000, price, size, self._single_id, singles, bought=buys)
        self._last, self._last_ms = (price, size), now_ms
        digits = self._text(price, self._price_decimals), self._text(size, self._size_decimals)
        first, last = self._single_id, self._single_id + singles - 1
        deal = Deal(self._native, self._id, now_ms, "buy" if buys else "sell", *digits, first, last)
        self._single_id, self._id = last + 1, self._id + 1
        self.deals.append(deal)
        return deal

    def _quoted(self) -> Quote:
        text, price, size = self._text, self._price_decimals, self._size_decimals
        sizes = [max(1, int(self._usual * self._random.expovariate(0.5))) for _ in range(2)]
        return Quote(
            self._native,
            self._seq,
            self._last_ms,
            text(self._last[0], price),
            text(self._last[1], size),
            text(self._mid - 1, price),
            text(sizes[0], size),
            text(self._mid + 1, price),
            text(sizes[1], size),
        )

    def _bar(self, row: Row) -> Bar:
        minute, open_, high, low, close, volume, turnover, count, first, taker_volume, taker_turnover = row
        text, price = self._text, self._price_decimals
        prices = text(open_, price), text(high, price), text(low, price), text(close, price)
        both = self._price_decimals + self._size_decimals
        sums = self._text(volume, self._size_decimals), self._text(turnover, both)
        taker = self._text(taker_volume, self._size_decimals), self._text(taker_turnover, both)
        ids = (first, first + count - 1) if count else (-1, -1)
        return Bar(self._native, minute * MINUTE_S, *prices, *sums, count, *ids, *taker)


def _usual_size(listing: Listing) -> int:
    """About 500 units of a dollar-like quote currency, or a hundredth of a bitcoin, in steps of size."""
    cents = _USUAL_NOTIONAL_CENTS.get(listing.quote, _OTHERWISE_CENTS)
    scale: int = 10 ** (listing.price_decimals + listing.size_decimals)
    return max(1, cents * scale // (100 * listing.start))
