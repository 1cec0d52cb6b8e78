"""What the embedded profile needs on a small machine: memory, idle CPU, bytes written, and how soon it publishes.

python -m benchmarks.small [--symbols 1300] [--rate 60] [--seconds 60]: Mosquitto, bridge and dashboard as processes of
their own beside the simulator (which is not counted). `--symbols 0` is the default watchlist. `--rate`: quote updates a
second of each exchange. RSS and PSS (shared pages counted once) in MB, CPU in per cent of one core, bytes by the
kernel's counters, over `--seconds` after `--settle`; the start from its process to the first price at a subscriber.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from benchmarks.bridge import cpu_s, process
from benchmarks.memory import health, rss_mb
from benchmarks.recorder import written
from tests.broker import Broker, binary, free_ports, listens, wait_until

KNOWN = 15
"""Symbols that the simulator has on each exchange beside the invented ones."""


def pss_mb(pid: int) -> float:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rollup.split("Pss:")[1].split()[0]) / 1024


@contextmanager
def simulator(symbols: int, rate: float) -> Iterator[dict[str, dict[str, str]]]:
    invented = str(max(0, symbols - KNOWN))
    command = (sys.executable, "-m", "bridge.simulator", "--invented", invented, "--rate", str(rate))
    with process(*command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        yield json.loads(child.stdout.readline())


def environment(broker: Broker, folder: str, hosts: dict[str, dict[str, str]], symbols: int) -> dict[str, str]:
    given = {
        "DATA_DIR": folder,
        "BROKER__PORT": broker.port,
        "DASHBOARD__PORT": free_ports(1)[0],
        "LOG__LEVEL": "warning",
        "EXCHANGES__KUCOIN__REST_HOST": hosts["kucoin"]["rest"],
        "EXCHANGES__BINANCE__REST_HOST": hosts["binance"]["rest"],
        "EXCHANGES__BINANCE__WS_HOST": hosts["binance"]["ws"],
        "EXCHANGES__KUCOIN__WHOLE_MARKET": str(symbols > 0).lower(),
    }
    return os.environ | {f"TICKBRIDGE_{name}": str(value) for name, value in given.items()}


def first_price_s(broker: Broker, environ: dict[str, str], stack: ExitStack) -> tuple[subprocess.Popen[str], float]:
    """The bridge, and how long it took to its first price at a subscriber."""
    asked = [binary("mosquitto_sub"), "-p", str(broker.port), "-t", "prices/#", "-C", "1", "-W", "60"]
    subscriber = subprocess.Popen(asked, stdout=subprocess.DEVNULL)
    time.sleep(1)
    began = time.monotonic()
    bridge = stack.enter_context(process(sys.executable, "-m", "bridge.cli", "run", env=environ))
    subscriber.wait(60)
    return bridge, time.monotonic() - began


class Watched:
    """One process: its counters at the beginning, its memory at every look."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.cpu_s, self.bytes = cpu_s(pid), written(pid)
        self.rss: list[float] = []

    def told(self, seconds: float) -> str:
        cpu = 100 * (cpu_s(self.pid) - self.cpu_s) / seconds
        kilobytes = (written(self.pid) - self.bytes) / seconds * 3.6
        return (
            f"RSS {median(self.rss):6.1f} MB (at most {max(self.rss):6.1f}), PSS {pss_mb(self.pid):6.1f} MB, "
            f"CPU {cpu:5.2f} %, {kilobytes:8.0f} kB written an hour"
        )


def measure(pids: dict[str, int], settle_s: float, seconds: float) -> None:
    time.sleep(settle_s)
    watched = {name: Watched(pid) for name, pid in pids.items()}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(1)
        for one in watched.values():
            one.rss.append(rss_mb(one.pid))
    for name, one in watched.items():
        sys.stdout.write(f"{name:10} {one.told(seconds)}\n")
    peak = sum(max(one.rss) for one in watched.values())
    sys.stdout.write(f"all together at most {peak:.1f} MB RSS\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--symbols", type=int, default=1300)
    parser.add_argument("--rate", type=float, default=60.0)
    parser.add_argument("--settle", type=float, default=120.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=Path.home(), prefix="tickbridge-benchmark-") as data,
        Broker(Path(data) / "broker") as broker,
        simulator(options.symbols, options.rate) as hosts,
        ExitStack() as stack,
    ):
        environ = environment(broker, data, hosts, options.symbols)
        dashboard = stack.enter_context(process(sys.executable, "-m", "bridge.cli", "dashboard", env=environ))
        wait_until(lambda: listens(int(environ["TICKBRIDGE_DASHBOARD__PORT"])), 30, lambda: "the page does not answer")
        bridge, start_s = first_price_s(broker, environ, stack)
        sys.stdout.write(f"from the bridge's start to its first price: {start_s:.2f} s\n")
        pids = {"bridge": bridge.pid, "dashboard": dashboard.pid, "mosquitto": broker.pid}
        measure(pids, options.settle, options.seconds)
        told = health(broker.port)
        sys.stdout.write(f"of the bridge's, the outbox takes {told['outbox'] / 2**20:.1f} MB\n")


if __name__ == "__main__":
    main()
