"""What can be requested, and how a payload is read. Pure. Whatever is wrong is said, with what would be right."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from bridge.errors import TickbridgeError
from bridge.ledger import Query
from bridge.lost import Lost, Mark
from bridge.topics import MAX_TOPIC_BYTES, REQUESTS

MAX_PAYLOAD = 64 * 1024
MAX_NAME = 200
MAX_SYMBOLS = 2000

Text = Annotated[str, Meta(max_length=MAX_NAME)]
Topic = Annotated[str, Meta(min_length=1, max_length=MAX_TOPIC_BYTES)]
Number = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Version = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Time = Annotated[int, Meta(ge=0, le=2**63 - 1)]
GapState = Literal["open", "filling", "filled", "partial", "unfillable"]


class BadRequest(TickbridgeError):
    """A request that cannot be answered. The text says what is wrong and what would be right."""


class LedgerWanted(Struct, frozen=True, forbid_unknown_fields=True):
    """Which rows of the ledger. Neither run nor fill: all of this process.

    `fills`: with a run its fills, too. `since`: only what has changed after the `version` of an earlier answer.
    """

    run: Number | None = None
    fill: Text | None = None
    topic: Topic | None = None
    exchange: Text | None = None
    fills: bool = False
    since: Version | None = None

    def __post_init__(self) -> None:
        if self.run is not None and self.fill is not None:
            raise ValueError("has both run and fill: keep one of them")
        if self.fills and self.run is None:
            raise ValueError("has fills without run: name the run whose fills are meant")

    @property
    def query(self) -> Query:
        return Query(self.run, self.fill, self.topic, self.exchange, self.fills, self.since)


class GapsWanted(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_ns": "from", "to_ns": "to"}):
    """Which gaps, between two times in ns, the second one exclusive; or one gap by id, with all that is lost in it."""

    id: Text | None = None
    exchange: Text | None = None
    state: GapState | None = None
    from_ns: Time | None = None
    to_ns: Time | None = None

    @property
    def query(self) -> None:
        return None


class RangeWanted(Struct, frozen=True, forbid_unknown_fields=True):
    """Numbered messages of one topic. `from_ns`, `to_ns`: between which rows' times they stood, if that is known."""

    topic: Topic
    run: Number | None = None
    from_n: Number | None = None
    to_n: Number | None = None
    fill: Text | None = None
    from_fill_n: Number | None = None
    to_fill_n: Number | None = None
    reason: Text | None = None
    from_ns: Time | None = None
    to_ns: Time | None = None

    def __post_init__(self) -> None:
        live = (self.run, self.from_n, self.to_n)
        fill = (self.fill, self.from_fill_n, self.to_fill_n)
        if not (None not in live and fill == (None,) * 3) and not (None not in fill and live == (None,) * 3):
            raise ValueError("needs either run, from_n and to_n, or fill, from_fill_n and to_fill_n")
        if self.lost.from_n > self.lost.to_n:
            raise ValueError(f"ends at {self.lost.to_n}, before it begins at {self.lost.from_n}")
        if (self.from_ns or 0) > (self.to_ns or 2**63):
            raise ValueError("has from_ns after to_ns")

    @property
    def mark(self) -> Mark:
        mark = self.run if self.run is not None else self.fill
        assert mark is not None
        return mark

    @property
    def lost(self) -> Lost:
        """The messages meant."""
        return Lost(self.topic, self.mark, self.from_n or self.from_fill_n or 0, self.to_n or self.to_fill_n or 0)

    @property
    def query(self) -> Query:
        return Query(self.run, self.fill, self.topic)


class BackfillWanted(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_ns": "from", "to_ns": "to"}):
    """Candles that open between two times in ns, the second one exclusive. No symbols: all; patterns like *-USDT do.

    `again`: what was told before, too.
    """

    exchange: Text
    from_ns: Time
    to_ns: Time
    symbols: Annotated[list[Text], Meta(max_length=MAX_SYMBOLS)] = []
    interval: Text = "1m"
    again: bool = False

    @property
    def query(self) -> None:
        return None


class CancelWanted(Struct, frozen=True, forbid_unknown_fields=True):
    """A job that is to end: a backfill."""

    job: Text

    @property
    def query(self) -> None:
        return None


Wanted = LedgerWanted | GapsWanted | RangeWanted | BackfillWanted | CancelWanted
_RANGE = '{"topic":"prices/kucoin/BTC-USDT","run":1743147000123,"from_n":4711,"to_n":4715}'
EXAMPLES: Mapping[str, str] = {
    "ledger": '{"run":1743147000123,"exchange":"kucoin"} or {}',
    "gaps": '{"exchange":"kucoin","state":"open","from":1743147000000000000} or {}',
    "resend": _RANGE,
    "lost": _RANGE,
    "found": _RANGE,
    "backfill": '{"exchange":"kucoin","symbols":["BTC-USDT"],"from":1743147000000000000,"to":1743233400000000000}',
    "cancel": '{"job":"1743147000123-kucoin-backfill-1"}',
}
_DECODERS: Mapping[
    str,
    msgspec.json.Decoder[LedgerWanted]
    | msgspec.json.Decoder[GapsWanted]
    | msgspec.json.Decoder[RangeWanted]
    | msgspec.json.Decoder[BackfillWanted]
    | msgspec.json.Decoder[CancelWanted],
] = {
    "ledger": msgspec.json.Decoder(LedgerWanted),
    "gaps": msgspec.json.Decoder(GapsWanted),
    "backfill": msgspec.json.Decoder(BackfillWanted),
    "cancel": msgspec.json.Decoder(CancelWanted),
    **dict.fromkeys(("resend", "lost", "found"), msgspec.json.Decoder(RangeWanted)),
}
assert set(_DECODERS) == set(EXAMPLES) == set(REQUESTS)


def read(what: str, payload: bytes) -> Wanted:
    """Read a request. An empty payload asks for everything. Raises BadRequest."""
    decoder = _DECODERS.get(what)
    if decoder is None:
        close = get_close_matches(what, REQUESTS, 1)
        cure = f"did you mean {close[0]}?" if close else f"there are {', '.join(REQUESTS)}"
        raise BadRequest(f"{what[:40]!r} is no request: {cure}")
    if len(payload) > MAX_PAYLOAD:
        raise BadRequest(f"{what}: {len(payload)} bytes are too many, at most {MAX_PAYLOAD} are read")
    try:
        wanted: Wanted = decoder.decode(payload or b"{}")
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadRequest(f"{what}: {str(error)[:MAX_NAME]}; right would be {EXAMPLES[what]}") from error
    return wanted
