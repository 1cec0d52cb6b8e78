"""Down-sampling on a real InfluxDB, value by value against the same made in Python."""

import random
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from influxdb_client import InfluxDBClient

from bridge.cli import main
from tests.broker import wait_until
from tests.containers import Influx
from tests.flux import stored, write

pytestmark = pytest.mark.real
S = 10**9
SIZES = {"1m": 60 * S, "1h": 3600 * S, "1d": 86_400 * S}
DAY = SIZES["1d"]
FROM = (time.time_ns() // DAY - 2) * DAY
Row = tuple[int, Mapping[str, float]]
Bars = dict[tuple[str, str, str, int], dict[str, Any]]


class Store:
    """One InfluxDB with the buckets of one prefix."""

    def __init__(self, influx: Influx, folder: Path, prefix: str) -> None:
        self.influx, self.folder, self.prefix = influx, folder, prefix
        folder.mkdir()
        (folder / "admin.token").write_text(influx.token)
        assert self.verb("init") == 0

    def verb(self, act: str, *more: str) -> int:
        where = ["--url", self.influx.url, "--org", self.influx.org, "--tokens-dir", str(self.folder)]
        return main(["store", act, *where, "--set", f"influx.bucket_prefix={self.prefix}", *more])

    def write(self, kind: str, symbol: str, rows: Iterable[Row]) -> None:
        lines = (
            f"{kind},exchange=kucoin,symbol={symbol} {','.join(f'{k}={v!r}' for k, v in fields.items())} {at_ns}"
            for at_ns, fields in rows
        )
        bucket = self.prefix + ("prices" if kind == "latest" else kind)
        write(self.influx.url, self.influx.org, self.influx.token, bucket, "\n".join(lines))

    def bars(self) -> Bars:
        rows = stored(self.influx.url, self.influx.org, self.influx.token, f"{self.prefix}rollups")
        told = {}
        for row in rows:
            assert row.pop("_measurement") == "rollups"
            assert row.pop("exchange") == "kucoin"
            key = (row.pop("symbol"), row.pop("source"), row.pop("interval"), row.pop("at_ns"))
            told[key] = row
        return told

    def run_task(self, name: str, at_ns: int) -> None:
        """One of the tasks, as if it were that time."""
        with InfluxDBClient(self.influx.url, token=self.influx.token, org=self.influx.org) as client:
            api = client.tasks_api()
            (task,) = api.find_tasks(name=f"tickbridge {self.prefix}rollup {name}")
            run = api.run_manually(task.id, datetime.fromtimestamp(at_ns // S, UTC))
            runs: list[Any] = []

            def ended() -> bool:
                runs[:] = [one for one in api.get_runs(task.id) if one.id == run.id and one.finished_at]
                return bool(runs)

            wait_until(ended, 30, lambda: "the task does not end")
            assert runs[0].status == "success", runs[0].log


def trades(count: int, seed: int, from_ns: int = FROM, span_ns: int = 2 * DAY) -> list[Row]:
    rng = random.Random(seed)
    times = sorted(from_ns + rng.randrange(span_ns) for _ in range(count))
    return [(at_ns, {"price": rng.uniform(0.9, 1.1), "size": rng.uniform(0, 5)}) for at_ns in times]


def prices(count: int, seed: int) -> list[Row]:
    """Some ticks tell only a bid or an ask."""
    rng = random.Random(seed)
    times = sorted(FROM + rng.randrange(2 * DAY) for _ in range(count))
    fields = ({"price", "bid", "ask"}, {"bid"}, {"price", "ask"})
    return [(at_ns, {name: rng.uniform(0.9, 1.1) for name in sorted(rng.choice(fields))}) for at_ns in times]


def expected(symbol: str, source: str, rows: Iterable[Row]) -> Bars:
    """The same bars, made the slow and plain way."""
    windows: dict[tuple[str, int], list[Mapping[str, float]]] = defaultdict(list)
    for at_ns, fields in rows:
        for interval, size in SIZES.items():
            windows[interval, at_ns // size * size].append(fields)
    return {(symbol, source, *window): _bar(source, inside) for window, inside in windows.items()}


def _bar(source: str, rows: list[Mapping[str, float]]) -> dict[str, Any]:
    told = [row["price"] for row in rows if "price" in row]
    bar: dict[str, Any] = {}
    if told:
        bar = {"open": told[0], "high": max(told), "low": min(told), "close": told[-1], "count": len(told)}
    if source == "trades":
        bar["volume"] = pytest.approx(sum(row["size"] for row in rows))
        bar["quote_volume"] = pytest.approx(sum(row["size"] * row["price"] for row in rows))
    for side in ("bid", "ask"):
        if sides := [row[side] for row in rows if side in row]:
            bar[side] = sides[-1]
    return bar


def span(from_ns: int, to_ns: int) -> list[str]:
    return ["--from", str(from_ns), "--to", str(to_ns)]


def test_roll_ups_are_what_python_makes_of_the_same_rows(influx: Influx, tmp_path: Path) -> None:
    store = Store(influx, tmp_path / "tokens", "equal_")
    sold, told, slow = trades(900, 1), prices(700, 2), prices(60, 3)
    store.write("trades", "BTC-USDT", sold)
    store.write("prices", "BTC-USDT", told)
    store.write("latest", "SLOW-USDT", slow)
    assert store.verb("rollup", *span(FROM, FROM + 2 * DAY)) == 0
    wanted = expected("BTC-USDT", "trades", sold) | expected("BTC-USDT", "prices", told)
    wanted |= expected("SLOW-USDT", "prices", slow)
    bars = store.bars()
    assert bars == wanted
    assert store.verb("rollup", *span(FROM + DAY // 2, FROM + DAY)) == 0
    assert store.bars() == bars


def test_the_tasks_make_them_and_what_comes_a_day_late_is_in_them(influx: Influx, tmp_path: Path) -> None:
    store = Store(influx, tmp_path / "tokens", "late_")
    now_ns = FROM + 2 * DAY
    minute = trades(50, 4, now_ns - SIZES["1m"], SIZES["1m"])
    store.write("trades", "BTC-USDT", minute)
    store.run_task("1m", now_ns)
    key = ("BTC-USDT", "trades", "1m", now_ns - SIZES["1m"])
    assert store.bars() == {key: expected("BTC-USDT", "trades", minute)[key]}
    late = trades(5, 5, now_ns - DAY, SIZES["1h"])
    store.write("trades", "BTC-USDT", late)
    for task in ("late", "1h", "1d"):
        store.run_task(task, now_ns)
    assert store.bars() == expected("BTC-USDT", "trades", [*late, *minute])


def test_a_time_that_is_none_and_an_end_before_its_start_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--tokens-dir", str(tmp_path)]
    assert main(["store", "rollup", *where, "--from", "soon", "--to", "2026-01-02"]) == 2
    assert main(["store", "rollup", *where, "--from", "2026-01-02", "--to", "2026-01-02"]) == 2
    assert main(["store", "rollup", *where, "--from", "2026-01-02", "--to", "2026-01-03"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert "'soon' is neither ISO 8601" in told[0]
    assert "--to 2026-01-02 is not later than --from 2026-01-02" in told[1]
    assert "admin.token is not there: run `tickbridge store init`" in told[2]
