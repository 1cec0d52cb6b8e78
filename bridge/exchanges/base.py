"""The contract of an exchange: bytes and times in, values out. Everything here is pure.

An `Exchange` is one connection to one exchange, made anew for every attempt. It may remember what its
line told (last price, sequence), it never touches a socket, a clock or a log.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, ClassVar

from msgspec import DecodeError, Meta, Struct, structs

from bridge.errors import FrameError
from bridge.events import Candle, Channel, Digits, Instrument, Stats, Symbol, Tick, Trade
from bridge.numbers import number
from bridge.topics import symbol_problem

MAX_STRANGERS = 1000


class HttpRequest(Struct, frozen=True):
    """One REST call, as data. `weight` is its cost in the exchange's own rate-limit units."""

    url: str
    method: str = "GET"
    body: bytes = b""
    weight: int = 1


class Hosts(Struct, frozen=True):
    """Where an exchange is reached. `ws` is empty where the address comes from REST (KuCoin)."""

    rest: str
    ws: str = ""


class Limits(Struct, frozen=True):
    """What the exchange states. Topics a line, REST weight per window, client messages a second."""

    topics_per_line: int
    sends_per_s: float
    rest_weight: int
    rest_window_s: float


class Dial(Struct, frozen=True):
    """How to open a line: its address, and how often at least to ping (`ping()` says with what)."""

    url: str
    ping_every_s: float = 10.0


class Send(Struct, frozen=True):
    """A text to send on the line."""

    text: str


class Fetch(Struct, frozen=True):
    """A REST look-up that the line needs in mid-air; `purpose` is the exchange's own note for `fetched()`."""

    request: HttpRequest
    purpose: str
    symbols: tuple[Symbol, ...] = ()


class Pong(Struct, frozen=True):
    """The answer to our ping: proof of life, but no data."""


class Acked(Struct, frozen=True):
    """The exchange has accepted a subscription of these symbols (some then stay silent for ever)."""

    channel: Channel | None
    symbols: tuple[Symbol, ...]


class Refused(Struct, frozen=True):
    """Something the exchange refused or that cannot be used. `kind`: frame, value or symbol."""

    kind: str
    reason: str
    symbol: Symbol | None = None
    channel: Channel | None = None


class Bye(Struct, frozen=True):
    """The exchange announces the end of this line. `refused`: it does not want us back at once."""

    reason: str
    refused: bool = False


class PastTrades(Struct, frozen=True):
    """How REST tells trades that are over: at most `most` an answer.

    `by_number`: from any number on, or from any time on within `window_ns`; else nothing but the newest.
    """

    most: int
    by_number: bool = False
    window_ns: int = 0


class TradesFrom(Struct, frozen=True):
    """Which trades REST is asked for: from a number on, or of [since_ns, until_ns). Neither: the newest."""

    number: int | None = None
    since_ns: int | None = None
    until_ns: int | None = None


class Look(Struct, frozen=True):
    """What REST says a symbol's newest tick is: compared with ours, never published."""

    tick: Tick


Outcome = Tick | Trade | Candle | Stats | Send | Fetch | Pong | Acked | Refused | Bye | Look


class Catalogue:
    """The instruments of one exchange, found by our symbol or by its own name. Immutable."""

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self.by_symbol = {i.symbol: i for i in instruments}
        self.by_native = {i.native: i for i in self.by_symbol.values()}
        self.symbol_of = {native: i.symbol for native, i in self.by_native.items()}

    def __len__(self) -> int:
        return len(self.by_symbol)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self.by_symbol

    def native(self, symbol: Symbol) -> str:
        return self.by_symbol[symbol].native


Milliseconds = Annotated[int, Meta(ge=0, le=9_000_000_000_000)]
"""A foreign time in ms, up to the year 2255: whatever lies beyond would not fit 64 bits in ns."""
MAX_INTEGER = 2**63 - 1


def integer(text: str) -> int:
    """A whole number that fits 64 bits. Raises ValueError."""
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) > MAX_INTEGER:
        raise ValueError(f"{text[:40]!r} is no whole number of 64 bits")
    return int(text)


def is_positive(text: str) -> bool:
    """Whether a foreign text is a number above zero."""
    try:
        return float(number(text)) > 0
    except ValueError:
        return False


def _step(text: Digits | None) -> Digits | None:
    return text if text is not None and is_positive(text) else None


def usable(instruments: Iterable[Instrument]) -> tuple[list[Instrument], list[Refused]]:
    """Part what can become a topic from what cannot. Of two natives with one symbol, the trading one is kept."""
    kept: dict[Symbol, Instrument] = {}
    refused = []
    for one in instruments:
        if problem := symbol_problem(one.symbol):
            refused.append(Refused("symbol", f"{one.symbol[:40]!r} {problem}", one.symbol[:40]))
        elif one.symbol not in kept or kept[one.symbol].status != "trading":
            steps = {"price_step": _step(one.price_step), "size_step": _step(one.size_step)}
            kept[one.symbol] = structs.replace(one, **steps)
    return list(kept.values()), refused


class Exchange(ABC):
    """One connection to one exchange. The session drives it; nothing in it waits."""

    name: ClassVar[str]
    title: ClassVar[str]
    channels: ClassVar[frozenset[Channel]]
    limits: ClassVar[Limits]
    hosts: ClassVar[Hosts]
    whole_market_channels: ClassVar[frozenset[Channel]] = frozenset()
    """What one subscription tells of every symbol at once."""
    whole_market_has_book: ClassVar[bool] = True
    """Whether the whole-market ticker carries best bid and ask."""
    consecutive_trades: ClassVar[bool] = False
    """Whether a trade's number is its predecessor's plus one, so that a hole proves a loss."""
    past_trades: ClassVar[PastTrades]
    """How far REST tells trades that are over."""
    intervals: ClassVar[frozenset[str]]
    """The candles that REST tells."""
    max_frame_bytes: ClassVar[int] = 4 * 1024 * 1024

    def __init__(
        self, catalogue: Catalogue, channels: frozenset[Channel], *, whole: bool = False, hosts: Hosts | None = None
    ) -> None:
        self.catalogue = catalogue
        self.wanted = channels & self.channels
        self.whole = whole
        self.at = hosts or self.hosts
        self._strangers: set[str] = set()

    # --- the line -----------------------------------------------------------------------------------
    def prelude(self) -> HttpRequest | None:
        """What must be asked by REST before dialling, anew for every attempt."""
        return None

    @abstractmethod
    def dial(self, answer: bytes) -> Dial:
        """Where to connect, given the prelude's answer (empty without one). Raises FrameError, FeedRefused."""

    def greeted(self) -> bool:
        """Whether the line is ready for subscriptions (KuCoin: after its welcome)."""
        return True

    @abstractmethod
    def settled(self) -> bool:
        """Whether every subscription that was sent has been answered."""

    @abstractmethod
    def subscribe(self, added: Sequence[Symbol]) -> list[str]:
        """What to send, in order, for these symbols; on a new line and on a living one. The session paces it."""

    @abstractmethod
    def unsubscribe(self, removed: Sequence[Symbol]) -> list[str]:
        """What to send, in order, to hear no more of these symbols."""

    def ping(self, now_ns: int) -> str | None:
        """The exchange's own text ping, or None for a websocket ping frame."""
        return None

    @abstractmethod
    def receive(self, frame: bytes, received_ns: int) -> list[Outcome]:
        """What one frame tells. Raises FrameError for anything unreadable, never anything else."""

    def fetched(self, fetch: Fetch, answer: bytes, received_ns: int) -> list[Outcome]:
        """What the answer to a Fetch of its own tells. Raises FrameError."""
        return []

    def stranger(self, native: str, channel: Channel) -> "list[Outcome]":
        """A market that the catalogue does not know: reported once a line."""
        if native in self._strangers or len(self._strangers) >= MAX_STRANGERS:
            return []
        self._strangers.add(native)
        return [Refused("symbol", "is not in the catalogue", native[:40], channel)]

    # --- REST, as data ------------------------------------------------------------------------------
    @classmethod
    @abstractmethod
    def catalogue_request(cls, hosts: Hosts) -> HttpRequest:
        """Asks for every instrument."""

    @classmethod
    @abstractmethod
    def read_catalogue(cls, answer: bytes) -> tuple[list[Instrument], list[Refused]]:
        """Every usable instrument in the answer, and those that cannot be used. Raises FrameError."""

    @abstractmethod
    def look(self, symbol: Symbol) -> Fetch:
        """Asks for a symbol's newest tick; `fetched` answers with a Look."""

    @abstractmethod
    def candles_request(self, symbol: Symbol, interval: str, since_ns: int, until_ns: int) -> HttpRequest:
        """Asks for candles that open in [since, until): at most `candles_per_request`, so ask for no wider a span."""

    @abstractmethod
    def read_candles(self, symbol: Symbol, interval: str, answer: bytes, received_ns: int) -> list[Candle]:
        """The candles in the answer, oldest first. Raises FrameError."""

    candles_per_request: ClassVar[int]

    @abstractmethod
    def trades_request(self, symbol: Symbol, start: TradesFrom) -> HttpRequest:
        """Asks for trades, as far as `past_trades` goes: at most `past_trades.most` of them."""

    @abstractmethod
    def read_trades(self, symbol: Symbol, answer: bytes, received_ns: int) -> list[Trade]:
        """The trades in the answer by number, with the ids that the live feed tells. Raises FrameError."""

    @classmethod
    def topics_per_symbol(cls, channels: frozenset[Channel]) -> int:
        """How much of a line's limit one symbol uses."""
        return len(channels)


UNREADABLE = (
    DecodeError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""Everything that foreign bytes can make go wrong while they are read."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn whatever foreign data makes go wrong into a FrameError that names what was read."""
    try:
        yield
    except FrameError:
        raise
    except (
        DecodeError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise FrameError(f"{what}: {type(error).__name__}: {error}") from error
