"""`python -m bridge.simulator`: the simulator alone, until Ctrl-C."""

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from bridge.errors import SettingsError
from bridge.simulator.listings import INVENTED
from bridge.simulator.simulator import RATE, Options, Simulator


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM. Exit codes: 0 stopped, 2 wrong options or a port in use."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(_run(_options(arguments)))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


async def _run(options: Options) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Simulator(options) as sim:
        places = {
            "kucoin": {"rest": sim.kucoin.rest_url},
            "binance": {"rest": sim.binance.rest_url, "ws": sim.binance.ws_url},
        }
        sys.stdout.write(json.dumps(places) + "\n")
        sys.stdout.flush()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(sim.run())
            await stop.wait()
            running.cancel()


def _options(arguments: Sequence[str] | None) -> Options:
    told = _parser().parse_args(arguments)
    symbols = tuple(told.symbols.split(",")) if told.symbols else None
    return Options(
        symbols=symbols,
        invented=told.invented,
        rate=told.rate,
        seed=told.seed,
        host=told.host,
        kucoin_port=told.kucoin_port,
        binance_port=told.binance_port,
        kucoin_replay=told.kucoin_replay,
        binance_replay=told.binance_replay,
        full_pace=told.full_pace,
        remembered=1000,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bridge.simulator",
        description="Fake KuCoin and Binance on real sockets. Prints their addresses as one line of JSON.",
        epilog="example: python -m bridge.simulator --rate 500 --kucoin-port 9101 --binance-port 9102",
    )
    add = parser.add_argument
    add("--symbols", metavar="A-B,C-D", help="the well-known markets (default: the watchlists)")
    add("--invented", type=int, default=INVENTED, help="further markets with invented names (default: %(default)s)")
    add("--rate", type=float, default=RATE, help="quote updates a second of each exchange (default: %(default)s)")
    add("--seed", type=int, default=1, help="the same seed gives the same market (default: %(default)s)")
    add("--host", default="127.0.0.1", help="where to listen (default: %(default)s)")
    add("--kucoin-port", type=int, default=0, metavar="PORT", help="default: a free one")
    add("--binance-port", type=int, default=0, metavar="PORT", help="default: a free one")
    add("--kucoin-replay", type=Path, metavar="FILE", help="play this capture (JSON lines, .gz too) as KuCoin")
    add("--binance-replay", type=Path, metavar="FILE", help="play this capture as Binance")
    add("--full-pace", action="store_true", help="replay as fast as the client reads")
    return parser


if __name__ == "__main__":
    sys.exit(main())
