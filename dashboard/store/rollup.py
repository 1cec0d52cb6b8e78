"""`tickbridge store rollup`: the bars of a span of time made anew by the very scripts of the tasks."""

import time
from collections.abc import Iterator
from pathlib import Path

from influxdb_client import InfluxDBClient
from tqdm import tqdm

from bridge.errors import SettingsError, StoreError
from bridge.settings import Settings
from dashboard.store.fluxtext import script
from dashboard.store.reach import reached
from dashboard.store.secrets_folder import ADMIN, Tokens, read_token
from dashboard.store.tasks import buckets
from dashboard.times import read_time

S = 1_000_000_000
MINUTE_NS, HOUR_NS, DAY_NS = 60 * S, 3600 * S, 86_400 * S
PIECE_NS = 6 * HOUR_NS
"""A query costs half a second before its first row, and holds the bars of its span in InfluxDB's memory."""
LARGER = (("1m", "1h", HOUR_NS), ("1h", "1d", DAY_NS))


def read_span(from_text: str, to_text: str) -> tuple[int, int]:
    """Two times as people write them, in ns. Raises SettingsError."""
    try:
        span = read_time(from_text), read_time(to_text)
    except ValueError as error:
        raise SettingsError(f"--from, --to: {error}") from error
    if span[0] >= span[1]:
        raise SettingsError(f"--to {to_text} is not later than --from {from_text}")
    return span


def rollup(settings: Settings, folder: Path, span: tuple[int, int], admin_token_file: Path | None = None) -> str:
    """Whole UTC days around the span (ns), but nothing that is not over yet. Returns what was done.

    Raises StoreError with the cure.
    """
    token = read_token(admin_token_file) if admin_token_file is not None else Tokens(folder).read(ADMIN)
    if token is None:
        raise StoreError(
            f"{Tokens(folder).file(ADMIN)} is not there: run `tickbridge store init`, or --admin-token-file"
        )
    now_ns = time.time_ns()
    from_ns, to_ns = span[0] // DAY_NS * DAY_NS, min(-(-span[1] // DAY_NS) * DAY_NS, now_ns)
    to_ns = to_ns // MINUTE_NS * MINUTE_NS
    hours, written = max(0, to_ns - from_ns) // HOUR_NS, 0
    with reached(settings.influx, token) as client, tqdm(total=hours, unit="h", disable=None) as bar:
        runs = Runs(client, settings)
        for start_ns, stop_ns in _pieces(from_ns, to_ns, PIECE_NS):
            written += runs.run("minute", start_ns, stop_ns)
            bar.update((stop_ns - start_ns) // HOUR_NS)
        for smaller, larger, size_ns in LARGER:
            bar.set_description(larger)
            for start_ns, stop_ns in _pieces(from_ns, to_ns // size_ns * size_ns, DAY_NS):
                written += runs.run("larger", start_ns, stop_ns, smaller=smaller, larger=larger, every=size_ns)
    return f"{hours} hours made anew: {written} values of bars written"


class Runs:
    """Scripts run now, with everything that they need as parameters."""

    def __init__(self, client: InfluxDBClient, settings: Settings) -> None:
        self._api = client.query_api()
        self._buckets = buckets(settings)

    def run(self, name: str, start_ns: int, stop_ns: int, **more: str | int) -> int:
        """Run one script over a span; how many values it wrote."""
        head = "start = time(v: from_ns)\nstop = time(v: to_ns)\n"
        if "every" in more:
            head += "every = duration(v: every_ns)\n"
            more["every_ns"] = more.pop("every")
        values = {**self._buckets, "from_ns": start_ns, "to_ns": stop_ns, **more}
        tables = self._api.query(head + script(name), params=values)
        return sum(record.get_value() for table in tables for record in table.records)


def _pieces(from_ns: int, to_ns: int, size_ns: int) -> Iterator[tuple[int, int]]:
    """The span in pieces that begin and end at whole sizes, the last one maybe earlier."""
    for start_ns in range(from_ns, to_ns, size_ns):
        yield start_ns, min(start_ns + size_ns, to_ns)
