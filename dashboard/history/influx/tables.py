"""InfluxDB's annotated CSV to tables, and tables to rows. Pure.

The text of a number is taken as it stands there: the shortest that gives the same float64, never with an exponent.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter

from msgspec import Struct

from bridge.errors import StoreError
from dashboard.history.influx.payloads import json_text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Table(Struct):
    """Rows of one schema. `result`: the name it was yielded under; `types`, `names`: one for each column."""

    types: list[str]
    result: str = ""
    names: list[str] = []
    rows: list[list[str]] = []

    def pick(self, *names: str) -> Iterator[tuple[str, ...]]:
        """The columns of these names, at least two, row by row."""
        return map(itemgetter(*map(self._column, names)), self.rows)

    def type_of(self, name: str) -> str:
        return self.types[self._column(name)]

    def _column(self, name: str) -> int:
        if name not in self.names:
            raise StoreError(f"InfluxDB: its answer has no column {name!r}")
        return self.names.index(name)


def read_tables(text: str) -> list[Table]:
    """Every table of an answer. Raises StoreError for an error that InfluxDB met while it answered."""
    tables: list[Table] = []
    rows: list[list[str]] | None = None
    for line in csv.reader(io.StringIO(text, newline="")):
        if not line:
            continue
        if rows is not None and not line[0]:
            rows.append(line)
        elif line[0] == "#datatype":
            tables.append(Table(line))
            rows = None
        elif line[0] == "#default":
            tables[-1].result = line[1]
        elif not line[0].startswith("#"):
            rows = _head(tables, line)
    return tables


def _head(tables: list[Table], line: list[str]) -> list[list[str]] | None:
    """A table's names have come: where its rows go."""
    if not tables:
        raise StoreError(f"InfluxDB: {' '.join(line).strip()[:300]}")
    if tables[-1].names:
        raise StoreError(f"InfluxDB: {line[1][:300]}")
    tables[-1].names = line
    tables[-1].rows = []
    return None if line[1] == "error" else tables[-1].rows


@lru_cache(4096)
def _second(text: str) -> int:
    return int((datetime.fromisoformat(text).replace(tzinfo=UTC) - _EPOCH).total_seconds())


@lru_cache(16_384)
def time_ns(text: str) -> int:
    """RFC 3339 in UTC (`2026-11-21T12:00:00.5Z`) as nanoseconds."""
    fraction = text[20:-1]
    return _second(text[:19]) * 1_000_000_000 + (int(fraction.ljust(9, "0")) if fraction else 0)


def by_time(tables: Iterable[Table]) -> dict[int, dict[str, str]]:
    """Tables with _time, _field and _value as rows by time: each row's fields as JSON text."""
    rows: dict[int, dict[str, str]] = {}
    for table in tables:
        quoted = table.type_of("_value") == "string"
        for time, field, value in table.pick("_time", "_field", "_value"):
            fields = rows.setdefault(time_ns(time), {})
            fields[field] = json_text(value) if quoted else value
    return rows
