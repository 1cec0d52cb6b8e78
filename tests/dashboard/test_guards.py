"""Whom the dashboard answers, and how many at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bridge.settings import Broker as BrokerSettings
from bridge.settings import Dashboard, Settings
from dashboard.guards import MOST_QUESTIONS, MOST_TABLES, is_local, name_of
from dashboard.history.base import Page, Span
from dashboard.history.sqlite import SqliteHistory
from tests.broker import free_ports
from tests.dashboard.history.conftest import KEEP_ALL
from tests.dashboard.live_market import until
from tests.dashboard.payloads import NOON, tick
from tests.dashboard.served import Served, served

HISTORY = "/api/v1/history/kucoin/BTC-USDT"


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1:8000", True),
        ("192.168.1.7", True),
        ("[fe80::1]:8000", True),
        ("localhost:8000", True),
        ("pi", True),
        ("PI.local.:8000", True),
        ("pi.home.arpa", True),
        ("prices.example.org", False),
        ("local.example.org", False),
        ("127.0.0.1.example.org", False),
        ("notlocal", True),
        ("evil.notlocal", False),
        ("1.2.3.4.5", False),
    ],
)
def test_addresses_and_names_that_nobody_can_own_are_ours(host: str, ours: bool) -> None:
    assert is_local(name_of(host)) is ours


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Served]:
    settings = Settings(
        broker=BrokerSettings(port=free_ports(1)[0]), dashboard=Dashboard(hosts=("prices.example.org",), login="off")
    )
    store = SqliteHistory(tmp_path / "history.sqlite", KEEP_ALL)
    store.append("prices/kucoin/BTC-USDT", tick(NOON, "1.10", 1))
    async with served(settings, store) as page:
        yield page
    store.close()


@pytest.mark.real
@pytest.mark.parametrize(
    ("host", "status"), [("pi:8000", 200), ("Prices.example.org", 200), ("evil.example", 421), ("evil; x.y", 421)]
)
async def test_a_foreign_name_gets_no_answer(page: Served, host: str, status: int) -> None:
    async with httpx.AsyncClient(base_url=page.http, headers={"host": host}) as client:
        for address in ("/api/v1/connect", "/api/v1/symbols", "/healthz"):
            answer = await client.get(address)
            assert answer.status_code == status
            assert ("dashboard.hosts" in answer.text) is (status == 421)


@pytest.mark.real
async def test_a_foreign_name_gets_no_stream_either(page: Served) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"ws://evil.example:{page.port}/api/v1/stream", host="127.0.0.1", port=page.port)
    assert refused.value.response.status_code == 421


@pytest.mark.real
@pytest.mark.parametrize(("query", "most"), [({}, MOST_QUESTIONS), ({"format": "csv"}, MOST_TABLES)])
async def test_too_many_questions_at_once_get_503_and_a_time_to_ask_again(
    page: Served, monkeypatch: pytest.MonkeyPatch, query: dict[str, str], most: int
) -> None:
    store, waiting, go = page.store, 0, asyncio.Event()
    rows: Callable[..., asyncio.Future[Page]] = store.rows

    async def slow(kind: str, exchange: str, symbol: str, span: Span) -> Page:
        nonlocal waiting
        waiting += 1
        await go.wait()
        return await rows(kind, exchange, symbol, span)

    monkeypatch.setattr(store, "rows", slow)
    limits = httpx.Limits(max_connections=most + 5)
    async with httpx.AsyncClient(base_url=page.http, limits=limits, timeout=30) as client:
        asked = [asyncio.create_task(client.get(HISTORY, params=query)) for _ in range(most)]
        await until(lambda: waiting == most, "all wait")
        refused = await client.get(HISTORY, params=query)
        assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
        assert (await client.get("/healthz")).status_code == 200
        go.set()
        assert [(await one).status_code for one in asked] == [200] * most
        assert (await client.get(HISTORY, params=query)).status_code == 200


@pytest.mark.real
async def test_an_answer_that_takes_too_long_is_broken_off(page: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.guards.QUESTION_S", 0.1)
    monkeypatch.setattr(page.store, "rows", lambda *_: asyncio.Event().wait())
    async with httpx.AsyncClient(base_url=page.http) as client:
        answer = await client.get(HISTORY)
        assert (answer.status_code, answer.json()["error"]) == (503, "no answer within 0.1 s")
        assert (await client.get("/api/v1/symbols")).status_code == 200
