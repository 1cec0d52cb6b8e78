"""Gaps by HTTP: page by page, and alike at both of their addresses."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bridge.settings import Settings
from dashboard.api import Api
from dashboard.app import create_app
from dashboard.history.sqlite import SqliteHistory
from dashboard.live import LiveStates
from tests.dashboard.history.conftest import KEEP_ALL
from tests.dashboard.payloads import NOON, SECOND, gap, tick

BOTH = {
    "/api/v1/gaps": {"exchange": "kucoin", "symbol": "BTC-USDT"},
    "/api/v1/history/kucoin/BTC-USDT": {"kind": "gaps"},
}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    store = SqliteHistory(tmp_path / "history.sqlite", KEEP_ALL)
    store.append("prices/kucoin/BTC-USDT", tick(NOON, "1", 1))
    for n in range(1, 8):
        store.append("gaps/kucoin", gap(f"g{n}", NOON + n * SECOND, NOON + 10 * n * SECOND if n < 6 else None, n))
    store.append("gaps/binance", gap("other", NOON, NOON + SECOND, 1))
    app = create_app(Api(Settings(), LiveStates(Settings()), store, None), 9001)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://pi") as client:
        yield client
    store.close()


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_next_leads_through_all_gaps_once_at_both_addresses(client: httpx.AsyncClient, limit: int) -> None:
    for address, query in BOTH.items():
        found, asked = [], {**query, "limit": str(limit), "from": "0"}
        while "from" in asked:
            page = (await client.get(address, params=asked)).json()
            found += [row["id"] for row in page["rows"]]
            asked = {**query, "limit": str(limit), **({"from": str(page["next"])} if "next" in page else {})}
        assert found == [f"g{n}" for n in range(1, 8)], address


async def test_without_a_beginning_both_addresses_answer_the_gaps_that_end_last(client: httpx.AsyncClient) -> None:
    for address, query in BOTH.items():
        page = (await client.get(address, params={**query, "limit": "3"})).json()
        assert [row["id"] for row in page["rows"]] == ["g5", "g6", "g7"], address
