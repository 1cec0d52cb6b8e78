"""CPU of the whole bridge per tick, from websocket frame to handled PUBACK, `latest/` included, beside its peers.

python -m benchmarks.bridge [--ticks N] [--captures DIR]: real KuCoin frames over real sockets into a real Mosquitto at
QoS 1, in one run: Tickbridge, a plain websockets + aiomqtt bridge, a Node.js ws + mqtt bridge (where `npm install` was
run in benchmarks/peers), and mosquitto_pub -q 1 -l. The ratios count; absolute figures belong to this machine.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.broker import Broker
from tests.captures import folder

CAPTURE = "kucoin/full_classic.cryptofeed-2021-04-23.jsonl"
PACES = {"saturated": (500, 0.0), "1 a ms": (1, 0.001), "100 each 100 ms": (100, 0.1)}
PEERS = Path(__file__).parent / "peers"
MOST_LINES = 65_000
"""mosquitto_pub -q 1 -l stops early past 65,535 lines: its packet id wraps."""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


@contextmanager
def process(*command: str, **more: object) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(command, text=True, **more)  # type: ignore[call-overload]
    try:
        yield child
    finally:
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(10)
        child.kill()
        child.wait()


def feeder(ticks: int, pace: str) -> tuple[str, ...]:
    burst, pause_s = PACES[pace]
    capture = folder() / CAPTURE
    return (sys.executable, "-m", "benchmarks.feeder", str(capture), str(ticks), str(burst), str(pause_s))


def tickbridge(port: int, rest: str, data: str) -> tuple[tuple[str, ...], dict[str, str]]:
    environment = os.environ | {
        "TICKBRIDGE_DATA_DIR": data,
        "TICKBRIDGE_BROKER__PORT": str(port),
        "TICKBRIDGE_EXCHANGES__BINANCE__ENABLED": "false",
        "TICKBRIDGE_EXCHANGES__KUCOIN__WHOLE_MARKET": "true",
        "TICKBRIDGE_EXCHANGES__KUCOIN__SYMBOLS": "[]",
        "TICKBRIDGE_EXCHANGES__KUCOIN__CHANNELS": '["ticker"]',
        "TICKBRIDGE_EXCHANGES__KUCOIN__REST_HOST": rest,
        "TICKBRIDGE_LOG__LEVEL": "warning",
    }
    return (sys.executable, "-m", "bridge.cli", "run"), environment


def measure(who: str, pace: str, ticks: int) -> float:
    """CPU microseconds a tick of the process that bridges."""
    with (
        tempfile.TemporaryDirectory() as data,
        Broker(Path(data) / "broker") as broker,
        process(*feeder(ticks, pace), stdout=subprocess.PIPE) as source,
    ):
        assert source.stdout is not None
        address = f"127.0.0.1:{source.stdout.readline().strip()}"
        environment = dict(os.environ)
        if who == "tickbridge":
            command, environment = tickbridge(broker.port, f"http://{address}", data)
        elif who == "plain":
            command = (sys.executable, "-m", "benchmarks.peers.plain", f"ws://{address}/ws", str(broker.port))
        else:
            command = ("node", str(PEERS / "bridge.mjs"), f"ws://{address}/ws", str(broker.port))
        return _watched(command, environment, broker.port, ticks)


def _watched(command: tuple[str, ...], environment: dict[str, str], port: int, ticks: int) -> float:
    hears = ("mosquitto_sub", "-p", str(port), "-t", "prices/#", "-q", "0", "-C", str(ticks), "-F", "x", "-V", "5")
    with process(*hears, stdout=subprocess.DEVNULL) as heard, process(*command, env=environment) as bridge:
        time.sleep(1.8)  # the feeder begins two seconds after the subscription: this is the idle CPU before it
        before = cpu_s(bridge.pid)
        heard.wait(600)
        time.sleep(0.3)
        return (cpu_s(bridge.pid) - before) / ticks * 1e6


def mosquitto_pub(ticks: int) -> float:
    """CPU microseconds a message of mosquitto_pub -q 1 -l, the broker's own client in C."""
    ticks = min(ticks, MOST_LINES)
    line = '{"price":85439.99,"size":0.002,"price_time_ns":1743147198992000000,"bid":85439.9,"bid_size":0.8915,' + (
        '"ask":85440.1,"ask_size":10.5900853,"seq":23242050174,"time_ns":1743147199001234567,"run":1743147000123,"n":1}\n'
    )
    with tempfile.TemporaryDirectory() as data, Broker(Path(data)) as broker:
        publish = ["mosquitto_pub", "-p", str(broker.port), "-q", "1", "-l", "-t", "prices/kucoin/BTC-USDT", "-V", "5"]
        with process(*publish, stdin=subprocess.PIPE) as child:
            assert child.stdin is not None
            before = os.times()
            child.stdin.write(line * ticks)
            child.stdin.close()
            child.wait(120)
            after = os.times()
    used = (after.children_user - before.children_user) + (after.children_system - before.children_system)
    return used / ticks * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ticks", type=int, default=60_000, help="of the saturated run (default 60000)")
    parser.add_argument("--paced-s", type=int, default=15, help="seconds of each paced run (default 15)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each, the median is told (default 3)")
    options = parser.parse_args()
    peers = ["tickbridge", "plain"]
    if shutil.which("node") and (PEERS / "node_modules").exists():
        peers.append("node")
    for pace in PACES:
        ticks = options.ticks if pace == "saturated" else 1000 * options.paced_s
        costs = {
            who: sorted(measure(who, pace, ticks) for _ in range(options.runs))[options.runs // 2] for who in peers
        }
        if pace == "saturated":
            costs["mosquitto_pub"] = mosquitto_pub(ticks)
        for who, cost in costs.items():
            sys.stdout.write(
                f"{pace:16} {who:14} {cost:8.1f} us a tick, {cost / costs['tickbridge']:6.2f} x tickbridge\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
