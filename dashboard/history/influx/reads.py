"""Reading rows in time's order, a page at a time: windows that grow, so that dense and sparse rows cost alike."""

from collections.abc import Iterator

from dashboard.history.base import END_OF_TIME_NS, MINUTE_NS, Page, Span
from dashboard.history.influx.client import Client, Value
from dashboard.history.influx.payloads import payload, text_of
from dashboard.history.influx.series import MOST_NS, Series
from dashboard.history.influx.tables import Table, by_time, time_ns

NARROW_NS = 60 * MINUTE_NS
"""Spans up to this are asked for at once."""
FIRST_NS = MINUTE_NS
GROWTH = 8
COLUMNS = '|> keep(columns: ["_time", "_field", "_value"])'
Fields = dict[str, str]
Rows = list[tuple[int, Fields]]


class Reads:
    """Every method raises StoreError."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def page(self, series: Series, span: Span) -> Page:
        """One page of a series' rows as payloads."""
        rows = await self.rows(series, span)
        next_ns = rows[span.limit][0] if len(rows) > span.limit else None
        return Page([_payload(series, time_ns, fields) for time_ns, fields in rows[: span.limit]], next_ns)

    async def rows(self, series: Series, span: Span) -> Rows:
        """The first `limit` + 1 rows of a span, or without a beginning its newest `limit`; each one whole."""
        if span.from_ns is None:
            return await self._newest(series, span)
        begin_ns, stop_ns = span.from_ns, min(span.to_ns, MOST_NS)
        if stop_ns - begin_ns <= NARROW_NS:
            return await self._window(series, "limit", (begin_ns, stop_ns), span.limit + 1)
        begin_ns = await self.edge_ns(series, "first", begin_ns, stop_ns)
        found = Rows()
        for window in windows(begin_ns, stop_ns, backward=False):
            found += await self._window(series, "limit", window, span.limit + 1 - len(found))
            if len(found) > span.limit:
                break
        return found

    async def all(self, series: Series, from_ns: int, to_ns: int) -> Rows:
        """Every row of a span, which the caller keeps narrow."""
        return await self._window(series, "limit", (from_ns, min(to_ns, MOST_NS)), END_OF_TIME_NS)

    async def _newest(self, series: Series, span: Span) -> Rows:
        end_ns = await self.edge_ns(series, "last", 0, min(span.to_ns, MOST_NS)) + 1
        found = Rows()
        for window in windows(0, end_ns, backward=True):
            found = await self._window(series, "tail", window, span.limit - len(found)) + found
            if len(found) >= span.limit:
                break
        return found

    async def edge_ns(self, series: Series, edge: str, start_ns: int, stop_ns: int) -> int:
        """The time of the `first` or `last` row of a span; without one its end, or -1 for the last."""
        flux = f'{series.data()} data() |> {edge}() |> keep(columns: ["_time", "_field"])'
        if start_ns >= stop_ns:
            return stop_ns if edge == "first" else -1
        tables = await self._ask(series, flux, start=start_ns, stop=stop_ns)
        times = [time_ns(time) for table in tables for time, _ in table.pick("_time", "_field")]
        return min(times, default=stop_ns) if edge == "first" else max(times, default=-1)

    async def _window(self, series: Series, take: str, window: tuple[int, int], most: int) -> Rows:
        """The first (`limit`) or last (`tail`) rows of a window.

        Each field is a series of its own: the first `most` of every one hold the first `most` rows whole.
        """
        if window[0] >= window[1]:
            return []
        cut = "" if most == END_OF_TIME_NS else f"|> {take}(n: most)"
        values: dict[str, Value] = {} if most == END_OF_TIME_NS else {"most": most}
        flux = f"{series.data()} data() {cut} {COLUMNS}"
        tables = await self._ask(series, flux, start=window[0], stop=window[1], **values)
        rows = sorted(by_time(tables).items())
        return rows[:most] if take == "limit" else rows[-most:]

    async def _ask(self, series: Series, flux: str, **values: Value) -> list[Table]:
        return await self._client.ask(flux, bucket=self._client.bucket(series.of_bucket), **series.tags, **values)


def windows(from_ns: int, to_ns: int, *, backward: bool) -> Iterator[tuple[int, int]]:
    """A span in windows that grow, from its beginning or from its end."""
    width_ns = FIRST_NS
    while from_ns < to_ns:
        if backward:
            yield max(from_ns, to_ns - width_ns), to_ns
            to_ns -= width_ns
        else:
            yield from_ns, min(to_ns, from_ns + width_ns)
            from_ns += width_ns
        width_ns *= GROWTH


def _payload(series: Series, time_ns: int, fields: Fields) -> bytes:
    """Gaps and errors are stored whole; the others are written anew, as they were published."""
    if series.fields == ("payload",):
        return text_of(fields["payload"])
    return payload(series.kind, {**fields, "time_ns": str(time_ns)})
