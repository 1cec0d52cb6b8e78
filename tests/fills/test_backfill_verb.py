"""`tickbridge backfill` as a person types it: against a bridge that runs, and against none."""

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from time import time_ns
from typing import Any

import pytest

from bridge.backfill import BackfillFailed, Wish, _run
from bridge.settings import Broker as BrokerSettings
from bridge.settings import Settings
from bridge.simulator import Simulator
from dashboard.audit.address import BRIDGE_FILE, beside, leave
from tests.broker import Broker
from tests.running import Subscriber, environment, subscribed, tickbridge

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

HOUR_NS = 3_600_000_000_000
SYMBOLS = ("BTC-USDT", "ETH-USDT")


class House:
    """A bridge that runs, somebody who hears all it says, and a terminal."""

    def __init__(self, env: dict[str, str], heard: Subscriber, sim: Simulator) -> None:
        self.env, self.heard, self.sim = env, heard, sim
        now_ns = time_ns() // HOUR_NS * HOUR_NS
        self.span = (now_ns - 5 * HOUR_NS, now_ns - HOUR_NS)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        typed = [sys.executable, "-m", "bridge.cli", "backfill", *arguments]
        return subprocess.Popen(typed, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def times(self) -> list[str]:
        return ["--from", str(self.span[0]), "--to", str(self.span[1])]

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        child = self.start(*arguments, *self.times())
        out, err = await asyncio.to_thread(child.communicate, None, 60)
        return child.returncode, out, err

    def candles(self, exchange: str, symbol: str, interval: str = "1m") -> list[dict[str, Any]]:
        told = self.heard.told(f"candles/{exchange}/{symbol}/{interval}")
        return [one for one in told if self.span[0] <= one["time_ns"] < self.span[1]]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    with Broker(tmp_path / "mosquitto") as broker:
        async with (
            Simulator(seed=5, rate=60, invented=2, symbols=SYMBOLS) as sim,
            subscribed(broker, ("candles/#", "health/#", "jobs/#")) as heard,
        ):
            env = environment(broker, tmp_path / "data", sim, **{
                "EXCHANGES__KUCOIN__SYMBOLS": json.dumps(SYMBOLS),
                "EXCHANGES__BINANCE__SYMBOLS": json.dumps(SYMBOLS),
                "FEED__FIRST_CANDLES_H": 0,
            })  # fmt: skip
            # the bridge's port is not in the settings of who types: it is found in the data folder
            own = {name: text for name, text in env.items() if name.startswith("TICKBRIDGE_BROKER__")}
            with tickbridge("run", tmp_path / "data", env):
                env = {name: text for name, text in env.items() if name not in own}
                await heard.until(
                    lambda: all(
                        any(one["status"] == "online" for one in heard.told(f"health/{name}"))
                        for name in ("kucoin", "binance")
                    )
                )
                yield House(env, heard, sim)


def opens(rows: Sequence[dict[str, Any]]) -> list[int]:
    return sorted(one["time_ns"] for one in rows)


async def test_every_candle_of_several_symbols_comes_once_and_a_second_time_adds_nothing(house: House) -> None:
    minutes = list(range(house.span[0], house.span[1], 60_000_000_000))
    code, out, _ = await house.run("kucoin", *SYMBOLS)
    assert (code, out) == (0, f"done: {2 * len(minutes):,} candles\n")
    await house.heard.until(lambda: len(house.candles("kucoin", "ETH-USDT")) >= len(minutes))
    assert [opens(house.candles("kucoin", symbol)) for symbol in SYMBOLS] == [minutes, minutes]
    code, out, _ = await house.run("kucoin", *SYMBOLS)
    assert code == 0
    assert out.startswith("nothing to fetch")
    assert opens(house.candles("kucoin", "BTC-USDT")) == minutes
    code, out, _ = await house.run("kucoin", "BTC-USDT", "--again")
    assert out == f"done: {len(minutes):,} candles\n"
    await house.heard.until(lambda: len(house.candles("kucoin", "BTC-USDT")) == 2 * len(minutes))
    rows = house.candles("kucoin", "BTC-USDT")
    assert set(Counter(one["time_ns"] for one in rows).values()) == {2}


async def test_a_whole_exchange_with_longer_candles(house: House) -> None:
    code, out, _ = await house.run("binance", "--interval", "1h")
    assert code == 0, out
    listed = 4
    assert out == f"done: {4 * listed} candles\n"
    await house.heard.until(lambda: len(house.candles("binance", "BTC-USDT", "1h")) == 4)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("kucoin", "BTC-USDTT"), "did you mean BTC-USDT?"),
        (("kukoin",), "did you mean kucoin?"),
        (("kucoin", "--interval", "7m"), "1m, 5m, 15m"),
    ],
)
async def test_what_cannot_be_is_said_and_exits_with_2(house: House, typed: tuple[str, ...], said: str) -> None:
    code, out, err = await house.run(*typed)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


async def test_ctrl_c_ends_it_and_the_same_command_goes_on(house: House) -> None:
    house.span = (house.span[0] - 150 * HOUR_NS, house.span[1])
    minutes = list(range(house.span[0], house.span[1], 60_000_000_000))
    faults = house.sim.kucoin.faults
    faults.rest_only, faults.rest_delay_s = "candles", 0.5
    child = house.start("kucoin", "BTC-USDT", *house.times())
    await house.heard.until(lambda: len(house.heard.payloads["candles/kucoin/BTC-USDT/1m"]) > 1000)
    child.send_signal(signal.SIGINT)
    _, err = await asyncio.to_thread(child.communicate, None, 30)
    assert child.returncode == 0
    assert "the same command goes on" in err
    assert "Traceback" not in err
    await house.heard.settled(1)
    before = len(house.candles("kucoin", "BTC-USDT"))
    assert 1000 < before < len(minutes)
    code, out, _ = await house.run("kucoin", "BTC-USDT")
    assert (code, out) == (0, f"done: {len(minutes) - before:,} candles\n")
    await house.heard.until(lambda: len(house.heard.payloads["candles/kucoin/BTC-USDT/1m"]) >= len(minutes))
    assert opens(house.candles("kucoin", "BTC-USDT")) == minutes


def test_the_user_and_password_file_of_a_bridge_open_to_the_network_are_found_too(tmp_path: Path) -> None:
    file = tmp_path / "users" / "bridge.password"
    file.parent.mkdir()
    file.write_text("secret\n")
    there = BrokerSettings(port=1999, user="bridge", password_file=file)
    leave(Settings(broker=there, data_dir=tmp_path), BRIDGE_FILE)
    assert (tmp_path / BRIDGE_FILE).stat().st_mode & 0o077 == 0
    assert "secret" not in (tmp_path / BRIDGE_FILE).read_text()
    found = beside(Settings(data_dir=tmp_path), BRIDGE_FILE)
    assert found is not None
    assert (found.broker.port, found.broker.user, found.broker.secret()) == (1999, "bridge", "secret")


async def test_without_a_bridge_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Broker(tmp_path / "mosquitto") as broker:
        monkeypatch.setattr("bridge.backfill.ANSWER_S", 0.5)
        settings = Settings(broker=BrokerSettings(port=broker.port), data_dir=tmp_path)
        with pytest.raises(BackfillFailed, match="no bridge answers at"):
            await _run(settings, Wish("kucoin", (), 1, 2))
