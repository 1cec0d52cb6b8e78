"""Bytes that reach the disk per tick, the embedded history and InfluxDB side by side: `python -m benchmarks.writes`.

The same ticks of 1,300 symbols at 1,000 a second of market time go into both, by the kernel's counters: into the
history with a commit every 10 s, into an InfluxDB 2 of its own as line protocol, once a second, as Telegraf does.
Market time is not waited for: what InfluxDB would rewrite when its files have been cold for minutes comes on top.
"""

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
from msgspec import Raw

from benchmarks.recorder import KEEP, RUN, SECOND, Market, tell, written
from dashboard.history.sqlite import SqliteHistory
from tests.broker import free_ports

TICKS_A_SECOND = 1_000
COMMIT_S = 10
QUIET_S = 20.0
"""InfluxDB has finished what it does in the background when it has written nothing for so long."""
WAIT_S = 600.0
WHOLE = ("seq", "run", "n")
TOKEN = "benchmark-of-nothing-secret"
_decode = msgspec.json.Decoder(dict[str, Raw]).decode
Batch = list[tuple[str, bytes]]


def batches(ticks: int, seconds: int) -> Iterator[Batch]:
    """Market time in pieces of so many seconds; the same ones each time."""
    market, count = Market(), TICKS_A_SECOND * seconds
    for place in range(ticks // count):
        yield list(market.ticks(count, RUN * 1_000_000 + place * seconds * SECOND, SECOND // TICKS_A_SECOND))


async def embedded(folder: Path, ticks: int) -> tuple[int, int]:
    """Bytes written and bytes kept."""
    store, before = SqliteHistory(folder / "history.sqlite", KEEP), written()
    for batch in batches(ticks, COMMIT_S):
        for topic, payload in batch:
            store.append(topic, payload)
        await store.commit()
        await store.tidy()
    kept = store.path.stat().st_size
    store.close()
    return written() - before, kept


def influx(folder: Path, ticks: int, program: str) -> tuple[int, int]:
    """The same of an influxd process."""
    with influxd(folder, program) as (process, http):
        before = written(process.pid)
        for batch in batches(ticks, 1):
            lines = "\n".join(line(*one) for one in batch)
            http.post("/api/v2/write", params={"org": "o", "bucket": "b"}, content=lines).raise_for_status()
        _until_quiet(process.pid)
        kept = sum(path.stat().st_size for path in (folder / "engine").rglob("*") if path.is_file())
        return written(process.pid) - before, kept


def line(topic: str, payload: bytes) -> str:
    """A tick as Telegraf writes it (telegraf/telegraf.conf): prices and sizes float, the rest whole."""
    measurement, exchange, symbol = topic.split("/")
    fields = {name: bytes(raw).decode() for name, raw in _decode(payload).items()}
    time_ns = fields.pop("time_ns")
    told = ",".join(
        f"{name}={value}{'i' if name in WHOLE or name.endswith('_ns') else ''}" for name, value in fields.items()
    )
    return f"{measurement},exchange={exchange},symbol={symbol} {told} {time_ns}"


@contextmanager
def influxd(folder: Path, program: str) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    port = free_ports(1)[0]
    places = [f"--bolt-path={folder}/bolt", f"--sqlite-path={folder}/sqlite", f"--engine-path={folder}/engine"]
    command = [program, f"--http-bind-address=127.0.0.1:{port}", "--reporting-disabled", "--log-level=error", *places]
    url, headers = f"http://127.0.0.1:{port}", {"authorization": f"Token {TOKEN}"}
    process = subprocess.Popen(command)
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=60.0) as http:
            _set_up(http)
            yield process, http
    finally:
        process.terminate()
        process.wait()


def _set_up(http: httpx.Client) -> None:
    wish = {"username": "admin", "password": TOKEN, "org": "o", "bucket": "b", "token": TOKEN}
    for _ in range(600):
        try:
            http.post("/api/v2/setup", json=wish).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("influxd does not answer")


def _until_quiet(pid: int) -> None:
    deadline_s, last, since_s = time.monotonic() + WAIT_S, -1, time.monotonic()
    while time.monotonic() < min(deadline_s, since_s + QUIET_S):
        if (now := written(pid)) != last:
            last, since_s = now, time.monotonic()
        time.sleep(1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ticks", type=int, default=600_000, help="how many")
    parser.add_argument("--influxd", default=shutil.which("influxd"), help="the InfluxDB 2 program, if not in PATH")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.home(), prefix="tickbridge-benchmark-") as folder:
        ours = asyncio.run(embedded(Path(folder), options.ticks))
    _tell("embedded", ours, options.ticks)
    if options.influxd is None:
        sys.exit("influxd is not in PATH: name it by --influxd")
    with tempfile.TemporaryDirectory(dir=Path.home(), prefix="tickbridge-benchmark-") as folder:
        theirs = influx(Path(folder), options.ticks, options.influxd)
    _tell("InfluxDB", theirs, options.ticks)
    tell(f"ratio: InfluxDB writes {theirs[0] / ours[0]:.1f} x and keeps {theirs[1] / ours[1]:.1f} x as much")


def _tell(name: str, told: tuple[int, int], ticks: int) -> None:
    tell(f"{name}: {told[0] / ticks:.0f} bytes written a tick, {told[1] / ticks:.0f} bytes kept a tick")


if __name__ == "__main__":
    main()
