"""Rows of a real InfluxDB, read the plain way: by HTTP and CSV, with nothing of the program between."""

import csv
import io
from typing import Any

import httpx

TYPES = {"double": float, "long": int, "boolean": lambda text: text == "true", "dateTime:RFC3339": str, "string": str}


def query(url: str, org: str, token: str, flux: str) -> list[dict[str, Any]]:
    """Every row that this Flux yields, each value in the type that InfluxDB says it has."""
    answer = httpx.post(
        f"{url}/api/v2/query",
        params={"org": org},
        json={"query": flux, "dialect": {"header": True, "annotations": ["datatype"]}},
        headers={"Authorization": f"Token {token}"},
        timeout=60.0,
    )
    assert answer.is_success, answer.text
    rows: list[dict[str, Any]] = []
    types: list[str] = []
    names: list[str] | None = None
    for line in csv.reader(io.StringIO(answer.text.replace("\r\n", "\n"), newline="")):
        if not line:
            continue
        if line[0] == "#datatype":
            types, names = line, None
        elif names is None:
            names = line
        else:
            cells = zip(names, types, line, strict=True)
            rows.append({name: TYPES[kind](text) for name, kind, text in cells if kind in TYPES and text})
    return rows


def stored(url: str, org: str, token: str, bucket: str) -> list[dict[str, Any]]:
    """All rows of a bucket, one per key: its tags, `time_ns` as an exact number in `at_ns`, and its fields."""
    flux = f"""
        from(bucket: "{bucket}") |> range(start: 0, stop: 2100-01-01T00:00:00Z)
        |> map(fn: (r) => ({{r with at_ns: int(v: r._time)}}))
        |> drop(columns: ["_start", "_stop", "_time"])
    """
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for point in query(url, org, token, flux):
        field, value = point.pop("_field"), point.pop("_value", "")
        del point["table"]
        point.pop("result", None)
        key = tuple(sorted(point.items()))
        rows.setdefault(key, point)[field] = value
    return list(rows.values())


def write(url: str, org: str, token: str, bucket: str, lines: str) -> None:
    """Line protocol, times in ns."""
    answer = httpx.post(
        f"{url}/api/v2/write",
        params={"org": org, "bucket": bucket, "precision": "ns"},
        content=lines.encode(),
        headers={"Authorization": f"Token {token}"},
        timeout=60.0,
    )
    assert answer.is_success, answer.text
