"""Both stores with the same rows: a chart's day, the newest ticks and the audit's counts.

`python -m benchmarks.history --rows 10000000` starts an InfluxDB of its own, in a container, and fills both
stores. Each figure is the median of several questions; what InfluxDB costs beside it is its process's CPU time.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from pathlib import Path

from benchmarks.recorder import KEEP, MINUTE, RUN, SECOND, Market
from bridge.settings import Influx as Where
from bridge.settings import Settings
from dashboard.history import History, Sequence, Span
from dashboard.history.influx import InfluxHistory, listing
from dashboard.history.sqlite import SqliteHistory
from tests.containers import Influx
from tests.lines import Lines, lines_of

BATCH = 5_000
STEP_NS = SECOND // 1000
BEGIN_NS = 1_763_683_200 * SECOND
DAY_MINUTES = 1440
CANDLES = 100
ROUNDS = 7
BUSY = "S0-USDT"
Question = Callable[[History], Awaitable[object]]


def messages(rows: int) -> Iterator[tuple[str, bytes]]:
    """A market's ticks, and a day of candles of its busiest symbols."""
    market = Market()
    yield from market.ticks(rows, BEGIN_NS, STEP_NS)
    for n in range(DAY_MINUTES):
        yield from islice(market.candles(BEGIN_NS + n * MINUTE, n + 1), CANDLES)


async def fill(rows: int, sqlite: SqliteHistory, lines: Lines) -> None:
    told, began = messages(rows), time.monotonic()
    total = rows + DAY_MINUTES * CANDLES
    for done in range(0, total, BATCH):
        batch = list(islice(told, BATCH))
        for topic, payload in batch:
            sqlite.append(topic, payload)
        await sqlite.commit()
        await sqlite.tidy()
        lines.write(line for topic, payload in batch for line in lines_of(topic, payload))
        print(f"\r{done + len(batch):,} rows, {time.monotonic() - began:.0f} s", end="", flush=True)  # noqa: T201
    print()  # noqa: T201


def questions(rows: int) -> dict[str, Question]:
    day = Span(DAY_MINUTES + 1, BEGIN_NS, BEGIN_NS + DAY_MINUTES * MINUTE)
    last = Span(1, BEGIN_NS + rows * STEP_NS - 2 * MINUTE, BEGIN_NS + rows * STEP_NS)
    busy = Sequence(f"prices/kucoin/{BUSY}", RUN)
    return {
        "a chart's day, candles of 1 m": lambda store: store.candles("kucoin", BUSY, "1m", day),
        "a chart's day, candles of 1 h": lambda store: store.candles("kucoin", BUSY, "1h", day),
        "1,000 ticks": lambda store: store.rows("prices", "kucoin", BUSY, Span(1000, BEGIN_NS)),
        "the newest tick of every symbol": lambda store: store.latest(),
        "the audit's counts, two minutes": lambda store: store.numbered("prices", RUN, last),
        "the audit's counts, everything": lambda store: store.numbered("prices", RUN, Span(1, 0)),
        "the numbers of one topic": lambda store: store.numbers(busy, 1, 10**9, Span(1, BEGIN_NS, last.to_ns)),
    }


async def asked(question: Question, store: History, pid: int) -> tuple[float, float]:
    """Milliseconds of the wall, and of InfluxDB's CPU."""
    wall: list[float] = []
    cpu = cpu_ms(pid)
    for _ in range(ROUNDS):
        began = time.monotonic()
        await question(store)
        wall.append((time.monotonic() - began) * 1000)
    return statistics.median(wall), (cpu_ms(pid) - cpu) / ROUNDS


def cpu_ms(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 10.0


async def measure(rows: int, folder: Path) -> None:
    listing.LATEST_S = 0.0  # every question shall reach InfluxDB
    with Influx() as server:
        where = Where(url=server.url, org=server.org, token=server.token, timeout_s=600)
        lines = Lines(server.url, server.org, server.token, "")
        lines.make_buckets()
        async with (
            SqliteHistory(folder / "history.sqlite", KEEP) as sqlite,
            InfluxHistory(Settings(influx=where)) as influx,
        ):
            await fill(rows, sqlite, lines)
            await influx.look()
            print(f"{'':34}{'SQLite':>12}{'InfluxDB':>12}{'ratio':>8}{'its CPU':>12}")  # noqa: T201
            for name, question in questions(rows).items():
                embedded, _ = await asked(question, sqlite, server.pid)
                other, cpu = await asked(question, influx, server.pid)
                print(f"{name:34}{embedded:9.1f} ms{other:9.1f} ms{other / embedded:8.1f}{cpu:9.0f} ms")  # noqa: T201
        lines.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=told.folder) as folder:
        asyncio.run(measure(told.rows, Path(folder)))


if __name__ == "__main__":
    main()
