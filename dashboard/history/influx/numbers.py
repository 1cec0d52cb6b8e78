"""Which numbers of a sequence are there: told by windows whose count proves them whole, else looked at row by row."""

from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import timedelta

from msgspec import Struct

from dashboard.history.base import Sequence, Span
from dashboard.history.influx.client import Client
from dashboard.history.influx.reads import Reads
from dashboard.history.influx.series import MOST_NS, Series, series_of
from dashboard.history.influx.tables import Table, time_ns

WINDOWS = 500
"""Into so many windows a span is parted."""
LEAST_WINDOW_NS = 1_000_000_000
PIECE_ROWS = 50_000
"""So many rows are held in memory at once, unless one window has more."""
_FIGURES = ("n count", "n min", "n max", "run min", "run max")
Interval = tuple[int, int]


class Seen(Struct):
    """What one window of time has of a topic: how many numbers, between which, of the runs from `runs[0]` to [1]."""

    from_ns: int
    to_ns: int
    count: int
    numbers: Interval
    runs: Interval

    @property
    def is_large(self) -> bool:
        """Too many rows to be held at once, and wide enough to be parted again."""
        return self.count > PIECE_ROWS and self.to_ns - self.from_ns > LEAST_WINDOW_NS

    def whole(self, run: int) -> bool:
        """Whether every number between the least and the greatest is there, and of this run."""
        return self.runs == (run, run) and self.count == self.numbers[1] - self.numbers[0] + 1


class Numbers:
    """Every method raises StoreError."""

    def __init__(self, client: Client, reads: Reads) -> None:
        self._client = client
        self._reads = reads

    async def of_run(self, topic: str, run: int, span: Span) -> list[Interval]:
        """The numbers of a run as rising ranges."""
        of = series_of(topic)
        series = Series(of.kind, of.tags, ("run", "n"))
        from_ns, to_ns = await self._extent(series, span.from_ns or 0, min(span.to_ns, MOST_NS))
        if from_ns >= to_ns:
            return []
        seen = [one for one in await self._seen(of, from_ns, to_ns) if one.runs[0] <= run <= one.runs[1]]
        found = [one.numbers for one in seen if one.whole(run)]
        torn = [one for one in seen if not one.whole(run)]
        for one in (one for one in torn if one.is_large):
            found += await self.of_run(topic, run, Span(1, one.from_ns, one.to_ns))
        for piece_ns in pieces([one for one in torn if not one.is_large]):
            rows = await self._reads.all(series, *piece_ns)
            told = (int(row["n"]) for _, row in rows if "n" in row and row.get("run") == str(run))
            found += [(n, n) for n in told]
        return joined(found)

    async def _extent(self, series: Series, from_ns: int, to_ns: int) -> Interval:
        """The part of a span that has rows: windows over the years around it would have all of them in one."""
        first_ns = await self._reads.edge_ns(series, "first", from_ns, to_ns)
        return first_ns, min(to_ns, await self._reads.edge_ns(series, "last", from_ns, to_ns) + 1)

    async def of_fill(self, sequence: Sequence, span: Span) -> list[Interval]:
        """The same of a fill; its rows come one after the other."""
        of = series_of(sequence.topic)
        series = Series(of.kind, of.tags, ("fill", "fill_n"))
        flux = (
            f'{series.data()} data() |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value") '
            '|> filter(fn: (r) => exists r.fill and r.fill == fill and exists r.fill_n) |> keep(columns: ["fill_n"])'
        )
        from_ns, to_ns = span.from_ns or 0, min(span.to_ns, MOST_NS)
        if from_ns >= to_ns:
            return []
        bucket = self._client.bucket(of.of_bucket)
        values: dict[str, str | int] = {"fill": sequence.fill or "", "start": from_ns, "stop": to_ns, **series.tags}
        return joined([(n, n) async for n in self._streamed(flux, bucket, values)])

    async def _streamed(self, flux: str, bucket: str, values: dict[str, str | int]) -> AsyncIterator[int]:
        async for row in self._client.stream(flux, bucket=bucket, **values):
            yield row["fill_n"]

    async def _seen(self, series: Series, from_ns: int, to_ns: int) -> list[Seen]:
        """What each window of a span has, empty ones left out."""
        every_ns = max(LEAST_WINDOW_NS, -(-(to_ns - from_ns) // WINDOWS))
        every_ns += -every_ns % 1000  # durations travel in microseconds
        asked = " ".join(
            f'data() |> filter(fn: (r) => r._field == "{name.split()[0]}") '
            f"|> aggregateWindow(every: every, fn: {name.split()[1]}, createEmpty: false, "
            f'timeSrc: "_start") |> keep(columns: ["_time", "_value"]) |> yield(name: "{name}")'
            for name in _FIGURES
        )
        tables = await self._client.ask(
            f"{series.data()} {asked}",
            bucket=self._client.bucket(series.of_bucket),
            every=timedelta(microseconds=every_ns // 1000),
            start=from_ns,
            stop=to_ns,
            **series.tags,
        )
        return list(seen_in(tables, every_ns, to_ns))


def seen_in(tables: list[Table], every_ns: int, to_ns: int) -> Iterator[Seen]:
    """Windows by time; the first one begins where the span does."""
    windows: dict[int, dict[str, int]] = {}
    for table in tables:
        for time, value in table.pick("_time", "_value"):
            windows.setdefault(time_ns(time), {})[table.result] = int(value)
    for start_ns, told in sorted(windows.items()):
        if len(told) == len(_FIGURES):
            end_ns = min(to_ns, start_ns - start_ns % every_ns + every_ns)
            count, least, greatest, first, last = (told[name] for name in _FIGURES)
            yield Seen(start_ns, end_ns, count, (least, greatest), (first, last))


def pieces(windows: list[Seen]) -> Iterator[Interval]:
    """Spans of time that hold these windows: neighbours together, while their rows are few enough."""
    begun: Seen | None = None
    rows = end_ns = 0
    for one in windows:
        if begun is not None and (one.from_ns != end_ns or rows + one.count > PIECE_ROWS):
            yield begun.from_ns, end_ns
            begun = None
        if begun is None:
            begun, rows = one, 0
        rows += one.count
        end_ns = one.to_ns
    if begun is not None:
        yield begun.from_ns, end_ns


def joined(intervals: Iterable[Interval]) -> list[Interval]:
    """Ranges, both ends inclusive, as few and rising ones."""
    found: list[Interval] = []
    for first, last in sorted(intervals):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def clipped(intervals: Iterable[Interval], least: int, greatest: int) -> list[Interval]:
    """The part of ranges that lies between two numbers."""
    cut = ((max(first, least), min(last, greatest)) for first, last in intervals)
    return [(first, last) for first, last in cut if first <= last]
