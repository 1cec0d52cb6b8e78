"""The examples of docs/api.md for programs with a token, run as they stand there."""

import asyncio
import os
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.history.sqlite import SqliteHistory
from tests.dashboard.door.test_process import on_a_port
from tests.dashboard.door.visit import TOKEN
from tests.dashboard.history.conftest import KEEP_ALL
from tests.dashboard.payloads import MINUTE, NOON, candle
from tests.dashboard.served import Served, served

pytestmark = pytest.mark.real
SECTION = (Path(__file__).parents[3] / "docs" / "api.md").read_text().partition("## Tokens\n")[2].partition("\n## ")[0]
ADDRESS = "//127.0.0.1:8000"


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Served]:
    store = SqliteHistory(tmp_path / "history.sqlite", KEEP_ALL)
    for n in range(2):
        store.append("candles/kucoin/BTC-USDT/1m", candle(NOON + n * 60 * MINUTE, ("1", "2", "1", "1"), n + 1))
    async with served(on_a_port(tmp_path), store) as running:
        yield running
    store.close()


def examples(language: str, page: Served) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)
    return [text.replace(ADDRESS, f"//127.0.0.1:{page.port}").replace("2026-11-01", "2025-11-01") for text in found]


def shell(line: str, **environment: str) -> str:
    return subprocess.run(
        ["bash", "-ec", line],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
    ).stdout


async def test_a_token_that_is_made_like_this_is_taken(page: Served, tmp_path: Path) -> None:
    make, ask = examples("sh", page)
    await asyncio.to_thread(shell, make, HOME=str(tmp_path))
    made = tmp_path / "tickbridge-tokens"
    assert made.stat().st_mode & 0o777 == 0o600
    (tmp_path / "tokens").write_text(made.read_text())
    page.door.reload()
    token = made.read_text().split()[1]
    assert "TOKEN" not in ask.partition("curl")[2], "everybody sees command lines"
    (read,) = re.findall(r"`TOKEN=(.*)`", SECTION)
    assert (await asyncio.to_thread(shell, f"echo {read}", HOME=str(tmp_path))).strip() == token
    assert "rows" in await asyncio.to_thread(shell, ask, TOKEN=token)
    assert "log in" in await asyncio.to_thread(shell, ask, TOKEN=TOKEN), "its line is gone"


async def test_pandas_and_the_stream_take_one(page: Served, capsys: pytest.CaptureFixture[str]) -> None:
    table, stream = examples("python", page)
    names: dict[str, Any] = {"TOKEN": TOKEN}
    await asyncio.to_thread(exec, table, names)
    assert len(names["candles"]) == 2
    await asyncio.to_thread(exec, stream, names)
    assert '"subscribed":["health/#"]' in capsys.readouterr().out
