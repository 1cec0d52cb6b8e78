"""The simulator as a process of its own, and as a part of another."""

import asyncio
import json
import signal
import socket
import sys
from pathlib import Path

import pytest

from bridge.errors import SettingsError
from bridge.simulator import Simulator
from bridge.simulator.__main__ import main
from tests.simulator.clients import get

ROOT = Path(__file__).parents[2]


@pytest.mark.real
async def test_it_prints_its_addresses_and_ends_on_sigterm() -> None:
    command = (sys.executable, "-m", "bridge.simulator", "--invented", "3")
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        places = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
        status, told = await get(f"{places['binance']['rest']}/api/v3/ticker/price?symbol=BTCUSDT")
        assert (status, told["symbol"]) == (200, "BTCUSDT")
        assert places["binance"]["ws"].startswith("ws://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_a_missing_capture_is_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--kucoin-replay", str(tmp_path / "none.jsonl")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.real
async def test_a_port_in_use_is_said_plainly_and_leaves_nothing_behind() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1:{port}"):
            async with Simulator(binance_port=port, invented=0):
                pytest.fail("it must not start")


@pytest.mark.real
async def test_what_breaks_inside_is_raised_at_the_end() -> None:
    async def broken() -> None:
        async with Simulator(invented=0) as sim:
            sim.kucoin.second = lambda _: 1 // 0  # type: ignore[method-assign, assignment, return-value]
            await asyncio.wait_for(sim.run(), 10)

    with pytest.raises(ZeroDivisionError):
        await broken()
