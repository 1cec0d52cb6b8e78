"""Rows: which series a topic belongs to, what its payload is keyed by, and how rows of one key become one. Pure.

A row is `(time_ns, payload)`; the payload stays the bytes that were published, so digits and future fields survive.
"""

from collections.abc import Callable
from operator import itemgetter
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from bridge.errors import FrameError

KINDS = ("prices", "trades", "candles", "gaps", "errors", "bars")
"""What is kept; a kind's place here is its number in the file, so append only. `bars`: 1 m candles built of prices."""

NUMBER = {kind: number for number, kind in enumerate(KINDS, 1)}

Row = tuple[int, bytes]
Instruments = dict[tuple[str, str], bytes]
"""By exchange and symbol, as JSON."""
Merge = Callable[[bytes, bytes], bytes]
Natural = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Publication = tuple[str, int]
"""The key of a run or of a fill, and the number within."""


def run_key(run: int) -> str:
    return str(run)


def fill_key(fill: str) -> str:
    """A fill may be called anything, a run's number, too."""
    return f":{fill}"


class Series(Struct, frozen=True):
    """One sequence of rows: a stream topic without the prefix."""

    number: int
    kind: str
    exchange: str
    symbol: str = ""
    interval: str = ""

    @property
    def topic(self) -> str:
        """Without prefix."""
        return topic_of(self.kind, self.exchange, self.symbol, self.interval)


def topic_of(*levels: str) -> str:
    """A topic (without prefix) of its levels; empty ones do not stand in it."""
    return "/".join(filter(None, levels))


def series_of(number: int, topic: str) -> Series:
    """The series of a topic (without prefix). Raises FrameError for one that is not stored."""
    kind, *rest = topic.split("/")
    if kind not in KINDS or not 1 <= len(rest) <= 3 or not all(rest):
        raise FrameError(f"{topic[:100]!r} is no topic that is stored")
    return Series(number, kind, *rest)


class Mark(Struct):
    """What the store reads of any payload. `run`, `n`: a live message; `fill`, `fill_n`: one of a fill."""

    time_ns: Natural
    run: Natural | None = None
    n: Natural | None = None
    fill: Annotated[str, Meta(max_length=200)] | None = None
    fill_n: Natural | None = None
    price: Raw = Raw(b"")

    def publication(self) -> Publication | None:
        """Which publication this was; None if it is not numbered."""
        if self.run is not None and self.n is not None:
            return run_key(self.run), self.n
        if self.fill is not None and self.fill_n is not None:
            return fill_key(self.fill), self.fill_n
        return None


class _Time(Struct):
    time_ns: int


class _Numbers(_Time):
    run: int | None = None
    n: int | None = None
    fill: str | None = None
    fill_n: int | None = None


_decode_numbers = msgspec.json.Decoder(_Numbers).decode
_decode_mark = msgspec.json.Decoder(Mark).decode
_decode_time = msgspec.json.Decoder(_Time).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


def read_publications(payload: bytes) -> tuple[int, list[Publication]]:
    """A stored row's time, and all that it came from: a fill's fields may have joined a live row's."""
    mark = _decode_numbers(payload)
    told = []
    if mark.run is not None and mark.n is not None:
        told.append((run_key(mark.run), mark.n))
    if mark.fill is not None and mark.fill_n is not None:
        told.append((fill_key(mark.fill), mark.fill_n))
    return mark.time_ns, told


def read_mark(payload: bytes) -> Mark:
    """The mark of a stream's payload. Raises FrameError if it is not a JSON object with a `time_ns`."""
    try:
        if not payload.isascii():
            payload.decode()
        return _decode_mark(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError(f"payload: {error}") from error


def time_of(payload: bytes) -> int:
    """A stored payload's time."""
    return _decode_time(payload).time_ns


def one_line(payload: bytes) -> bytes:
    """The same JSON without line ends, which separate rows in the file (inside JSON they are white space only)."""
    return payload.replace(b"\n", b" ") if b"\n" in payload else payload


def merge_fields(older: bytes, newer: bytes) -> bytes:
    """Two payloads of one key: the newer's fields win, what it does not tell stays, so `run` and `n` are never lost."""
    return msgspec.json.encode({**_decode_fields(older), **_decode_fields(newer)})


def settled(rows: list[Row], merge: Merge) -> list[Row]:
    """Rows by time, one per key. `rows` stand in the order of their arrival; equal payloads are one row."""
    rows = sorted(rows, key=itemgetter(0))
    if len({time_ns for time_ns, _ in rows}) == len(rows):
        return rows
    kept: list[Row] = []
    for time_ns, payload in rows:
        if not kept or kept[-1][0] != time_ns:
            kept.append((time_ns, payload))
        elif kept[-1][1] != payload:
            kept[-1] = (time_ns, merge(kept[-1][1], payload))
    return kept
