"""CSV answers and `interval=auto`."""

import asyncio
import csv
import io
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from bridge.errors import StoreError
from bridge.settings import Broker as BrokerSettings
from bridge.settings import Settings
from bridge.topics import Trouble, numbered, trouble_body
from dashboard.answers import STEP_ROWS
from dashboard.api import Api
from dashboard.app import create_app
from dashboard.history.base import INTERVALS_NS, Page, Span
from dashboard.history.sqlite import SqliteHistory
from dashboard.live import LiveStates
from dashboard.parameters import suiting_interval
from dashboard.tables import COLUMNS, csv_lines
from tests.broker import free_ports
from tests.dashboard.history.conftest import KEEP_ALL
from tests.dashboard.payloads import DAY, MINUTE, NOON, SECOND, candle, candle_fill, gap, tick, trade
from tests.dashboard.served import served

HISTORY = "/api/v1/history/kucoin/BTC-USDT"
TICKS = 2 * STEP_ROWS + 7


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteHistory]:
    store = SqliteHistory(tmp_path / "history.sqlite", KEEP_ALL)
    for n in range(1, TICKS + 1):
        store.append("prices/kucoin/BTC-USDT", tick(NOON + n * SECOND, f"{n}.10", n))
    for n in range(20):
        store.append("candles/kucoin/BTC-USDT/1m", candle(NOON + n * MINUTE, ("1.10", "2", "1", "1.50"), n + 1))
    store.append("gaps/kucoin", gap("g1", NOON, NOON + SECOND, 1, symbols=["BTC-USDT"], reason='said "no", twice'))
    yield store
    store.close()


@pytest.fixture
async def client(store: SqliteHistory) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Api(Settings(), LiveStates(Settings()), store, None), 9001, Path("/nowhere"))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://pi.local:8000") as client:
        yield client


def rows(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


async def test_a_csv_has_a_header_line_and_the_digits_as_stored(client: httpx.AsyncClient) -> None:
    answer = await client.get(HISTORY, params={"format": "csv", "limit": "1", "from": str(NOON)})
    head, line, end = answer.text.split("\r\n")
    assert head.startswith("time_ns,price,size,")
    assert line.startswith(f"{NOON + SECOND},1.10,0.50000000,")
    assert end == ""


async def test_a_page_of_csv_says_in_headers_where_more_begins(client: httpx.AsyncClient) -> None:
    page = await client.get(HISTORY, params={"format": "csv", "limit": "2", "from": str(NOON)})
    assert page.headers["x-next"] == str(NOON + 3 * SECOND)
    address = page.headers["link"].partition("<")[2].partition(">")[0]
    assert [row["n"] for row in rows(await client.get(f"{HISTORY}{address}"))] == ["3", "4"]


async def test_a_csv_from_a_time_on_is_the_whole_range_whatever_its_length(client: httpx.AsyncClient) -> None:
    answer = await client.get(HISTORY, params={"from": str(NOON)}, headers={"accept": "text/csv"})
    assert [row["n"] for row in rows(answer)] == [str(n) for n in range(1, TICKS + 1)]
    assert "x-next" not in answer.headers


async def test_every_address_of_rows_speaks_csv(client: httpx.AsyncClient) -> None:
    (found,) = rows(await client.get("/api/v1/gaps", params={"format": "csv"}))
    assert (found["exchange"], found["symbols"], found["reason"]) == ("kucoin", '["BTC-USDT"]', 'said "no", twice')
    (newest,) = rows(await client.get("/api/v1/latest", params={"format": "csv"}))
    assert (newest["symbol"], newest["n"], newest["stale"]) == ("BTC-USDT", str(TICKS), "true")
    (known,) = rows(await client.get("/api/v1/symbols", params={"format": "csv"}))
    assert (known["symbol"], known["stored"]) == ("BTC-USDT", '["candles","prices"]')
    minutes = rows(await client.get(HISTORY, params={"format": "csv", "interval": "5m", "from": str(NOON)}))
    assert [row["volume"] for row in minutes[:4]] == ["7.5"] * 4


async def test_an_unknown_format_gets_400(client: httpx.AsyncClient) -> None:
    answer = await client.get(HISTORY, params={"format": "xml"})
    assert (answer.status_code, answer.json()["error"]) == (400, "format: 'xml' is none of json, csv")


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("prices", tick(NOON, "1", 1)),
        ("trades", trade(NOON, "1", 1)),
        ("candles", candle(NOON, ("1", "1", "1", "1"), 1)),
        ("candles", candle_fill(NOON, ("1", "1", "1", "1"), 1)),
        ("gaps", gap("g", NOON, NOON, 1, symbols=["A-B"], reason="r", expected=1, filled=1, lost=[{"n": 1}])),
        ("errors", numbered(trouble_body(Trouble("frame", "odd", "trades", "A-B", "{"), NOON), 1, 1)),
    ],
)
def test_every_published_field_has_its_column(kind: str, payload: bytes) -> None:
    told = msgspec.json.decode(payload)
    assert set(told) <= set(COLUMNS[kind])
    (line,) = csv.DictReader(io.StringIO(csv_lines(kind, [payload]).decode()), COLUMNS[kind])
    assert all(line[name] for name in told)


# --- auto -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length_ns", "limit", "interval"),
    [
        (60 * MINUTE, 60, "1m"),
        (60 * MINUTE + 1, 60, "5m"),
        (DAY, 300, "5m"),
        (DAY, 24, "1h"),
        (DAY, 1, "1d"),
        (5 * 365 * DAY, 100, "1d"),
    ],
)
def test_auto_is_the_smallest_interval_that_fits_the_limit(length_ns: int, limit: int, interval: str) -> None:
    assert suiting_interval(Span(limit, NOON, NOON + length_ns), NOON + 10_000 * DAY) == interval


def test_auto_reckons_an_open_end_until_now() -> None:
    assert suiting_interval(Span(60, NOON), NOON + 60 * MINUTE) == "1m"
    assert suiting_interval(Span(1), NOON) == "1m"


async def test_auto_says_which_interval_it_took(client: httpx.AsyncClient) -> None:
    query = {"interval": "auto", "from": str(NOON), "to": str(NOON + 20 * MINUTE), "limit": "4"}
    told = (await client.get(HISTORY, params=query)).json()
    assert (told["interval"], len(told["rows"]), "next" in told) == ("5m", 4, False)
    answer = await client.get(HISTORY, params={**query, "format": "csv"})
    assert answer.headers["x-interval"] == "5m"
    assert len(rows(answer)) == 4


async def test_auto_never_gives_more_rows_than_the_limit_of_any_span(client: httpx.AsyncClient) -> None:
    for length_ns in (MINUTE, 17 * MINUTE, DAY, time.time_ns() - NOON):
        query = {"interval": "auto", "from": str(NOON), "to": str(NOON + length_ns), "limit": "7"}
        told = (await client.get(HISTORY, params=query)).json()
        assert told["interval"] in INTERVALS_NS
        assert len(told["rows"]) <= 7


@pytest.mark.real
async def test_the_five_lines_of_the_documentation_work(store: SqliteHistory) -> None:
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    lines = page.partition("```python\n")[2].partition("```")[0]
    assert len([line for line in lines.splitlines() if line]) == 5
    async with served(Settings(broker=BrokerSettings(port=free_ports(1)[0])), store) as running:
        program = lines.replace("http://127.0.0.1:8000", running.http).replace("2026-11-01", "2025-11-01")
        names: dict[str, Any] = {}
        await asyncio.to_thread(exec, program, names)
    assert len(names["candles"]) == 2


@pytest.mark.real
async def test_a_range_that_breaks_off_does_not_look_whole(
    store: SqliteHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = store.rows

    async def breaks(kind: str, exchange: str, symbol: str, span: Span) -> Page:
        if span.from_ns != NOON:
            raise StoreError("the disk is gone")
        return await rows(kind, exchange, symbol, span)

    monkeypatch.setattr(store, "rows", breaks)
    settings = Settings(broker=BrokerSettings(port=free_ports(1)[0]))
    async with served(settings, store) as running, httpx.AsyncClient() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"{running.http}{HISTORY}", params={"format": "csv", "from": str(NOON)})
