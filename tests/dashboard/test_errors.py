"""The error table over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.settings import Settings
from bridge.topics import Trouble, numbered, trouble_body
from dashboard.api import Api
from dashboard.app import create_app
from dashboard.history.sqlite import SqliteHistory
from dashboard.live import LiveStates
from tests.dashboard.history.conftest import KEEP_ALL
from tests.dashboard.payloads import NOON, RUN, SECOND

ERRORS = "/api/v1/errors"
HOSTILE = "x' OR 1=1; DROP TABLE errors --\") |> drop()"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    store = SqliteHistory(tmp_path / "history.sqlite", KEEP_ALL)
    kinds = (("kucoin", "frame", None), ("kucoin", "value", "BTC-USDT"), ("bridge", "clock", None))
    for n, (exchange, kind, symbol) in enumerate(kinds, 1):
        body = trouble_body(Trouble(kind, f"reason {n}", None, symbol, '{"half":'), NOON + n * SECOND)
        store.append(f"errors/{exchange}", numbered(body, RUN, n))
    settings = Settings()
    app = create_app(Api(settings, LiveStates(settings), store, None), 9001, Path("/nowhere"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://pi.local:8000") as client:
        yield client
    store.close()


async def _reasons(client: httpx.AsyncClient, **query: Any) -> list[str]:
    answer = await client.get(ERRORS, params=query)
    assert answer.status_code == 200, answer.text
    return [row["reason"] for row in answer.json()["rows"]]


async def test_entries_stand_there_with_their_exchange_and_frame(client: httpx.AsyncClient) -> None:
    rows = (await client.get(ERRORS)).json()["rows"]
    assert [(row["exchange"], row["kind"], row["frame"]) for row in rows] == [
        ("kucoin", "frame", '{"half":'),
        ("kucoin", "value", '{"half":'),
        ("bridge", "clock", '{"half":'),
    ]


@pytest.mark.parametrize(
    ("query", "reasons"),
    [
        ({"exchange": "kucoin"}, ["reason 1", "reason 2"]),
        ({"kind": "clock"}, ["reason 3"]),
        ({"symbol": "BTC-USDT"}, ["reason 2"]),
        ({"from": str(NOON + 2 * SECOND), "to": str(NOON + 3 * SECOND)}, ["reason 2"]),
        ({"limit": "1"}, ["reason 3"]),
        ({"exchange": HOSTILE}, []),
        ({"symbol": HOSTILE}, []),
    ],
)
async def test_entries_are_narrowed(client: httpx.AsyncClient, query: dict[str, str], reasons: list[str]) -> None:
    assert await _reasons(client, **query) == reasons


async def test_next_leads_to_the_rest(client: httpx.AsyncClient) -> None:
    page = (await client.get(ERRORS, params={"from": "0", "limit": "2"})).json()
    assert await _reasons(client, **{"from": page["next"]}) == ["reason 3"]


async def test_the_table_comes_as_csv_too(client: httpx.AsyncClient) -> None:
    lines = (await client.get(ERRORS, params={"format": "csv", "kind": "value"})).text.splitlines()
    assert lines[0].startswith("time_ns,exchange,kind")
    assert "reason 2" in lines[1]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"kind": HOSTILE}, "is no kind"),
        ({"symbol": ""}, "not 1 to 200"),
        ({"exchange": "x" * 201}, "not 1 to 200"),
        ({"from": "2025-11-22", "to": "2025-11-21"}, "from lies after to"),
        ({"limit": "0"}, "1 to 10000"),
        ({"knid": "frame"}, "no parameter"),
    ],
)
async def test_a_bad_parameter_gets_400_with_the_reason(
    client: httpx.AsyncClient, query: dict[str, str], reason: str
) -> None:
    answer = await client.get(ERRORS, params=query)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]
