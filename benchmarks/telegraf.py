"""Broker → Telegraf → InfluxDB with our own files: `python -m benchmarks.telegraf [--rate 15000] [--seconds 30]`.

Ticks go out at a steady rate by mosquitto_pub; told are how far the newest row was behind while they came, when the
last row was there, and the CPU a message of each part. At 2,000 a second the first is how soon a row can be seen.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bridge.settings import Settings
from dashboard.store.init import init
from tests.broker import Broker, binary, wait_until
from tests.containers import Influx, Telegraf
from tests.flux import query

RUN = 1_763_726_000_123
PUBLISHERS = 8
MOST_LINES = 65_000
"""mosquitto_pub -l stops early past 65,535 lines: its last packet id wraps."""
BEAT_S = 0.05
LOOK_S = 0.5
CAUGHT_UP_S = 120.0


def cpu_s(pid: int) -> float:
    """CPU a process has used, with its threads."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / 100


def payload(number: int) -> bytes:
    price = 85_000 + number % 1000 / 100
    return (
        f'{{"price":{price},"size":0.002,"price_time_ns":1743147198992000000,"bid":{price},"bid_size":0.8915,'
        f'"ask":{price},"ask_size":10.5900853,"seq":{number},"time_ns":{time.time_ns()},"run":{RUN},"n":{number}}}\n'
    ).encode()


class Way:
    """The three parts, running, and what InfluxDB has of what was published."""

    def __init__(self, broker: Broker, influx: Influx, telegraf: Telegraf) -> None:
        self.broker, self.influx, self.telegraf = broker, influx, telegraf
        self._since_ns = time.time_ns()

    def ask(self, what: str) -> int:
        rows = (
            f'from(bucket: "prices") |> range(start: time(v: {self._since_ns}), stop: 2100-01-01T00:00:00Z) '
            '|> filter(fn: (r) => r._measurement == "prices" and r._field == "n") '
        )
        told = query(self.influx.url, self.influx.org, self.influx.token, rows + what)
        return sum(int(row["_value"]) for row in told)

    def count(self) -> int:
        return self.ask("|> count()")

    def behind_s(self) -> float:
        """How old the newest row is."""
        newest = self.ask('|> last() |> group() |> max(column: "_time") |> map(fn: (r) => ({_value: int(v: r._time)}))')
        return (time.time_ns() - (newest or self._since_ns)) / 1e9

    def cpu(self) -> dict[str, float]:
        pids = {"mosquitto": self.broker.pid, "telegraf": self.telegraf.pid, "influxd": self.influx.pid}
        return {name: cpu_s(pid) for name, pid in pids.items()}


def publish(way: Way, rate: int, seconds: float) -> tuple[int, list[float]]:
    """How many went out, and how far the newest row was behind at every look."""
    line = [binary("mosquitto_pub"), "-p", str(way.broker.port), "-q", "1", "-l", "-t"]
    pipes = [subprocess.Popen([*line, f"prices/kucoin/S{k}-USDT"], stdin=subprocess.PIPE) for k in range(PUBLISHERS)]
    total = min(int(rate * seconds), PUBLISHERS * MOST_LINES)
    sent, looked, behind, began = 0, 0.0, [], time.monotonic()
    while sent < total:
        passed = time.monotonic() - began
        due = min(int(passed * rate), total)
        for count, pipe in enumerate(pipes):
            assert pipe.stdin is not None
            pipe.stdin.write(b"".join(payload(n) for n in range(sent + 1 + count, due + 1, PUBLISHERS)))
            pipe.stdin.flush()
        sent = due
        if passed - looked > LOOK_S:
            looked = passed
            behind.append(way.behind_s())
        time.sleep(BEAT_S)
    for pipe in pipes:
        pipe.communicate()
    return sent, behind


def measure(rate: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder, Influx() as influx, Broker(Path(folder) / "mosquitto") as broker:
        tokens = Path(folder) / "tokens"
        tokens.mkdir()
        (tokens / "admin.token").write_text(influx.token)
        list(init(Settings.model_validate({"influx": {"url": influx.url, "org": influx.org}}), tokens))
        environment = {
            "MQTT_URL": f"tcp://127.0.0.1:{broker.port}",
            "INFLUX_URL": influx.url,
            "INFLUX_ORG": influx.org,
            "INFLUX_TOKEN": influx.token,
        }
        with Telegraf(environment) as telegraf:
            wait_until(lambda: telegraf.log.count("] Connected [") >= 8, 20, lambda: telegraf.log)
            way = Way(broker, influx, telegraf)
            before, began = way.cpu(), time.monotonic()
            sent, behind = publish(way, rate, seconds)
            out_s = time.monotonic() - began
            wait_until(lambda: way.count() >= sent, CAUGHT_UP_S, lambda: f"{way.count()} of {sent} came")
            late_s = time.monotonic() - began - out_s
            after = way.cpu()
    p99 = sorted(behind)[int(len(behind) * 0.99)]
    sys.stdout.write(
        f"{sent} ticks in {out_s:.1f} s, {sent / out_s:.0f} a second; all rows {late_s:.1f} s after the last\n"
    )
    sys.stdout.write(f"newest row behind: median {sorted(behind)[len(behind) // 2]:.2f} s, p99 {p99:.2f} s\n")
    for name, used in after.items():
        sys.stdout.write(f"{name}: {(used - before[name]) / sent * 1e6:.1f} µs of CPU a message\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=15_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    measure(options.rate, options.seconds)
