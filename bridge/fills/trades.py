"""One symbol's missing trades: asked for by number, by time, or among the newest; whole only where that is proven."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from msgspec import Struct

from bridge.events import Trade
from bridge.exchanges.base import TradesFrom
from bridge.fills.asking import Asker
from bridge.fills.jobs import Progress
from bridge.fills.places import NOT_TAKEN
from bridge.fills.telling import Teller
from bridge.series import Tape
from bridge.told import MS, ToldTrades, trade_key
from bridge.topics import Missing


class Result(Struct):
    """What came of one place. `whole`: every trade that was missing was told. `expected` None: nobody can tell."""

    rows: int = 0
    expected: int | None = None
    whole: bool = False
    reason: str | None = None


class TradeFill(Struct):
    """Fills places of one exchange's trades; never more than `most` rows a place."""

    asker: Asker
    teller: Teller
    most: int

    async def fill(self, place: Missing, tape: Tape | None, job: Progress) -> Result:
        """Bring what lies strictly between the two rows. `tape`: of the symbol, if its feed lives."""
        # without a row after it, a live trade may come while we tell: the tape knows what was told
        shared = tape if place.before_ns is None else None
        told = Telling(self.teller, job, shared)
        if self.asker.exchange.past_trades.by_number:
            return await self._by_number(place, told)
        return await self._newest(place, told)

    # --- the exchange tells any trade ---------------------------------------------------------------
    async def _by_number(self, place: Missing, told: "Telling") -> Result:
        """What was told moves the place's beginning on, so that another try goes on from there."""
        number, is_first = place.after, True
        async for page in self._pages(place):
            if is_first and number is None:
                number = next((trade.number for trade in page if trade_key(trade) == place.after_ns), None)
            is_first = False
            expected = None if number is None or place.before is None else place.before - number - 1
            if expected is not None and expected > self.most:
                return Result(0, expected, reason=f"{expected} trades are more than fills.gap_rows = {self.most}")
            told.reached = told.reached or reaches(page[-1], place)
            for trade in page:
                if is_within(trade, place):
                    if told.rows >= self.most:
                        return Result(told.rows, reason=f"more trades than fills.gap_rows = {self.most}")
                    await told.tell(trade)
                    place.after, place.after_ns = trade.number, trade_key(trade)
        if number is None or place.before is None:
            whole = (
                told.consecutive and not told.refused and (place.before_ns is None or self._has_reached(place, told))
            )
            return Result(told.rows, told.rows if whole else None, whole, None if whole else _reason(told))
        expected = max(0, place.before - number - 1)
        return Result(told.rows, expected, told.rows >= expected, _reason(told, expected))

    def _has_reached(self, place: Missing, told: "Telling") -> bool:
        return told.reached or (place.before is not None and place.after == place.before - 1)

    async def _pages(self, place: Missing) -> AsyncIterator[list[Trade]]:
        """Answer by answer from the row before on, until one reaches the row after it or is empty."""
        page: list[Trade] = []
        start = None if place.after is None else place.after + 1
        while not (page and reaches(page[-1], place)):
            if start is None:
                page = await self._first_by_time(place)
            elif place.before is not None and start >= place.before:
                return
            else:
                page = await self.asker.trades(place.symbol, TradesFrom(start))
            if not page or (start is not None and page[-1].number < start):
                return
            start = page[-1].number + 1
            yield page

    async def _first_by_time(self, place: Missing) -> list[Trade]:
        """The first answer that is not empty, window by window; the row before is in it, if it is one."""
        since_ns = place.after_ns // MS * MS
        end_ns = (place.before_ns or self.asker.clock.now_ns()) + MS
        window_ns = self.asker.exchange.past_trades.window_ns
        while since_ns < end_ns:
            until_ns = min(since_ns + window_ns, end_ns)
            if page := await self.asker.trades(place.symbol, TradesFrom(None, since_ns, until_ns)):
                return page
            since_ns = until_ns
        return []

    # --- the exchange tells the newest only ---------------------------------------------------------
    async def _newest(self, place: Missing, told: "Telling") -> Result:
        page = await self.asker.trades(place.symbol, TradesFrom())
        for trade in page:
            if is_within(trade, place):
                await told.tell(trade)
        if page and not is_after(page[0], place) and not told.refused:
            return Result(told.rows, told.rows, whole=True)
        return Result(told.rows, None, reason=_too_late(self.asker.exchange.title, page) or _reason(told))


class Telling:
    """The rows of one place, each told once."""

    def __init__(self, teller: Teller, job: Progress, shared: Tape | None) -> None:
        self.rows = self.refused = 0
        self.consecutive = True
        self.reached = False
        self._teller = teller
        self._job = job
        self._shared = shared
        self._own = ToldTrades()
        self._last: int | None = None

    async def tell(self, trade: Trade) -> None:
        """Unless the line told it meanwhile, or the answer twice."""
        if trade.number == self._last:
            return
        self.consecutive = self.consecutive and self._last in (None, trade.number - 1)
        self._last = trade.number
        row_ns = (self._own if self._shared is None else self._shared.told).place(trade)
        if row_ns is None:
            return
        is_told = await self._teller.trade(trade, row_ns, self._job)
        self.rows += is_told
        self.refused += not is_told


def is_after(trade: Trade, place: Missing) -> bool:
    """Whether it stands behind the row before the place."""
    if place.after is not None:
        return trade.number > place.after
    return trade_key(trade) > place.after_ns


def is_within(trade: Trade, place: Missing) -> bool:
    """Whether it stands strictly between the two rows."""
    return is_after(trade, place) and not reaches(trade, place)


def reaches(trade: Trade, place: Missing) -> bool:
    """Whether it is the row after the place, or stands behind that."""
    if place.before is not None:
        return trade.number >= place.before
    return place.before_ns is not None and trade_key(trade) >= place.before_ns


def _reason(told: Telling, expected: int | None = None) -> str | None:
    if told.refused:
        return f"{told.refused} trades {NOT_TAKEN}"
    if expected is not None and told.rows < expected:
        return f"REST tells {told.rows} of {expected} trades"
    return None if told.consecutive else "REST leaves out trades"


def _too_late(title: str, page: list[Trade]) -> str:
    if not page:
        return f"{title} tells no past trades"
    at = datetime.fromtimestamp(page[0].exchange_time_ns // 1_000_000_000, UTC)
    return f"{title} tells only its newest {len(page)} trades, and these begin at {at:%H:%M:%S}"
