"""Candles by window, made inside InfluxDB: of told candles, of roll-ups, and of raw rows not yet rolled up.

Each source answers with rows as the pure candles.py takes them, so both stores gather candles by the same rules.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from msgspec import Struct

from dashboard.history.base import MINUTE_NS
from dashboard.history.influx.client import Client
from dashboard.history.influx.payloads import rounded
from dashboard.history.influx.reads import Reads
from dashboard.history.influx.series import Series
from dashboard.history.influx.tables import Table, time_ns
from dashboard.history.rows import Row

RAW_PRODUCT_NS = 120 * MINUTE_NS
"""How far price times size is multiplied row by row for a quote volume: further back only roll-ups tell it."""
OHLC: Mapping[str, tuple[str, str]] = {
    "open": ("open", "first"),
    "high": ("high", "max"),
    "low": ("low", "min"),
    "close": ("close", "last"),
}
VOLUMES: Mapping[str, tuple[str, str]] = {"volume": ("volume", "sum"), "quote_volume": ("quote_volume", "sum")}
OF_PRICE: Mapping[str, tuple[str, str]] = {name: ("price", how) for name, (_, how) in OHLC.items()}
OF_TRADES: Mapping[str, tuple[str, str]] = {**OF_PRICE, "volume": ("size", "sum")}
_KEEP = '|> keep(columns: ["_time", "_value"])'
_PRODUCT = (
    'data() |> filter(fn: (r) => r._field == "price" or r._field == "size") '
    '|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value") '
    "|> filter(fn: (r) => exists r.price and exists r.size) "
    "|> map(fn: (r) => ({_time: r._time, _value: r.price * r.size})) "
    f'|> aggregateWindow(every: every, fn: sum, createEmpty: false, timeSrc: "_start") {_KEEP} '
    '|> yield(name: "quote_volume")'
)


class Window(Struct, frozen=True):
    """Times in [from_ns, to_ns), which are whole multiples of `every_ns`."""

    from_ns: int
    to_ns: int
    every_ns: int = MINUTE_NS


class Bars:
    """The sources of one symbol's candles. Every method raises StoreError."""

    def __init__(self, client: Client, reads: Reads, exchange: str, symbol: str) -> None:
        self._client = client
        self._reads = reads
        self._tags = {"exchange": exchange, "symbol": symbol}
        self.told_series = Series("candles", {**self._tags, "interval": "1m"})
        self.told_numbers = Series("candles", self.told_series.tags, (*OHLC, *VOLUMES))
        self.prices = Series("prices", self._tags)
        self.trades = Series("trades", self._tags)

    def rolled(self, interval: str, source: str, fields: tuple[str, ...] = ()) -> Series:
        return Series("rollups", {**self._tags, "interval": interval, "source": source}, fields)

    def sources(self) -> list[Series]:
        """Where a candle may come from, each by one field that it always has."""
        rolled = [self.rolled("1m", source, ("close",)) for source in ("trades", "prices")]
        raw = [Series(kind, self._tags, ("price",)) for kind in ("trades", "prices")]
        return [Series("candles", self.told_series.tags, ("close",)), *raw, *rolled]

    async def told(self, window: Window) -> list[Row]:
        """The exchange's own 1 m candles by window."""
        return await self._made(self.told_series, window, {**OHLC, **VOLUMES}, built=False)

    async def told_minutes(self, window: Window) -> dict[int, int]:
        """How many 1 m candles the exchange told of each window."""
        series = Series("candles", self.told_series.tags, ("close",))
        tables = await self._windows(series, window, {"count": ("close", "count")})
        return {time_ns(time): int(value) for table in tables for time, value in table.pick("_time", "_value")}

    async def rollups(self, interval: str, window: Window) -> list[Row]:
        """Roll-ups of one level by window: of trades where there are some, else of prices."""
        of_trades = self._made(self.rolled(interval, "trades"), window, {**OHLC, **VOLUMES})
        of_prices = self._made(self.rolled(interval, "prices"), window, OHLC)
        return _first_wins(*await asyncio.gather(of_trades, of_prices))

    async def raw(self, window: Window) -> list[Row]:
        """The same of raw rows."""
        product = _PRODUCT if window.to_ns - window.from_ns <= RAW_PRODUCT_NS else ""
        of_trades = self._made(self.trades, window, OF_TRADES, product)
        of_prices = self._made(self.prices, window, OF_PRICE)
        return _first_wins(*await asyncio.gather(of_trades, of_prices))

    async def rolled_up_to(self, interval: str, window: Window) -> int:
        """Where the newest roll-up of a level begins: from there on finer rows tell more. The window's start: none."""
        asked = (
            self._reads.edge_ns(self.rolled(interval, source, ("close",)), "last", window.from_ns, window.to_ns)
            for source in ("trades", "prices")
        )
        return max(window.from_ns, *await asyncio.gather(*asked))

    async def _made(
        self,
        series: Series,
        window: Window,
        parts: Mapping[str, tuple[str, str]],
        more: str = "",
        *,
        built: bool = True,
    ) -> list[Row]:
        if window.from_ns >= window.to_ns:
            return []
        return rows_of(await self._windows(series, window, parts, more), built=built)

    async def _windows(
        self, series: Series, window: Window, parts: Mapping[str, tuple[str, str]], more: str = ""
    ) -> list[Table]:
        asked = " ".join(
            f'data() |> filter(fn: (r) => r._field == "{field}") '
            f'|> aggregateWindow(every: every, fn: {how}, createEmpty: false, timeSrc: "_start") '
            f'{_KEEP} |> yield(name: "{name}")'
            for name, (field, how) in parts.items()
        )
        return await self._client.ask(
            f"{series.data()} {asked} {more}",
            bucket=self._client.bucket(series.of_bucket),
            start=window.from_ns,
            stop=window.to_ns,
            every=timedelta(microseconds=window.every_ns // 1000),
            **series.tags,
        )


def rows_of(tables: list[Table], *, built: bool) -> list[Row]:
    """Candles of windowed answers: rows by their window's beginning."""
    windows: dict[int, dict[str, str]] = {}
    for table in tables:
        summed = table.result in VOLUMES
        for time, value in table.pick("_time", "_value"):
            windows.setdefault(time_ns(time), {})[table.result] = rounded(value) if summed else value
    whole = ((start_ns, parts) for start_ns, parts in sorted(windows.items()) if parts.keys() >= OHLC.keys())
    return [(start_ns, _payload(start_ns, parts, built=built)) for start_ns, parts in whole]


def _payload(start_ns: int, parts: Mapping[str, str], *, built: bool) -> bytes:
    told = ",".join(f'"{name}":{parts[name]}' for name in (*OHLC, *VOLUMES) if name in parts)
    mark = ',"built":true' if built else ""
    return f'{{{told},"time_ns":{start_ns}{mark}}}'.encode()


def _first_wins(better: list[Row], other: list[Row]) -> list[Row]:
    return sorted({**dict(other), **dict(better)}.items())
