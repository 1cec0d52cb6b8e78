import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.settings import Dashboard, Exchanges, Settings
from dashboard.api import Api
from dashboard.app import create_app
from dashboard.history.sqlite import SqliteHistory
from dashboard.live import LiveStates
from tests.dashboard.history.conftest import KEEP_ALL
from tests.dashboard.payloads import MINUTE, NOON, SECOND, candle, gap, tick, trade

HISTORY = "/api/v1/history/kucoin/BTC-USDT"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteHistory]:
    store = SqliteHistory(tmp_path / "history.sqlite", KEEP_ALL)
    for n in range(1, 6):
        store.append("prices/kucoin/BTC-USDT", tick(NOON + n * SECOND, f"0.0000000{n}", n))
        store.append("trades/kucoin/BTC-USDT", trade(NOON + n * SECOND, "1.10", n))
        store.append("candles/kucoin/BTC-USDT/1m", candle(NOON + n * MINUTE, ("1.10", "2", "1", "1.50"), n))
    store.append("gaps/kucoin", gap("g1", NOON, NOON + SECOND, 1))
    yield store
    store.close()


@pytest.fixture
async def client(store: SqliteHistory) -> AsyncIterator[httpx.AsyncClient]:
    async with _client(Settings(), store) as client:
        yield client


def _client(settings: Settings, store: SqliteHistory | None, static: Path = Path("/nowhere")) -> httpx.AsyncClient:
    app = create_app(Api(settings, LiveStates(settings), store, None), 9001, static)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://pi.local:8000")


def catalogue(*instruments: bytes) -> bytes:
    return b'{"time_ns":%d,"instruments":[%b]}' % (NOON, b",".join(instruments))


async def _rows(client: httpx.AsyncClient, address: str, **query: Any) -> list[dict[str, Any]]:
    answer = await client.get(address, params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["rows"])


async def test_rows_have_the_digits_that_were_published(client: httpx.AsyncClient) -> None:
    answer = await client.get(HISTORY, params={"from": str(NOON)})
    assert answer.headers["content-type"] == "application/json"
    assert '"price":0.00000001,' in answer.text
    assert [row["n"] for row in answer.json()["rows"]] == [1, 2, 3, 4, 5]
    assert "next" not in answer.json()


async def test_next_leads_to_the_rest_and_the_end_is_exclusive(client: httpx.AsyncClient) -> None:
    query = {"from": "2025-11-21T12:00:02Z", "to": "2025-11-21T12:00:05Z", "limit": "2"}
    page = (await client.get(HISTORY, params=query)).json()
    assert [row["n"] for row in page["rows"]] == [2, 3]
    rest = (await client.get(HISTORY, params={**query, "from": str(page["next"])})).json()
    assert [row["n"] for row in rest["rows"]] == [4]
    assert "next" not in rest


async def test_candles_trades_and_gaps_come_from_the_same_address(client: httpx.AsyncClient) -> None:
    assert len(await _rows(client, HISTORY, interval="1m")) == 6
    (hour,) = await _rows(client, HISTORY, interval="1h")
    assert (hour["time_ns"], hour["volume"]) == (NOON, 7.5)
    assert [row["side"] for row in await _rows(client, HISTORY, kind="trades")] == ["buy"] * 5
    assert [row["id"] for row in await _rows(client, HISTORY, kind="gaps")] == ["g1"]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"from": "yesterday"}, "from: 'yesterday'"),
        ({"to": "17"}, "nanoseconds"),
        ({"from": "2025-11-22", "to": "2025-11-21"}, "from lies after to"),
        ({"limit": "0"}, "1 to 10000"),
        ({"limit": "10001"}, "1 to 10000"),
        ({"limit": "many"}, "1 to 10000"),
        ({"interval": "7m"}, "1m, 5m"),
        ({"kind": "weather"}, "prices, trades, gaps"),
        ({"kind": "trades", "interval": "1m"}, "trades have none"),
        ({"form": "2025-11-21"}, "no parameter"),
    ],
)
async def test_a_bad_parameter_gets_400_with_the_reason(
    client: httpx.AsyncClient, query: dict[str, str], reason: str
) -> None:
    answer = await client.get(HISTORY, params=query)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]


@pytest.mark.parametrize(
    "address", ["/api/v1/history/kucoin/NO-SUCH", "/api/v1/history/moon/BTC-USDT", "/api/v1/nothing"]
)
async def test_what_does_not_exist_gets_404_as_json(client: httpx.AsyncClient, address: str) -> None:
    answer = await client.get(address)
    assert answer.status_code == 404
    assert answer.json()["error"]


async def test_other_methods_get_405(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/symbols")
    assert answer.status_code == 405
    assert answer.json()["error"]


async def test_latest_without_a_broker_is_the_stored_tick_marked_stale(client: httpx.AsyncClient) -> None:
    (row,) = await _rows(client, "/api/v1/latest")
    assert (row["exchange"], row["symbol"], row["n"], row["stale"]) == ("kucoin", "BTC-USDT", 5, True)
    assert row["reason"]


async def test_symbols_say_what_is_stored_of_them(client: httpx.AsyncClient) -> None:
    assert await _rows(client, "/api/v1/symbols") == [
        {"exchange": "kucoin", "symbol": "BTC-USDT", "stored": ["candles", "prices", "trades"]}
    ]


async def test_the_stored_catalogue_answers_while_the_broker_is_away(
    store: SqliteHistory, client: httpx.AsyncClient
) -> None:
    told = b'{"symbol":"%b-USDT","base":"%b","quote":"USDT","price_step":0.10,"status":"trading"}'
    store.append("catalogue/kucoin", catalogue(told % (b"BTC", b"BTC"), told % (b"ETH", b"ETH")))
    answer = await client.get("/api/v1/symbols")
    assert [row["symbol"] for row in answer.json()["rows"]] == ["BTC-USDT", "ETH-USDT"]
    assert answer.text.count('"price_step":0.10') == 2
    assert answer.json()["rows"][0]["stored"] == ["candles", "prices", "trades"]
    assert (await client.get(HISTORY.replace("BTC", "ETH"))).json() == {"rows": []}


async def test_gaps_are_found_by_exchange_symbol_and_time(client: httpx.AsyncClient) -> None:
    (found,) = await _rows(client, "/api/v1/gaps", exchange="kucoin", symbol="BTC-USDT")
    assert (found["id"], found["exchange"]) == ("g1", "kucoin")
    assert await _rows(client, "/api/v1/gaps", exchange="binance") == []
    assert await _rows(client, "/api/v1/gaps", **{"from": "2025-11-21T13:00:00Z"}) == []


async def test_both_addresses_of_gaps_end_at_the_same_and_lead_to_the_rest(
    store: SqliteHistory, client: httpx.AsyncClient
) -> None:
    for n in range(2, 6):
        store.append("gaps/kucoin", gap(f"g{n}", NOON, NOON + n * SECOND, n))
    query = {"from": str(NOON), "limit": "2"}
    page = (await client.get("/api/v1/gaps", params={**query, "exchange": "kucoin"})).json()
    assert [row["id"] for row in page["rows"]] == ["g1", "g2"]
    assert (await client.get(HISTORY, params={**query, "kind": "gaps"})).json() == page
    rest = await _rows(client, "/api/v1/gaps", **{"from": str(page["next"])})
    assert [row["id"] for row in rest] == ["g3", "g4", "g5"]


async def test_a_store_that_is_away_gets_503(store: SqliteHistory, client: httpx.AsyncClient) -> None:
    store.close()
    answer = await client.get(HISTORY)
    assert answer.status_code == 503
    assert "closed" in answer.json()["error"]


async def test_without_a_history_the_rest_still_works() -> None:
    async with _client(Settings(), None) as client:
        assert (await client.get(HISTORY)).status_code == 503
        assert (await client.get("/api/v1/latest")).json() == {"rows": []}
        assert (await client.get("/healthz")).json() == {"ok": True, "store": "off", "broker": "away"}


async def test_connect_tells_the_page_everything_it_needs() -> None:
    settings = Settings(
        prefix="home/",
        demo=True,
        dashboard=Dashboard(mqtt_websocket_port=9123, mqtt_user="guest", mqtt_password="secret"),
        exchanges=Exchanges.model_validate({"kucoin": {"whole_market": True}}),
    )
    async with _client(settings, None) as client:
        told = (await client.get("/api/v1/connect")).json()
    assert told["mqtt"] == {"port": 9123, "tls": False, "user": "guest", "password": "secret"}
    assert (told["prefix"], told["instance"], told["demo"], told["latest_expiry_s"]) == ("home", "tickbridge", True, 30)
    assert told["whole_market"] == {"on": True, "bytes_a_day": 50 * 1000 * 86_400}


async def test_an_anonymous_broker_has_no_user_in_connect(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/v1/connect")).json()["mqtt"] == {"port": 9001, "tls": False}


async def test_every_answer_lets_the_page_reach_only_itself_and_its_broker(client: httpx.AsyncClient) -> None:
    for address in ("/", "/api/v1/symbols", "/api/v1/nothing"):
        answer = await client.get(address)
        policy = answer.headers["content-security-policy"]
        assert "connect-src 'self' ws://pi.local:9001;" in policy
        assert "script-src 'self';" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_strange_host_does_not_get_into_the_policy(client: httpx.AsyncClient) -> None:
    answer = await client.get("/healthz", headers={"host": "evil; script-src *"})
    assert "evil" not in answer.headers["content-security-policy"]


async def test_a_page_that_is_not_built_says_how_to_build_it(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert answer.status_code == 503
    assert "dashboard/web/build.py" in answer.text


async def test_hashed_files_are_kept_for_ever_and_the_page_is_asked_for_anew(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "main-4F5JQX2Z.js").write_text("1")
    (tmp_path / "icon.svg").write_text("<svg/>")
    async with _client(Settings(), None, tmp_path) as client:
        assert (await client.get("/")).headers["cache-control"] == "no-cache"
        assert (await client.get("/icon.svg")).headers["cache-control"] == "no-cache"
        hashed = await client.get("/main-4F5JQX2Z.js")
        assert "immutable" in hashed.headers["cache-control"]
        assert (await client.get("/../serve.py")).status_code == 404


async def test_numbers_are_json_numbers(client: httpx.AsyncClient) -> None:
    row = json.loads((await client.get(HISTORY, params={"limit": "1"})).text)["rows"][0]
    assert isinstance(row["price"], float)
    assert isinstance(row["time_ns"], int)
