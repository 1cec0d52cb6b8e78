"""The recorder and its store, by the kernel's counters: `python -m benchmarks.recorder bytes keepup query`.

bytes   what reaches the disk per tick at 1,300 symbols and 1,000 ticks a second, a commit every 10 s of market time
        (the store alone, not waiting between commits: the bytes are the same)
keepup  a whole dashboard process beside a real Mosquitto, 5,000 ticks a second
query   a chart's day of one symbol, with 10 million rows stored; from memory-cached and from uncached file
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import mqtt5

from bridge.events import Candle, Tick
from bridge.settings import Broker as BrokerSettings
from bridge.settings import Dashboard, Settings
from bridge.settings import History as Keep
from bridge.topics import CONTENT_TYPE, candle_body, numbered, tick_body
from dashboard.history import Span
from dashboard.history.sqlite import SqliteHistory
from tests.broker import Broker, free_ports

SYMBOLS = 1300
RUN = 1_763_726_000_123
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
KEEP = Keep(prices_days=0, trades_days=0, errors_days=0)
PROGRAM = (
    "import sys; from bridge.settings import Settings; from dashboard.serve import run; "
    "sys.exit(run(Settings.model_validate_json(sys.argv[1])))"
)


class Market:
    """Random walks with KuCoin's digits; a few symbols tick often, most seldom, as in a real market."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._prices = [10 ** self._random.uniform(-4, 4) for _ in range(SYMBOLS)]
        self._weights = [1 / (rank + 3) for rank in range(SYMBOLS)]
        self._numbers = [0] * SYMBOLS

    def ticks(self, count: int, from_ns: int, step_ns: int) -> Iterator[tuple[str, bytes]]:
        picks = self._random.choices(range(SYMBOLS), self._weights, k=count)
        for place, number in enumerate(picks):
            yield self._tick(number, from_ns + place * step_ns + self._random.randrange(step_ns // 2))

    def _tick(self, number: int, time_ns: int) -> tuple[str, bytes]:
        draw = self._random
        self._prices[number] *= 1 + draw.gauss(0, 0.0002)
        self._numbers[number] += 1
        price, seq = self._prices[number], 23_242_050_174 + self._numbers[number] * 7
        sizes = [f"{draw.expovariate(0.3):.{draw.randrange(2, 8)}f}" for _ in range(3)]
        told_ns = time_ns // 1_000_000 * 1_000_000 - draw.randrange(60_000) * 1_000_000
        tick = Tick(
            "", time_ns, digits(price), sizes[0], told_ns, digits(price * 0.9999), sizes[1], digits(price * 1.0001),
            sizes[2], seq,
        )  # fmt: skip
        return f"prices/kucoin/S{number}-USDT", numbered(tick_body(tick, time_ns), RUN, self._numbers[number])

    def candles(self, open_ns: int, n: int) -> Iterator[tuple[str, bytes]]:
        for number, price in enumerate(self._prices):
            moves = [digits(price * (1 + self._random.gauss(0, 0.001))) for _ in range(4)]
            volume = f"{self._random.expovariate(0.01):.8f}"
            candle = Candle("", open_ns + MINUTE + 2, "1m", open_ns, *moves, volume, volume)
            yield f"candles/kucoin/S{number}-USDT/1m", numbered(candle_body(candle), RUN, n)


def digits(value: float) -> str:
    return f"{value:.{max(0, 6 - len(str(int(value))))}f}" if value >= 1 else f"{value:.8f}"


def written(pid: int | str = "self") -> int:
    """Bytes a process has sent to the disk, by the kernel's counter."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["write_bytes"])


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def bytes_a_tick(folder: Path, ticks: int) -> None:
    store, market = SqliteHistory(folder / "history.sqlite", KEEP), Market()
    began, now_ns, before = time.perf_counter(), RUN * 1_000_000, written()
    market_s = 0.0
    for _ in range(ticks // 10_000):
        made = time.perf_counter()
        batch = list(market.ticks(10_000, now_ns, 1_000_000))
        market_s += time.perf_counter() - made
        for topic, payload in batch:
            store.append(topic, payload)
        await store.commit()
        await store.tidy()
        now_ns += 10 * SECOND
    size = store.path.stat().st_size
    store.close()
    each_us = (time.perf_counter() - began - market_s) / ticks * 1e6
    tell(
        f"bytes: {ticks} ticks, {(written() - before) / ticks:.0f} bytes written a tick (goal 200), "
        f"{size / ticks:.0f} bytes kept a tick, {each_us:.1f} µs a tick in the store"
    )


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def keep_up(folder: Path, rate: int, seconds: int) -> None:
    with Broker(folder / "mosquitto") as broker:
        port = free_ports(1)[0]
        settings = Settings(
            data_dir=folder, broker=BrokerSettings(port=broker.port), dashboard=Dashboard(port=port), history=KEEP
        )
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, settings.model_dump_json())
        try:
            await _measure(process.pid, broker.port, port, rate, seconds)
        finally:
            process.terminate()
            await process.wait()


async def _measure(pid: int, mqtt_port: int, http_port: int, rate: int, seconds: int) -> None:
    while (await asyncio.to_thread(recorder_status, http_port)).get("broker") != "ok":
        await asyncio.sleep(0.1)
    command = [sys.executable, "-m", "benchmarks.recorder", "load", str(mqtt_port), str(rate), str(seconds)]
    load = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert load.stdout is not None
    await load.stdout.readline()
    cpu, disk, began, longest = cpu_s(pid), written(pid), time.monotonic(), 0
    while load.returncode is None:
        await asyncio.sleep(1)
        longest = max(longest, (await asyncio.to_thread(recorder_status, http_port))["unacknowledged"])
    sent_s, sent = time.monotonic() - began, rate * seconds
    while (status := await asyncio.to_thread(recorder_status, http_port))["received"] < sent:
        await asyncio.sleep(0.05)
    behind_s = time.monotonic() - began - sent_s
    while (await asyncio.to_thread(recorder_status, http_port))["unacknowledged"]:
        await asyncio.sleep(0.2)
    tell(
        f"keepup: {status['received']} of {sent} ticks in {sent_s:.1f} s, {behind_s:.2f} s behind at the end, "
        f"{(cpu_s(pid) - cpu) / sent * 1e6:.0f} µs of CPU and {(written(pid) - disk) / sent:.0f} bytes written a tick, "
        f"at most {longest} unacknowledged, {rss_mb(pid):.0f} MB"
    )


def rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def recorder_status(port: int) -> dict[str, int]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/health", timeout=5) as answer:
            return dict(json.load(answer)["recorder"])
    except OSError:
        return {}


async def load(port: int, rate: int, seconds: int) -> None:
    """Publish evenly in slices of 20 ms, with as little work as possible, made beforehand."""
    count = rate // 50
    made = list(Market().ticks(rate * seconds, time.time_ns(), SECOND // rate))
    packets = [publish_packet(topic, payload, place % 60_000 + 1) for place, (topic, payload) in enumerate(made)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(mqtt5.ConnectPacket(client_id="load", clean_start=True).write())
    await reader.read(1000)
    acknowledgements = asyncio.create_task(swallow(reader))
    began = time.monotonic()
    tell("ready")
    for slice_ in range(seconds * 50):
        writer.write(b"".join(packets[slice_ * count : (slice_ + 1) * count]))
        await writer.drain()
        await asyncio.sleep(max(0.0, began + (slice_ + 1) / 50 - time.monotonic()))
    # the broker has read everything once it answers behind it
    writer.write(mqtt5.DisconnectPacket().write())
    await acknowledgements
    writer.close()


def publish_packet(topic: str, payload: bytes, packet_id: int) -> bytes:
    packet = mqtt5.PublishPacket(
        topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=packet_id, content_type=CONTENT_TYPE
    )
    return bytes(packet.write())


async def swallow(reader: asyncio.StreamReader) -> None:
    while await reader.read(65_536):
        continue


async def query(folder: Path, rows: int) -> None:
    store, market, now_ns = SqliteHistory(folder / "history.sqlite", KEEP), Market(), 1_763_683_200 * SECOND
    ticks_a_minute = (rows - SYMBOLS * 1440) // 1440
    began = time.monotonic()
    for minute in range(1440):
        for topic, payload in market.ticks(ticks_a_minute, now_ns, MINUTE // ticks_a_minute):
            store.append(topic, payload)
        for topic, payload in market.candles(now_ns, minute + 1):
            store.append(topic, payload)
        await store.commit()
        await store.tidy()
        now_ns += MINUTE
    status = store.status()
    stored = sum(one["rows"] for one in status["segments"].values()) + sum(status["journal"].values())
    tell(f"query: {stored} rows, {status['file_bytes'] / 1e6:.0f} MB, made in {time.monotonic() - began:.0f} s")
    for name, drop in (("uncached", True), ("cached", False)):
        for interval in ("1m", "1h", "tick"):
            tell(f"query: {name} {interval}: {await _times(store, now_ns, interval, drop=drop)}")
    store.close()


async def _times(store: SqliteHistory, to_ns: int, interval: str, *, drop: bool) -> str:
    taken = []
    for number in range(0, SYMBOLS, 65):
        if drop:
            descriptor = os.open(store.path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
        span, symbol = Span(10_000, to_ns - 86_400 * SECOND, to_ns), f"S{number}-USDT"
        began = time.perf_counter()
        if interval == "tick":
            await store.rows("prices", "kucoin", symbol, span)
        else:
            await store.candles("kucoin", symbol, interval, span)
        taken.append((time.perf_counter() - began) * 1000)
    taken.sort()
    return (
        f"a day of one symbol in {taken[len(taken) // 2]:.0f} ms (median), {taken[-1]:.0f} ms (slowest of {len(taken)})"
    )


def main() -> None:
    if sys.argv[1:2] == ["load"]:
        asyncio.run(load(*map(int, sys.argv[2:5])))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=["bytes", "keepup", "query"])
    parser.add_argument("--ticks", type=int, default=600_000, help="bytes: how many ticks")
    parser.add_argument("--rate", type=int, default=5000, help="keepup: ticks a second")
    parser.add_argument("--seconds", type=int, default=60, help="keepup: for how long")
    parser.add_argument("--rows", type=int, default=10_000_000, help="query: how many rows are stored")
    options = parser.parse_args()
    jobs = {
        "bytes": lambda folder: bytes_a_tick(folder, options.ticks),
        "keepup": lambda folder: keep_up(folder, options.rate, options.seconds),
        "query": lambda folder: query(folder, options.rows),
    }
    for what in options.what:
        # not in /tmp, which may be memory
        with tempfile.TemporaryDirectory(dir=Path.home(), prefix="tickbridge-benchmark-") as folder:
            asyncio.run(jobs[what](Path(folder)))


if __name__ == "__main__":
    main()
