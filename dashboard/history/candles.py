"""1 m candles and bars to candles of any interval, with the digits they came with. Pure."""

from collections.abc import Iterable
from decimal import Context, Decimal
from functools import reduce
from itertools import groupby
from math import isfinite

import msgspec
from msgspec import Raw, Struct

from bridge.errors import FrameError
from dashboard.history.base import MINUTE_NS
from dashboard.history.rows import Row


class Minute(Struct):
    """A 1 m candle, told or built; numbers with their digits."""

    open: Raw
    high: Raw
    low: Raw
    close: Raw
    time_ns: int
    volume: Raw = Raw(b"")
    quote_volume: Raw = Raw(b"")
    built: bool = False


_decode = msgspec.json.Decoder(Minute).decode
_EXACT = Context(prec=100)
MOST_PLACES = 1074
"""Decimal places of the least float64: written out, 1e-50000000 would take 50 MB."""


def check_number(number: bytes) -> None:
    """Raises ValueError unless this is a number that float64 can hold, however short it is written."""
    text = bytes(number).decode()
    short = "e" in text or "E" in text
    if not isfinite(float(text)) or (short and abs(int(Decimal(text).as_tuple().exponent)) > MOST_PLACES):
        raise ValueError(f"{text[:40]!r} is beyond float64")


def check_candle(payload: bytes) -> None:
    """Raises FrameError if a payload cannot be drawn as a candle."""
    try:
        one = _decode(payload)
        for number in (one.open, one.high, one.low, one.close, one.volume or b"0", one.quote_volume or b"0"):
            check_number(number)
    except (msgspec.DecodeError, ValueError) as error:
        raise FrameError(f"candle: {error}") from error


def told_first(told: Iterable[Row], built: Iterable[Row]) -> list[Row]:
    """One row per minute, by time: the exchange's candle where there is one, else the built bar."""
    minutes = dict(built)
    minutes.update(told)
    return sorted(minutes.items())


def gathered(minutes: Iterable[Row], interval_ns: int) -> list[Row]:
    """Minutes (by time) as candles of one interval; each stands at the interval's beginning."""
    candles: list[Row] = []
    for start_ns, rows in groupby(minutes, lambda row: row[0] - row[0] % interval_ns):
        payloads = [payload for _, payload in rows]
        group = [_decode(payload) for payload in payloads]
        whole = interval_ns == MINUTE_NS and not group[0].built
        candles.append((start_ns, payloads[0] if whole else _candle(group, start_ns)))
    return candles


def _candle(group: list[Minute], start_ns: int) -> bytes:
    high = max((one.high for one in group), key=float)
    low = min((one.low for one in group), key=float)
    volume = _total(b"volume", [one.volume for one in group])
    quote_volume = _total(b"quote_volume", [one.quote_volume for one in group])
    built = b',"built":true' if any(one.built for one in group) else b""
    return b'{"open":%b,"high":%b,"low":%b,"close":%b%b%b,"time_ns":%d%b}' % (
        group[0].open,
        high,
        low,
        group[-1].close,
        volume,
        quote_volume,
        start_ns,
        built,
    )


def _total(name: bytes, parts: list[Raw]) -> bytes:
    """A sum without rounding; absent where no minute tells it."""
    told = [Decimal(bytes(part).decode()) for part in parts if bytes(part)]
    return b',"%b":%b' % (name, format(reduce(_EXACT.add, told), "f").encode()) if told else b""
