"""How Telegraf does, by its own metrics in InfluxDB: what it rejected, dropped, could not read, and still holds."""

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import aiohttp
from influxdb_client.client.flux_table import FluxRecord
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.rest import ApiException

from bridge.errors import SettingsError
from bridge.settings import Settings

EVERY_S = 15.0
"""Telegraf tells of itself every 10 s."""
TOGETHER = timedelta(seconds=60)
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
        self._settings = settings.influx
        self._every_s = every_s
        self._told: dict[str, Any] = {}

    def status(self) -> dict[str, Any]:
        """`rejected`, `dropped`, `input_errors`, `buffer`, `seen_ns`; or `problem`: why nothing can be said."""
        return self._told

    async def run(self) -> None:
        while True:
            try:
                await self._watch(self._settings.secret() or "")
            except SettingsError as error:
                self._told = {"problem": str(error)}
            await asyncio.sleep(self._every_s)

    async def _watch(self, token: str) -> None:
        place = self._settings
        timeout_ms = int(place.timeout_s * 1000)
        async with InfluxDBClientAsync(place.url, token, place.org, timeout=timeout_ms) as client:
            while True:
                await self._look(client)
                await asyncio.sleep(self._every_s)

    async def _look(self, client: InfluxDBClientAsync) -> None:
        try:
            tables = await client.query_api().query(NEWEST, params={"bucket": f"{self._settings.bucket_prefix}states"})
        except ApiException as error:
            self._told = {"problem": f"its metrics cannot be read: InfluxDB answers {error.status} {error.reason}"}
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.debug("Telegraf's metrics: %r", error)
            self._told = {"problem": "its metrics cannot be read: InfluxDB does not answer"}
        else:
            self._told = summed([record for table in tables for record in table.records])


def summed(records: Iterable[FluxRecord]) -> dict[str, Any]:
    """The newest figures of one Telegraf, over all of its inputs and outputs. Empty if there are none."""
    newest: list[tuple[datetime, str, int]] = [
        (one["_time"], FIGURES[key], int(one["_value"]))
        for one in (record.values for record in records)
        if (key := (one["_measurement"], one["_field"])) in FIGURES
    ]
    if not newest:
        return {}
    seen = max(time for time, _, _ in newest)
    told = dict.fromkeys(FIGURES.values(), 0)
    for time, name, value in newest:
        if seen - time <= TOGETHER:
            told[name] += value
    return {**told, "seen_ns": int(seen.timestamp() * 1000) * 1_000_000}
