"""Mosquitto's sign of life, asked of a real one."""

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.up import brokersign
from bridge.up.brokersign import BrokerSign
from tests.broker import binary, free_ports

pytestmark = pytest.mark.real
HOST = "127.0.0.1"


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def mosquitto(tmp_path: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """It has room for one client."""
    file = tmp_path / "mosquitto.conf"
    file.write_text(f"listener {port} {HOST}\nmax_connections 1\nallow_anonymous true\n")
    with subprocess.Popen((binary(), "-c", str(file)), stderr=subprocess.DEVNULL) as process:
        yield process
        process.kill()


async def first_answer(sign: BrokerSign) -> None:
    async with asyncio.timeout(20):
        while not await sign._answers():
            await asyncio.sleep(0.05)


async def test_broker_that_has_no_room_for_one_more_client_lives(mosquitto: subprocess.Popen[bytes], port: int) -> None:
    first, second = (BrokerSign(HOST, port, "guest", "word") for _ in range(2))
    await first_answer(first)
    assert [await second._answers() for _ in range(3)] == [True] * 3
    assert await first._answers()
    first.close()


async def test_broker_that_stands_still_or_is_gone_gives_no_sign(
    mosquitto: subprocess.Popen[bytes], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign = BrokerSign(HOST, port, "guest", "word")
    await first_answer(sign)
    monkeypatch.setattr(brokersign, "ANSWER_S", 0.3)
    mosquitto.send_signal(signal.SIGSTOP)
    assert [await sign._answers() for _ in range(2)] == [False, False]
    mosquitto.kill()
    mosquitto.wait()
    assert not await sign._answers()
