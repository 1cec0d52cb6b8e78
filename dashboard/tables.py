"""Rows as CSV: which columns each kind has, and each value with the digits that are stored. Pure.

A column for every field that topics.md names: a field that only the JSON has does not move the columns of old files.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from msgspec import Raw, Struct

_MARK = ("run", "n", "fill", "fill_n", "source")
_TICK = ("price", "size", "price_time_ns", "bid", "bid_size", "ask", "ask_size", "seq", "exchange_time_ns")
_CANDLE = ("open", "high", "low", "close", "volume", "quote_volume", "built", "received_ns")
_TRADE = ("id", "side", "price", "size", "exchange_time_ns", "received_ns")
_GAP = ("id", "channel", "symbols", "symbol_count", "from_ns", "to_ns", "cause", "state", "expected", "filled", "lost")
_INSTRUMENT = ("base", "quote", "native", "price_step", "size_step", "status")

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "prices": ("time_ns", *_TICK, *_MARK),
    "trades": ("time_ns", *_TRADE, *_MARK),
    "candles": ("time_ns", *_CANDLE, *_MARK),
    "gaps": ("time_ns", "exchange", *_GAP, "reason", *_MARK),
    "errors": ("time_ns", "exchange", "kind", "channel", "symbol", "reason", "frame", *_MARK),
    "latest": ("exchange", "symbol", "time_ns", *_TICK, "stale", "reason", "age_ms", "clock", *_MARK),
    "symbols": ("exchange", "symbol", *_INSTRUMENT, "stored"),
}


def csv_head(kind: str) -> bytes:
    """The header line."""
    return ",".join(COLUMNS[kind]).encode() + b"\r\n"


def csv_lines(kind: str, rows: Iterable[bytes]) -> bytes:
    """One line per row; what is absent is an empty cell, a list stays JSON."""
    out = io.StringIO()
    csv.writer(out).writerows(map(list, cells(kind, rows)))
    return out.getvalue().encode()


def cells(kind: str, rows: Iterable[bytes]) -> Iterable[Sequence[str]]:
    """The values of each row as text, in the order of the kind's columns."""
    decode = _decoder(kind).decode
    return ([_text(raw) for raw in msgspec.structs.astuple(decode(row))] for row in rows)


def _text(raw: Raw) -> str:
    written = bytes(raw)
    if written.startswith(b'"'):
        return str(msgspec.json.decode(written))
    return "" if written == b"null" else written.decode()


@cache
def _decoder(kind: str) -> "msgspec.json.Decoder[Struct]":
    fields: list[tuple[str, type, Any]] = [(name, Raw, Raw(b"")) for name in COLUMNS[kind]]
    return msgspec.json.Decoder(msgspec.defstruct("Cells", fields))
