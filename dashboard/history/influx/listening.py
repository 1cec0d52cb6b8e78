"""What Telegraf stores, and since when: the audit asks for nothing else.

Telegraf's own figures say it: each input's `alias` is what it takes, `latest` or `off` where the settings say so. Where
they are missing, a root counts as stored from its first numbered row on.
"""

import time
from collections.abc import Mapping

from bridge.errors import StoreError
from bridge.topics import STREAM_ROOTS
from dashboard.history.base import MINUTE_NS
from dashboard.history.influx.client import Client
from dashboard.history.influx.listing import retentions
from dashboard.history.influx.series import MOST_NS, Series
from dashboard.history.influx.tables import time_ns
from dashboard.history.influx.trouble import missing_bucket

TOGETHER_NS = MINUTE_NS
"""Telegraf tells of all inputs every 10 s: one that is older by more than this is switched off."""
NEW_NS = 60 * MINUTE_NS
"""So far back its newest figures are looked for first."""
_FIGURES = (
    "from(bucket: bucket) |> range(start: time(v: start), stop: time(v: stop)) "
    '|> filter(fn: (r) => r._measurement == "internal_gather" and r.input == "mqtt_consumer" and r._field == "errors") '
    '|> group(columns: ["alias"]) |> {edge}() |> keep(columns: ["_time", "alias"])'
)


class Listening:
    """Every method raises StoreError."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._first_ns: dict[str, int] = {}
        self._first_row_ns: dict[str, int] = {}

    async def holds(self) -> Mapping[str, int]:
        """By each bucket's retention. Raises StoreError if a bucket is missing, or Telegraf has never written."""
        kept = await retentions(self._client)
        for kind in STREAM_ROOTS:
            if (bucket := self._client.bucket(kind)) not in kept:
                raise StoreError(missing_bucket(self._client.where, bucket))
        stored = await self._stored(states=self._client.bucket("states") in kept)
        if not stored:
            cure = "start Telegraf, or look at its log"
            raise StoreError(f"InfluxDB at {self._client.where.url} has nothing from Telegraf yet: {cure}")
        now_ns = time.time_ns()
        days_ns = {kind: kept[self._client.bucket(kind)] for kind in stored}
        return {kind: now_ns - kept_ns if kept_ns else 0 for kind, kept_ns in days_ns.items()}

    async def heard_since(self) -> Mapping[str, int]:
        """The first sign of life, of Telegraf or among a root's rows."""
        firsts = (self._first_ns, self._first_row_ns)
        return {
            kind: min(first[kind] for first in firsts if kind in first)
            for kind in STREAM_ROOTS
            if any(kind in first for first in firsts)
        }

    async def _stored(self, *, states: bool) -> list[str]:
        for kind in STREAM_ROOTS:
            if kind not in self._first_row_ns:
                await self._find_first_row(kind)
        last_ns = await self._last() if states else {}
        if not last_ns:
            return [kind for kind in STREAM_ROOTS if kind in self._first_row_ns]
        told_ns = max(last_ns.values()) - TOGETHER_NS
        now = [kind for kind in STREAM_ROOTS if last_ns.get(kind, 0) >= told_ns]
        if any(kind not in self._first_ns for kind in now):
            self._first_ns = await self._aliases("first", 0)
        return now

    async def _last(self) -> dict[str, int]:
        """When each input told of itself last."""
        return await self._aliases("last", max(0, time.time_ns() - NEW_NS)) or await self._aliases("last", 0)

    async def _aliases(self, edge: str, start_ns: int) -> dict[str, int]:
        bucket = self._client.bucket("states")
        tables = await self._client.ask(_FIGURES.format(edge=edge), bucket=bucket, start=start_ns, stop=MOST_NS)
        return {alias: time_ns(at) for table in tables for at, alias in table.pick("_time", "alias")}

    async def _find_first_row(self, kind: str) -> None:
        """Of what was published live: a fill's rows stand long before the store."""
        series = Series(kind, {}, ("n",))
        flux = f'{series.data()} data() |> group() |> first() |> keep(columns: ["_time", "_field"])'
        tables = await self._client.ask(flux, bucket=self._client.bucket(kind), start=0, stop=MOST_NS)
        times = [time_ns(at) for table in tables for at, _ in table.pick("_time", "_field")]
        if times:
            self._first_row_ns[kind] = min(times)
