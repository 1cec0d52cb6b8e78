"""What a catalogue tells of each instrument. Pure."""

import msgspec
from msgspec import Raw, Struct

from bridge.errors import FrameError


class _Catalogue(Struct):
    instruments: list[Raw]


class _Named(Struct):
    symbol: str


_decode = msgspec.json.Decoder(_Catalogue).decode
_decode_named = msgspec.json.Decoder(_Named).decode


def read_instruments(payload: bytes) -> list[tuple[str, bytes]]:
    """Symbol and JSON, digits as published, of every instrument. Raises FrameError if this is no catalogue."""
    try:
        payload.decode()
        return [(_decode_named(one).symbol, bytes(one)) for one in _decode(payload).instruments]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError(f"catalogue: {error}") from error
