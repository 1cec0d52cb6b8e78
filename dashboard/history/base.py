"""The contract of a history: what the dashboard asks of any store."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self

from msgspec import Struct

from bridge.errors import StoreError

MINUTE_NS = 60_000_000_000
INTERVALS_NS: Mapping[str, int] = {
    "1m": MINUTE_NS,
    "5m": 5 * MINUTE_NS,
    "15m": 15 * MINUTE_NS,
    "30m": 30 * MINUTE_NS,
    "1h": 60 * MINUTE_NS,
    "4h": 240 * MINUTE_NS,
    "1d": 1440 * MINUTE_NS,
}
END_OF_TIME_NS = 2**63 - 1
EDGE_NS = 10 * MINUTE_NS
"""Rows so near to the end of their retention may go while they are asked for."""
BIRTH_MARGIN_NS = 30_000_000_000
"""A store that came so soon after a run's beginning belongs to it: what it missed can still be sent again."""


class StoreAway(StoreError):
    """The store cannot be used now, but nothing is wrong with it: it may be tried again."""


class Span(Struct, frozen=True):
    """Rows with `from_ns` <= time_ns < `to_ns`, oldest first, at most `limit`; `from_ns` None: the newest ones."""

    limit: int
    from_ns: int | None = None
    to_ns: int = END_OF_TIME_NS


class Page(Struct, frozen=True):
    """Rows as JSON objects, oldest first; `next_ns`: ask again from there for more."""

    rows: list[bytes]
    next_ns: int | None = None


class Stored(Struct, frozen=True):
    """One symbol of one exchange, and the kinds of rows the store has of it."""

    exchange: str
    symbol: str
    kinds: tuple[str, ...]


class Sequence(Struct, frozen=True):
    """One sequence of numbered messages: a topic (without prefix) in one run, or in one fill."""

    topic: str
    run: int | None = None
    fill: str | None = None


class Numbered(Struct, frozen=True):
    """How many different numbers of a sequence the store has, the least and the greatest of them."""

    sequence: Sequence
    count: int
    least: int
    greatest: int


class History(ABC):
    """Everything here raises StoreError when the store cannot answer."""

    @abstractmethod
    async def rows(self, kind: str, exchange: str, symbol: str, span: Span) -> Page:
        """Stored rows of one kind (`prices`, `trades`, `gaps`, `errors`), one per key, digits as published.

        `gaps` and `errors` belong to an exchange: their `symbol` is the shard, by default empty.
        """

    @abstractmethod
    async def candles(self, exchange: str, symbol: str, interval: str, span: Span) -> Page:
        """Candles of one interval of INTERVALS_NS, made of 1 m ones; a told candle wins over one built of prices."""

    @abstractmethod
    async def latest(self) -> list[tuple[str, str, bytes]]:
        """The newest stored tick of every symbol: exchange, symbol, payload."""

    @abstractmethod
    async def gaps(self, exchange: str | None, symbol: str | None, span: Span) -> Page:
        """The newest state of every gap that touches the span, with its exchange, by its end; open ones come last.

        Gaps of one end are never on two pages, so a page may be a little longer than the span's limit.
        """

    @abstractmethod
    def symbols(self) -> list[Stored]:
        """Every symbol that has rows."""

    async def refresh(self) -> list[Stored]:
        """The same as of now; a store that is told of everything knows it already."""
        return self.symbols()

    @abstractmethod
    def status(self) -> dict[str, Any]:
        """Counters and sizes for health: what is stored, what was refused, dropped or pruned."""

    # --- what the audit asks ------------------------------------------------------------------------
    @abstractmethod
    async def holds(self) -> Mapping[str, int]:
        """Each stream root that this store keeps (`prices`, ...), and since when (ns): older rows are pruned."""

    async def heard_since(self) -> Mapping[str, int]:
        """Since when (ns) the store has listened to each root, if it was not always there.

        What was published before was never told to it, wherever in time its row would stand.
        """
        return {}

    @abstractmethod
    async def numbered(self, kind: str, run: int, span: Span, exchange: str | None = None) -> list[Numbered]:
        """What the store has of one root's sequences in a run, counted among rows of a span of time; no fills.

        Cheap on millions of rows. A store that counts by time alone may count neighbouring runs with it:
        only an answer that equals what was published proves anything, any other is a reason to ask `numbers`.
        """

    @abstractmethod
    async def fill_numbered(self, kind: str, fill: str, span: Span) -> list[Numbered]:
        """The same of one fill."""

    @abstractmethod
    async def numbers(self, sequence: Sequence, least: int, greatest: int, span: Span) -> list[tuple[int, int]]:
        """The numbers between `least` and `greatest` (inclusive) that are there, as rising ranges, both ends inclusive.

        `span` is where in time the rows are to be looked for; its limit does not count.
        """

    @abstractmethod
    async def edges(self, topic: str, run: int, span: Span) -> tuple[int | None, int | None]:
        """The number of the nearest row of this run before the span, and of the nearest one at its end or after it."""

    # --- what else is kept --------------------------------------------------------------------------
    @abstractmethod
    async def errors(self, exchange: str | None, kind: str | None, symbol: str | None, span: Span) -> Page:
        """Entries of the error table, each with its `exchange` (`bridge`: the bridge's own), oldest first."""

    @abstractmethod
    async def catalogue(self) -> list[tuple[str, bytes]]:
        """Every instrument that was ever told, at its newest: exchange, and the instrument as JSON."""

    # --- the end ------------------------------------------------------------------------------------
    @abstractmethod
    async def aclose(self) -> None:
        """Let go of what is open; nothing can be asked after that."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()
