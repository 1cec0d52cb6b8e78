"""A bridge that was killed or stopped: what it missed meanwhile is filled by the next one."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from bridge.simulator import Simulator
from tests.broker import Broker
from tests.running import Subscriber, environment, subscribed, tickbridge

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(180)]

SYMBOLS = ("BTC-USDT", "ETH-USDT")


def is_settled(heard: Subscriber) -> bool:
    told = [one for one in heard.told("gaps/binance") if one["channel"] == "trades" and one["cause"] == "stopped"]
    return bool(told) and told[-1]["state"] not in ("open", "filling")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
async def test_trades_missed_while_the_bridge_was_away_are_filled_after_the_next_start(
    tmp_path: Path, how: signal.Signals
) -> None:
    with Broker(tmp_path / "mosquitto") as broker:
        async with (
            Simulator(seed=5, rate=200, invented=0, symbols=SYMBOLS) as sim,
            subscribed(broker, ("trades/binance/#", "gaps/#")) as heard,
        ):
            env = environment(broker, tmp_path / "data", sim, **{
                "EXCHANGES__KUCOIN__ENABLED": "false",
                "EXCHANGES__BINANCE__SYMBOLS": json.dumps(SYMBOLS),
                "FEED__FIRST_CANDLES_H": 0,
            })  # fmt: skip
            with tickbridge("run", tmp_path / "data", env, exit_code=None) as first:
                await heard.until(lambda: all(heard.told(f"trades/binance/{one}") for one in SYMBOLS))
                await asyncio.sleep(7)  # the ledger notes gaps and counts some seconds after the start
                first.send_signal(how)
                await asyncio.to_thread(first.wait, 20)
            await asyncio.sleep(3)
            with tickbridge("run", tmp_path / "data", env):
                await heard.until(lambda: is_settled(heard), 60)
                gap = [one for one in heard.told("gaps/binance") if one["channel"] == "trades"][-1]
                assert (gap["cause"], gap["state"]) == ("stopped", "filled")
            await heard.settled(1)
            for symbol in SYMBOLS:
                rows = heard.told(f"trades/binance/{symbol}")
                ids = {int(one["id"]) for one in rows}
                assert ids == set(range(min(ids), max(ids) + 1))
                assert any(one.get("source") == "rest" for one in rows)
                if how is signal.SIGINT:
                    assert len(rows) == len(ids)
                keys = {(one["time_ns"], one["id"]) for one in rows}
                assert len(keys) == len(ids)
