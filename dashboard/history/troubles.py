"""The error table's entries: which are wanted, and pages of them. Pure."""

from itertools import groupby
from operator import itemgetter

import msgspec
from msgspec import Struct

from dashboard.history.base import END_OF_TIME_NS, Page
from dashboard.history.rows import Row, Series


class _Told(Struct):
    kind: object = None
    symbol: object = None


_decode = msgspec.json.Decoder(_Told).decode


class Wanted(Struct, frozen=True):
    """None: any."""

    kind: str | None
    symbol: str | None

    def takes(self, payload: bytes) -> bool:
        if self.kind is None and self.symbol is None:
            return True
        told = _decode(payload)
        return self.kind in (None, told.kind) and self.symbol in (None, told.symbol)


def with_exchange(series: Series, payload: bytes) -> bytes:
    return b'{"exchange":%b,%b' % (msgspec.json.encode(series.exchange), payload.lstrip()[1:])


def whole_times(rows: list[Row], limit: int, complete_ns: int | None) -> Page:
    """A page of rows (by time) before `complete_ns`; entries of one time are never on two pages."""
    found: list[bytes] = []
    complete = (row for row in rows if row[0] < (END_OF_TIME_NS if complete_ns is None else complete_ns))
    for time_ns, group in groupby(complete, itemgetter(0)):
        payloads = [payload for _, payload in group]
        if found and len(found) + len(payloads) > limit:
            return Page(found, time_ns)
        found += payloads
    return Page(found, complete_ns)
