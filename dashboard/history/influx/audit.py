"""What the audit asks: numbers counted inside InfluxDB, and looked at one by one only where somebody must.

Counting is by time alone, so a neighbouring run within the span is counted with it (the contract allows it): what the
storage counts by itself costs a hundredth of what has to leave it.
"""

import asyncio
from collections.abc import Iterable, Iterator

from dashboard.history.base import Numbered, Sequence, Span
from dashboard.history.influx.client import Client
from dashboard.history.influx.numbers import Numbers, clipped
from dashboard.history.influx.reads import Reads, windows
from dashboard.history.influx.series import MOST_NS, TAGS, Series, series_of, topic_of
from dashboard.history.influx.tables import Table, time_ns

FIGURES = ("count", "min", "max")
_PIVOT = '|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
DAY_NS = 86_400_000_000_000


class Audit:
    """Every method raises StoreError."""

    def __init__(self, client: Client, reads: Reads) -> None:
        self._client = client
        self._numbers = Numbers(client, reads)

    async def numbered(self, kind: str, run: int, span: Span, exchange: str | None) -> list[Numbered]:
        tags = {} if exchange is None else {"exchange": exchange}
        series = Series(kind, tags, ("n",))
        group = f"|> group(columns: [{', '.join(_quoted(TAGS[kind]))}])"
        asked = " ".join(
            f'data() {group} |> {figure}() {_columns(kind)} |> yield(name: "{figure}")' for figure in FIGURES
        )
        tables = await self._ask(series, f"{series.data()} {asked}", span)
        return [Numbered(Sequence(topic, run), *figures) for topic, figures in _figures(kind, tables)]

    async def fill_numbered(self, kind: str, fill: str, span: Span) -> list[Numbered]:
        series = Series(kind, {}, ("fill", "fill_n"))
        rows = f"rows = data() {_PIVOT} |> filter(fn: (r) => exists r.fill and r.fill == fill and exists r.fill_n)"
        group = f"|> group(columns: [{', '.join(_quoted(TAGS[kind]))}])"
        asked = " ".join(
            f'rows {group} |> {figure}(column: "fill_n") |> rename(columns: {{fill_n: "_value"}}) '
            f'{_columns(kind)} |> yield(name: "{figure}")'
            for figure in FIGURES
        )
        tables = await self._ask(series, f"{series.data()} {rows} {asked}", span, fill=fill)
        return [Numbered(Sequence(topic, fill=fill), *figures) for topic, figures in _figures(kind, tables)]

    async def numbers(self, sequence: Sequence, least: int, greatest: int, span: Span) -> list[tuple[int, int]]:
        if sequence.run is not None:
            found = await self._numbers.of_run(sequence.topic, sequence.run, span)
        else:
            found = await self._numbers.of_fill(sequence, span)
        return clipped(found, least, greatest)

    async def edges(self, topic: str, run: int, span: Span) -> tuple[int | None, int | None]:
        series = series_of(topic)
        began_ns = max(0, run * 1_000_000 - DAY_NS)
        before = self._nearest(series, run, "last", (began_ns, span.from_ns or 0))
        after = self._nearest(series, run, "first", (span.to_ns, MOST_NS))
        return tuple(await asyncio.gather(before, after))  # type: ignore[return-value]

    async def _nearest(self, series: Series, run: int, edge: str, within: tuple[int, int]) -> int | None:
        """The number of the run's last or first row in a span of time, looked for from there in growing windows."""
        runs = Series(series.kind, series.tags, ("run",))
        of_run = f"{runs.data()} data() |> filter(fn: (r) => r._value == run)"
        flux = f'{of_run} |> {edge}() |> keep(columns: ["_time", "_field"])'
        for start_ns, stop_ns in windows(*within, backward=edge == "last"):
            span = Span(1, start_ns, stop_ns)
            for table in await self._ask(runs, flux, span, run=run):
                for time, _ in table.pick("_time", "_field"):
                    return await self._number_at(series, time_ns(time))
        return None

    async def _number_at(self, series: Series, at_ns: int) -> int | None:
        numbers = Series(series.kind, series.tags, ("n",))
        tables = await self._ask(numbers, f"{numbers.data()} data()", Span(1, at_ns, at_ns + 1))
        return next((int(value) for table in tables for _, value in table.pick("_time", "_value")), None)

    async def _ask(self, series: Series, flux: str, span: Span, **values: str | int) -> list[Table]:
        between = _between(span)
        if between["start"] >= between["stop"]:
            return []
        return await self._client.ask(
            flux, bucket=self._client.bucket(series.of_bucket), **between, **series.tags, **values
        )


def _between(span: Span) -> dict[str, int]:
    return {"start": span.from_ns or 0, "stop": min(span.to_ns, MOST_NS)}


def _quoted(names: Iterable[str]) -> list[str]:
    return [f'"{name}"' for name in names]


def _columns(kind: str) -> str:
    return f"|> keep(columns: [{', '.join(_quoted((*TAGS[kind], '_value')))}]) |> group()"


def _figures(kind: str, tables: list[Table]) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """Topics with their count, least and greatest number."""
    found: dict[str, dict[str, int]] = {}
    for table in tables:
        names = [name for name in TAGS[kind] if name in table.names]
        for *tags, value in table.pick(*names, "_value"):
            topic = topic_of(kind, dict(zip(names, tags, strict=True)))
            found.setdefault(topic, {})[table.result] = int(value)
    for topic, figures in sorted(found.items()):
        if len(figures) == len(FIGURES):
            yield topic, (figures["count"], figures["min"], figures["max"])
