"""How Telegraf does, by its own metrics in InfluxDB: what it rejected, dropped, could not read, and still holds."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from bridge.errors import StoreError
from bridge.settings import Settings
from dashboard.history.influx.client import Client
from dashboard.history.influx.tables import Table, time_ns

EVERY_S = 15.0
"""Telegraf tells of itself every 10 s."""
TOGETHER_NS = 60 * 1_000_000_000
"""Series that are older than the newest by more than this are an earlier Telegraf's."""
NEWEST = """
from(bucket: bucket)
  |> range(start: -1h)
  |> filter(fn: (r) => r._measurement == "internal_write"
      or (r._measurement == "internal_gather" and r.input == "mqtt_consumer"))
  |> filter(fn: (r) => r._field == "metrics_rejected" or r._field == "metrics_dropped" or r._field == "buffer_size"
      or r._field == "errors")
  |> last()
  |> keep(columns: ["_time", "_value", "_field", "_measurement"])
"""
FIGURES = {
    ("internal_write", "metrics_rejected"): "rejected",
    ("internal_write", "metrics_dropped"): "dropped",
    ("internal_write", "buffer_size"): "buffer",
    ("internal_gather", "errors"): "input_errors",
}
"""`input_errors`: messages that cannot be parsed, and lost connections; Telegraf counts both as one."""
log = logging.getLogger(__name__)


class TelegrafHealth:
    """`run` until cancelled. `status` is what was found last; counters are since Telegraf's start."""

    def __init__(self, settings: Settings, every_s: float = EVERY_S) -> None:
        self._client = Client(settings.influx)
        self._every_s = every_s
        self._told: dict[str, Any] = {}

    def status(self) -> dict[str, Any]:
        """`rejected`, `dropped`, `input_errors`, `buffer`, `seen_ns`; or `problem`: why nothing can be said."""
        return self._told

    async def run(self) -> None:
        try:
            while True:
                await self._look()
                await asyncio.sleep(self._every_s)
        finally:
            await self._client.close()

    async def _look(self) -> None:
        try:
            self._told = summed(await self._client.ask(NEWEST, bucket=self._client.bucket("states")))
        except StoreError as error:
            log.debug("Telegraf's metrics: %s", error)
            self._told = {"problem": f"its metrics cannot be read: {error}"}
            await self._client.close()  # the next look takes a new token


def summed(tables: Iterable[Table]) -> dict[str, Any]:
    """The newest figures of one Telegraf, over all of its inputs and outputs. Empty if there are none."""
    newest = [
        (time_ns(time), FIGURES[measurement, field], int(value))
        for table in tables
        for time, value, field, measurement in table.pick("_time", "_value", "_field", "_measurement")
        if (measurement, field) in FIGURES and value
    ]
    if not newest:
        return {}
    seen_ns = max(time for time, _, _ in newest)
    told = dict.fromkeys(FIGURES.values(), 0)
    for time, name, value in newest:
        if seen_ns - time <= TOGETHER_NS:
            told[name] += value
    return {**told, "seen_ns": seen_ns}
