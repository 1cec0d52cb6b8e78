"""How rows stand on disk: lines of JSON, deflated with a dictionary of what payloads look like. Pure.

A *piece* holds the rows of one series; a *journal entry* those of one commit, each series after a line `#<number>`.
"""

import zlib
from collections.abc import Iterable, Iterator

from bridge.errors import StoreError

DICTIONARY = (
    b'{"kind":"frame","channel":"","reason":"","frame":"","time_ns":17'
    b'{"id":"","channel":"prices","symbols":["BTC-USDT"],"symbol_count":1,"from_ns":17,"to_ns":17,"cause":"line lost",'
    b'"state":"open","state":"filled","state":"unfillable","reason":"","expected":,"filled":,"time_ns":17,"run":17,"n":1}'
    b'{"open":1.0,"high":1.0,"low":1.0,"close":1.0,"built":true,"first_ns":17,"last_ns":17,"time_ns":17}'
    b'{"open":1.0,"high":1.0,"low":1.0,"close":1.0,"volume":0.0,"quote_volume":0.0,"time_ns":1700000000000000000,'
    b'"received_ns":17,"fill":"","fill_n":1,"source":"rest"}'
    b'{"id":"1","side":"buy","side":"sell","price":1.0,"size":0.0,"time_ns":17,"exchange_time_ns":17,"received_ns":17,'
    b'"run":17,"n":1}\n'
    b'{"price":1.0,"size":0.0,"price_time_ns":1700000000000000000,"bid":1.0,"bid_size":0.0,"ask":1.0,"ask_size":0.0,'
    b'"seq":1,"time_ns":17,"run":17,"n":1}\n'
    b'{"price":0.0,"size":0.0,"price_time_ns":17'
)
"""What new files are made with; each file carries its own, so this may change."""
LEVEL = 6


class BrokenPiece(StoreError):
    """Packed rows that cannot be read; the rest of the file may be well."""


class Packing:
    """Deflates with one file's dictionary."""

    def __init__(self, dictionary: bytes = DICTIONARY) -> None:
        self._dictionary = dictionary

    def pack(self, lines: Iterable[bytes]) -> bytes:
        squeeze = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=self._dictionary)
        return squeeze.compress(b"\n".join(lines)) + squeeze.flush()

    def unpack(self, packed: bytes) -> list[bytes]:
        """The lines again. Raises BrokenPiece if the bytes are damaged."""
        try:
            stretch = zlib.decompressobj(-zlib.MAX_WBITS, zdict=self._dictionary)
            text = stretch.decompress(packed) + stretch.flush()
        except zlib.error as error:
            raise BrokenPiece(f"the history holds a damaged piece ({error}): restore the file from a backup") from error
        if not stretch.eof:
            raise BrokenPiece("the history holds a piece that is cut short: restore the file from a backup")
        return text.split(b"\n") if text else []


def entry_lines(columns: Iterable[tuple[int, list[bytes]]]) -> Iterator[bytes]:
    """A journal entry's lines: rows by series, so that neighbours are alike."""
    for series, payloads in columns:
        yield b"#%d" % series
        yield from payloads


def entry_rows(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """(series, payload) of a journal entry's lines."""
    series = -1
    for line in lines:
        if line.startswith(b"#"):
            series = _number(line[1:])
        else:
            yield series, line


def _number(text: bytes) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise BrokenPiece("the history's journal is damaged: restore the file from a backup") from error
