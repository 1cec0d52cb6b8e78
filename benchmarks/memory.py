"""The bridge's memory at 3,000 symbols: after a minute's worth of ticks, and how it grows over an hour's worth.

python -m benchmarks.memory [--symbols 3000] [--ticks 1200000]: ticks as fast as they come; the outbox is kept small
(8 MB) so that what it holds can be told apart: its own figure is subtracted.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.bridge import CAPTURE, process, tickbridge
from tests.broker import Broker
from tests.captures import folder

OUTBOX_BYTES = 8_000_000
AN_HOUR = 3_600_000
"""Ticks of an hour at 1,000 a second."""


def rss_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def health(port: int) -> dict[str, int]:
    asked = ["mosquitto_sub", "-p", str(port), "-t", "health/kucoin", "-C", "1", "-W", "15"]
    told = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
    return {"received": told["received"], "outbox": told["outbox"]["bytes"], "symbols": told["symbols"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--symbols", type=int, default=3000)
    parser.add_argument("--ticks", type=int, default=1_200_000)
    options = parser.parse_args()
    module = (sys.executable, "-m", "benchmarks.feeder")
    source_of = (*module, str(folder() / CAPTURE), str(options.ticks), "500", "0", str(options.symbols))
    with (
        tempfile.TemporaryDirectory() as data,
        Broker(Path(data) / "broker") as broker,
        process(*source_of, stdout=subprocess.PIPE) as source,
    ):
        assert source.stdout is not None
        command, environment = tickbridge(broker.port, f"http://127.0.0.1:{source.stdout.readline().strip()}", data)
        environment["TICKBRIDGE_OUTBOX__BYTES"] = str(OUTBOX_BYTES)
        with process(*command, env=environment) as bridge:
            time.sleep(5)
            samples: list[tuple[int, float]] = []
            while not samples or samples[-1][0] < options.ticks:
                told = health(broker.port)
                samples.append((told["received"], rss_mb(bridge.pid) - told["outbox"] / 2**20))
                sys.stdout.write(f"{told['received']:9} ticks, {told['symbols']} symbols: {samples[-1][1]:6.1f} MB\n")
                sys.stdout.flush()
                time.sleep(3)
    first = next(sample for sample in samples if sample[0] >= options.ticks // 4)
    grown = (samples[-1][1] - first[1]) / max(1, samples[-1][0] - first[0]) * AN_HOUR
    sys.stdout.write(f"beside the outbox {samples[-1][1]:.1f} MB; growth over an hour's ticks {grown:+.1f} MB\n")


if __name__ == "__main__":
    main()
