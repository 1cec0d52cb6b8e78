"""What is known of whole kinds: which symbols have rows, the newest ticks, the catalogue, gaps, the error table."""

import time
from collections.abc import AsyncIterator, Mapping
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

import msgspec
from msgspec import Struct

from bridge.errors import StoreError
from bridge.topics import STREAM_ROOTS
from dashboard.history.base import Page, Span, Stored
from dashboard.history.gapbook import GapBook
from dashboard.history.influx.client import Client
from dashboard.history.influx.payloads import FLOATS, digits, json_text, payload
from dashboard.history.influx.reads import Reads, windows
from dashboard.history.influx.series import MOST_NS, Series
from dashboard.history.influx.tables import time_ns
from dashboard.history.influx.trouble import missing_bucket, wrong_type

LATEST_S = 2.0
"""How old an answer of the newest ticks may be: a whole market's costs some 0.5 s of influxd."""
LATE_NS = 86_400_000_000_000
"""How late a gap's state may come into the store and still be seen at once."""
MOST_READ = 5_000
"""Entries of one exchange's error table that are in memory at once."""
Told = tuple[int, str, bytes]
"""A stored payload: its time, its exchange, its text."""
Window = tuple[int, int]
KINDS = ("prices", "trades", "candles")
_TAG_VALUES = (
    'import "influxdata/influxdb/schema" '
    'schema.tagValues(bucket: bucket, tag: "{tag}", predicate: (r) => {where}, start: time(v: 0), stop: time(v: stop))'
)


class Listing:
    """Every method raises StoreError."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._latest: tuple[float, list[tuple[str, str, bytes]]] = 0.0, []

    async def symbols(self) -> list[Stored]:
        kinds: dict[tuple[str, str], list[str]] = {}
        for kind in KINDS:
            measured = '(r._measurement == "prices" or r._measurement == "latest")'
            where = measured if kind == "prices" else f'r._measurement == "{kind}"'
            for exchange in await self._tag_values(kind, "exchange", where):
                for symbol in await self._tag_values(kind, "symbol", f"{where} and r.exchange == exchange", exchange):
                    kinds.setdefault((exchange, symbol), []).append(kind)
        return [Stored(exchange, symbol, tuple(sorted(of))) for (exchange, symbol), of in sorted(kinds.items())]

    async def _tag_values(self, kind: str, tag: str, where: str, exchange: str = "") -> list[str]:
        flux = _TAG_VALUES.format(tag=tag, where=where)
        tables = await self._client.ask(flux, bucket=self._client.bucket(kind), stop=MOST_NS, exchange=exchange)
        return [value for table in tables for _, value in table.pick("table", "_value")]

    async def latest(self) -> list[tuple[str, str, bytes]]:
        asked_s, told = self._latest
        if time.monotonic() - asked_s > LATEST_S:
            told = _newest(await self._client.newest("prices", "prices, latest"))
            self._latest = time.monotonic(), told
        return told

    async def catalogue(self) -> list[tuple[str, bytes]]:
        rows = sorted(await self._client.newest("candles", "catalogue"), key=itemgetter("exchange", "symbol"))
        return [(row["exchange"], _row_payload("catalogue", row, drop=("exchange", "time"))) for row in rows]

    async def complain(self) -> None:
        """Raises StoreError if a bucket is missing, or a field has a type that keeps Telegraf's rows out."""
        there = await retentions(self._client)
        for name in (*STREAM_ROOTS, "rollups"):
            if self._client.bucket(name) not in there:
                raise StoreError(missing_bucket(self._client.where, self._client.bucket(name)))
        for kind in KINDS:
            for measurement, field, told in await self._client.types(kind):
                if measurement == kind and field in FLOATS and told != "float":
                    raise StoreError(wrong_type(self._client.where, self._client.bucket(kind), field, told))


async def retentions(client: Client) -> dict[str, int]:
    """Buckets that the token may read, and how long they keep their rows (ns; 0: for ever)."""
    tables = await client.ask("buckets()")
    return {name: int(period) for table in tables for name, period in table.pick("name", "retentionPeriod")}


_GAPS = Series("gaps", {}, ("payload",))


class Gaps:
    """Gaps in their newest state, kept between questions; only what is new is read."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._book = GapBook()
        self._read_ns = 0

    async def find(self, exchange: str | None, symbol: str | None, span: Span) -> Page:
        start_ns = max(0, self._read_ns - LATE_NS)
        for at_ns, of, text in await payloads(self._client, _GAPS, start_ns, MOST_NS):
            self._book.note(of, text)
            self._read_ns = max(self._read_ns, at_ns)
        return self._book.find(exchange, symbol, span)


class _Entry(Struct):
    kind: str | None = None
    symbol: str | None = None


_entry = msgspec.json.Decoder(_Entry).decode


async def payloads(client: Client, series: Series, from_ns: int, to_ns: int) -> list[Told]:
    """Payloads that are stored whole: time, exchange, text; by time."""
    flux = f'{series.data()} data() |> keep(columns: ["_time", "exchange", "_value"])'
    bucket = client.bucket(series.of_bucket)
    tables = await client.ask(flux, bucket=bucket, start=from_ns, stop=to_ns, **series.tags)
    return sorted(
        (time_ns(at), exchange, text.replace("\r\n", "\n").encode())
        for table in tables
        for at, exchange, text in table.pick("_time", "exchange", "_value")
    )


class Errors:
    """The error table."""

    def __init__(self, client: Client, reads: Reads) -> None:
        self._client = client
        self._reads = reads

    async def find(self, exchange: str | None, kind: str | None, symbol: str | None, span: Span) -> Page:
        """Oldest first. Entries of one time are never on two pages, so a page may be longer than the span's limit."""
        series = Series("errors", {} if exchange is None else {"exchange": exchange}, ("payload",))
        newest, to_ns = span.from_ns is None, min(span.to_ns, MOST_NS)
        edges = [await self._reads.edge_ns(series, edge, span.from_ns or 0, to_ns) for edge in ("first", "last")]
        found: list[tuple[int, bytes]] = []
        async for told in self._slices(series, edges[0], edges[1] + 1, newest=newest):
            part = [(at_ns, _named(of, text)) for at_ns, of, text in told if _matches(text, kind, symbol)]
            found = part + found if newest else found + part
            if len(found) > span.limit:
                break
        return Page([text for _, text in found[-span.limit :]]) if newest else _page(found, span.limit)

    async def _slices(self, series: Series, from_ns: int, to_ns: int, *, newest: bool) -> AsyncIterator[list[Told]]:
        """All entries of a span, as many at a time as may be in memory; from its end if `newest`."""
        for window in windows(from_ns, to_ns, backward=newest):
            left = window
            while left[0] < left[1]:
                told, left = await self._slice(series, left, newest=newest)
                yield told

    async def _slice(self, series: Series, window: tuple[int, int], *, newest: bool) -> tuple[list[Told], Window]:
        """The first or last entries of a window, and what is left of it.

        Each series is cut by itself: what is whole ends where the first of those that are cut does.
        """
        flux = (
            f"{series.data()} data() |> {'tail' if newest else 'limit'}(n: most) "
            '|> keep(columns: ["_time", "exchange", "shard", "_value"])'
        )
        bucket = self._client.bucket(series.of_bucket)
        between = {"start": window[0], "stop": window[1]}
        each: dict[tuple[int, str], list[Told]] = {}
        tables = await self._client.ask(flux, bucket=bucket, most=MOST_READ, **between, **series.tags)
        for place, table in enumerate(tables):
            for number, at, exchange, text in table.pick("table", "_time", "exchange", "_value"):
                row = time_ns(at), exchange, text.replace("\r\n", "\n").encode()
                each.setdefault((place, number), []).append(row)
        cut = [sorted(rows) for rows in each.values() if len(rows) >= MOST_READ]
        told = sorted(chain.from_iterable(each.values()))
        if newest:
            whole_ns = max((rows[0][0] for rows in cut), default=window[0])
            return [row for row in told if row[0] >= whole_ns], (window[0], whole_ns)
        whole_ns = min((rows[-1][0] + 1 for rows in cut), default=window[1])
        return [row for row in told if row[0] < whole_ns], (whole_ns, window[1])


def _matches(text: bytes, kind: str | None, symbol: str | None) -> bool:
    entry = _entry(text)
    return kind in (None, entry.kind) and symbol in (None, entry.symbol)


def _named(exchange: str, text: bytes) -> bytes:
    return b'{"exchange":%b,%b' % (msgspec.json.encode(exchange), text.lstrip()[1:])


def _page(found: list[tuple[int, bytes]], limit: int) -> Page:
    rows: list[bytes] = []
    for at_ns, group in groupby(found, key=itemgetter(0)):
        if len(rows) >= limit:
            return Page(rows, at_ns)
        rows += [text for _, text in group]
    return Page(rows)


def _newest(rows: list[dict[str, Any]]) -> list[tuple[str, str, bytes]]:
    """One row per symbol: a store of `latest` may hold `prices` of an earlier time, too."""
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = row["exchange"], row["symbol"]
        if key not in newest or newest[key]["time"] < row["time"]:
            newest[key] = row
    return [(*key, _row_payload("prices", row, drop=("exchange", "symbol"))) for key, row in sorted(newest.items())]


def _row_payload(kind: str, row: Mapping[str, Any], drop: tuple[str, ...]) -> bytes:
    fields = {"time_ns" if name == "time" else name: _json(value) for name, value in row.items() if name not in drop}
    return payload(kind, fields)


def _json(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return digits(value)
    return json_text(value) if isinstance(value, str) else str(value)
