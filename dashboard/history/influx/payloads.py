"""Stored fields as the payloads that were published, in the order in which the bridge writes them. Pure.

What InfluxDB stores is not the text but the value: a float of more than 15 to 17 significant digits is rounded to
float64, and trailing zeros go (`1.50` becomes 1.5, `67523.0` becomes 67523). Integers are exact.
"""

import re
from collections.abc import Mapping
from decimal import Decimal

import msgspec

MARK = ("run", "n", "fill", "fill_n", "source")
OHLC = ("open", "high", "low", "close")
FLOATS = {"price", "size", "bid", "bid_size", "ask", "ask_size", *OHLC, "volume", "quote_volume"}
"""What telegraf.conf stores as a float. InfluxDB gives a field one type, and refuses every row of another."""
ORDER: Mapping[str, tuple[str, ...]] = {
    "prices": (
        *("price", "size", "price_time_ns", "bid", "bid_size", "ask", "ask_size", "seq"),
        *("exchange_time_ns", "time_ns", *MARK, "stale", "reason", "age_ms"),
    ),
    "trades": ("id", "side", "price", "size", "time_ns", "exchange_time_ns", "received_ns", *MARK),
    "candles": (*OHLC, "volume", "quote_volume", "time_ns", "built", "received_ns", *MARK),
    "catalogue": ("symbol", "base", "quote", "native", "price_step", "size_step", "status"),
}
"""Fields that are not named here follow by name, so that a later one is not lost."""
SURE_DIGITS = 13
_NUMBER = re.compile(r'"(-?(?:0|[1-9]\d{0,18}))"').fullmatch


def payload(kind: str, fields: Mapping[str, str]) -> bytes:
    """A row's JSON; `fields` are JSON texts."""
    order = ORDER[kind]
    known = [name for name in order if name in fields]
    rest = sorted(fields.keys() - set(order))
    return ("{" + ",".join(f'"{name}":{_told(name, fields[name])}' for name in (*known, *rest)) + "}").encode()


def _told(name: str, text: str) -> str:
    """`seq` may be stored as text, since it may be too large for a store's integer."""
    number = _NUMBER(text) if name == "seq" else None
    return number[1] if number else text


def json_text(value: str) -> str:
    """A string as JSON. InfluxDB's CSV ends lines with CR LF, inside strings as well."""
    return msgspec.json.encode(value.replace("\r\n", "\n")).decode()


def digits(value: float) -> str:
    """The shortest text of a float that has no exponent."""
    text = format(Decimal(repr(value)), "f")
    return text.removesuffix(".0")


def rounded(text: str) -> str:
    """A sum that InfluxDB made of many floats, rounded to the digits that are sure."""
    return digits(float(f"{float(text):.{SURE_DIGITS}g}"))


def text_of(json: str) -> bytes:
    """A string's bytes from its JSON text: of a payload that was stored whole."""
    return msgspec.json.decode(json, type=str).encode()
