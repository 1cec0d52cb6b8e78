"""A capture file as a source: its data frames, their exchange times shifted by one constant, its catalogue.

A capture is JSON lines, plain or gzipped: `{"t":"recv","ts":<s>,"data":"…"}` or `{"ts":<s>,"data":"…"}` (`ts` may be
missing). Welcomes and acks are not data. What was sent stays the text as it was recorded, but for the digits of the
known time fields.
"""

import gzip
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import time_ns
from typing import Any

import msgspec
from msgspec import Struct

from bridge.errors import SettingsError
from bridge.simulator.recorded_markets import listings_of, native_of
from bridge.simulator.values import Bar, Day, Deal, Quote

MAX_BYTES = 256 * 1024 * 1024
MINUTE_NS = 60_000_000_000
CLOCKS_DIFFER_NS = 5_000_000_000
"""How far an exchange's clock may have been ahead of the recorder's."""
_TIME = {
    "kucoin": re.compile(
        r'(?<="time":)"?\d{13,19}(?=[",}])|(?<="datetime":)\d{13}(?=[,}])|(?<="candles":\[")\d{10}(?=")'
    ),
    "binance": re.compile(r'(?<="[ET]":)\d{13}(?=[,}])|(?<="k":\{"t":)\d{13}(?=,)'),
}
_UNIT_NS = {10: 1_000_000_000, 13: 1_000_000, 16: 1_000, 19: 1}


class Recorded(Struct, frozen=True):
    """One data frame: seconds since the first, its topic or stream, its symbol, its shifted text."""

    after_s: float
    topic: str
    native: str
    text: bytes


class _Line(Struct):
    data: str = ""
    t: str = "recv"
    ts: float | None = None


class Recording:
    """One capture of one exchange. `shift_ns` was added to every exchange time: whole minutes."""

    def __init__(self, exchange: str, path: Path, now_ns: int | None = None) -> None:
        """Raises SettingsError if the file cannot be read or holds no data frame of this exchange."""
        raw = [(line.ts, frame) for line in _lines(path) if (frame := _frame(exchange, line.data)) is not None]
        if not raw:
            raise SettingsError(f"{path}: holds no {exchange} frame")
        self.exchange, self.path = exchange, path
        self.shift_ns = _shift((time_ns() if now_ns is None else now_ns) - CLOCKS_DIFFER_NS, _last_ns(exchange, raw))
        first_s = next((ts for ts, _ in raw if ts is not None), 0.0)
        self.frames = [
            Recorded(0.0 if ts is None else ts - first_s, topic, native, self.shifted(text).encode())
            for ts, (topic, native, text) in raw
        ]
        natives = dict.fromkeys(frame.native for frame in self.frames if frame.native)
        self.listings, self.rows = listings_of(exchange, list(natives), path.parent)

    def shifted(self, text: str, by_ns: int | None = None) -> str:
        """The text with its exchange times moved by `shift_ns` (or another whole number of minutes)."""
        shift_ns = self.shift_ns if by_ns is None else by_ns
        return _TIME[self.exchange].sub(lambda found: _moved(found[0], shift_ns), text)

    def quote(self, native: str) -> Quote | None:
        """The last recorded book of a symbol (and, of KuCoin, its last trade)."""
        kind = "/market/ticker:" if self.exchange == "kucoin" else "@bookTicker"
        for frame in reversed(self.frames):
            if frame.native == native and kind in frame.topic:
                return _quote(native, msgspec.json.decode(frame.text)["data"])
        return None

    def trades(self, native: str) -> list[Deal]:
        """The recorded aggregate trades of Binance; KuCoin's cannot be told apart from invented ones by their ids."""
        frames = (f for f in self.frames if f.native == native and f.topic.endswith("@aggTrade"))
        return [_deal(msgspec.json.decode(frame.text)["data"]) for frame in frames]

    def bars(self, native: str, since_s: int, until_s: int, *, flat: bool) -> list[Bar]:
        """None: a capture has no history."""
        return []

    def day(self, native: str) -> Day | None:
        """None: a capture has no history."""
        return None


def _lines(path: Path) -> Iterator[_Line]:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise SettingsError(f"{path}: more than {MAX_BYTES} bytes")
    for text in data.splitlines():
        line = msgspec.json.decode(text, type=_Line)
        if line.t == "recv" and line.data:
            yield line


def _frame(exchange: str, text: str) -> tuple[str, str, str] | None:
    try:
        told = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    topic = told.get("topic" if exchange == "kucoin" else "stream") if isinstance(told, dict) else None
    return (topic, native_of(exchange, topic, told), text) if isinstance(topic, str) else None


def _last_ns(exchange: str, raw: Iterable[tuple[float | None, tuple[str, str, str]]]) -> int:
    received = [ts for ts, _ in raw if ts is not None]
    if received:
        return int(max(received) * 1e9)
    times = (found[0].strip('"') for _, frame in raw for found in _TIME[exchange].finditer(frame[2]))
    return max((int(digits) * _UNIT_NS[len(digits)] for digits in times if len(digits) in _UNIT_NS), default=0)


def _shift(now_ns: int, last_ns: int) -> int:
    return (now_ns - last_ns) // MINUTE_NS * MINUTE_NS


def _moved(found: str, shift_ns: int) -> str:
    quote, digits = ('"', found[1:]) if found.startswith('"') else ("", found)
    unit = _UNIT_NS.get(len(digits))
    return found if unit is None else f"{quote}{int(digits) + shift_ns // unit}"


def _quote(native: str, data: dict[str, Any]) -> Quote:
    if "bestBid" in data:
        book = (data["bestBid"], data["bestBidSize"], data["bestAsk"], data["bestAskSize"])
        return Quote(native, int(data["sequence"]), data["time"], data["price"], data["size"], *book)
    return Quote(native, data["u"], 0, "", "", data["b"], data["B"], data["a"], data["A"])


def _deal(data: dict[str, Any]) -> Deal:
    side = "sell" if data["m"] else "buy"
    return Deal(data["s"], data["a"], data["T"], side, data["p"], data["q"], data["f"], data["l"])
