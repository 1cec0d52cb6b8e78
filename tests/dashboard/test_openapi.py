"""The description of the API is the API: routes, parameters and real answers."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from bridge.settings import Broker as BrokerSettings
from bridge.settings import Settings
from bridge.topics import Trouble, numbered, trouble_body
from dashboard.api import Api
from dashboard.audit.keeper import Keeper
from dashboard.description import description
from dashboard.history.sqlite import SqliteHistory
from dashboard.live import LiveStates
from dashboard.stream.hub import Hub
from dashboard.stream.socket import Stream
from tests.broker import Broker
from tests.dashboard.history.conftest import KEEP_ALL
from tests.dashboard.live_market import until
from tests.dashboard.payloads import MINUTE, NOON, SECOND, candle, candle_fill, gap, tick, trade
from tests.dashboard.schema import problems, strangers
from tests.dashboard.served import Served, ask, served, telling, told

TOLD = description()
SCHEMAS = TOLD["components"]["schemas"]
HISTORY = "/api/v1/history/kucoin/BTC-USDT"
INSTRUMENT = b'{"symbol":"BTC-USDT","base":"BTC","quote":"USDT","native":"XBT","price_step":0.1,"status":"trading"}'
EXAMPLES = [
    (HISTORY, "Ticks"),
    (f"{HISTORY}?kind=trades", "Trades"),
    (f"{HISTORY}?kind=gaps", "Gaps"),
    (f"{HISTORY}?interval=1m&from={NOON}&to={NOON + 5 * MINUTE}", "Candles"),
    (f"{HISTORY}?interval=1h", "Candles"),
    (f"{HISTORY}?interval=auto&limit=1", "Candles"),
    (f"{HISTORY}?limit=1&from={NOON}", "Ticks"),
    ("/api/v1/latest", "LatestRows"),
    ("/api/v1/symbols", "Symbols"),
    ("/api/v1/gaps", "Gaps"),
    ("/api/v1/errors", "Errors"),
    ("/api/v1/health", "Health"),
    ("/api/v1/connect", "Connect"),
    ("/healthz", "Well"),
    (f"{HISTORY}?limit=0", "Problem"),
    (HISTORY.replace("BTC", "NO"), "Problem"),
    ("/api/v1/stream", "Problem"),
    ("/api/v1/audit", "Problem"),
]


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in TOLD["paths"].items():
        assert list(methods) == ["get"]
        yield path, methods["get"]


def test_every_route_is_described_and_every_description_has_its_route() -> None:
    settings = Settings()
    live = LiveStates(settings)
    routes = [*Api(settings, live, None, None).routes(), *Stream(Hub(live)).routes()]
    assert {route.path for route in routes if isinstance(route, Route)} == set(TOLD["paths"])


def test_every_part_that_is_referred_to_is_there_and_none_is_superfluous() -> None:
    text = json.dumps(TOLD)
    named = {one.partition('"')[0] for one in text.split("#/components/schemas/")[1:]}
    in_words = {name for name in SCHEMAS if name.startswith("Stream")}
    assert named | in_words == set(SCHEMAS)


def test_operations_have_ids_of_their_own_and_parameters_of_the_path() -> None:
    ids = [one["operationId"] for _, one in operations()]
    assert len(set(ids)) == len(ids)
    for path, one in operations():
        wanted = {level[1:-1] for level in path.split("/") if level.startswith("{")}
        assert {p["name"] for p in one.get("parameters", ()) if p["in"] == "path"} == wanted


@pytest.fixture
async def page(broker: Broker, tmp_path: Path) -> AsyncIterator[Served]:
    store = SqliteHistory(tmp_path / "history.sqlite", KEEP_ALL)
    for n in range(1, 4):
        store.append("prices/kucoin/BTC-USDT", tick(NOON + n * SECOND, "1.10", n))
        store.append("trades/kucoin/BTC-USDT", trade(NOON + n * SECOND, "1.10", n))
        store.append("candles/kucoin/BTC-USDT/1m", candle(NOON + n * MINUTE, ("1.10", "2", "1", "1.50"), n))
    store.append("candles/kucoin/BTC-USDT/1m", candle_fill(NOON + 4 * MINUTE, ("1", "1", "1", "1"), 1))
    store.append("gaps/kucoin", gap("g1", NOON, NOON + SECOND, 1, symbols=["BTC-USDT"], lost=[{"n": 1}]))
    store.append("gaps/kucoin", gap("g2", NOON, None, 2))
    store.append("errors/kucoin", numbered(trouble_body(Trouble("frame", "odd", frame="{"), NOON), 1, 1))
    store.append("catalogue/kucoin", b'{"time_ns":1,"instruments":[%b]}' % INSTRUMENT)
    async with served(Settings(broker=BrokerSettings(port=broker.port)), store) as page:
        await until(lambda: page.live.connected, "connected")
        yield page
    store.close()


@pytest.mark.real
async def test_real_answers_are_as_described_and_have_no_field_that_is_not(page: Served) -> None:
    paths = set()
    async with httpx.AsyncClient(base_url=page.http) as client:
        for address, name in EXAMPLES:
            told = (await client.get(address)).json()
            assert problems(told, SCHEMAS[name], SCHEMAS, address) == []
            assert strangers(told, SCHEMAS[name], SCHEMAS, address) == []
            if "/history/" in address and "error" not in told:
                assert problems(told, SCHEMAS["History"], SCHEMAS, address) == []
            assert "rows" not in told or told["rows"], address
            paths.add(address.partition("?")[0])
        described = (await client.get("/api/v1/openapi.json")).json()
    assert described == json.loads(json.dumps(TOLD))
    examples = {path.replace("{exchange}", "kucoin").replace("{symbol}", "BTC-USDT") for path in TOLD["paths"]}
    assert examples - paths == {"/api/v1/openapi.json"}


def test_the_state_of_proof_is_as_described(tmp_path: Path) -> None:
    store = SqliteHistory(tmp_path / "history.sqlite", KEEP_ALL)
    keeper = Keeper(Settings(data_dir=tmp_path), store)
    assert problems(keeper.ranges(), SCHEMAS["Audit"], SCHEMAS) == []
    assert strangers(keeper.proof(), SCHEMAS["Proof"], SCHEMAS) == []
    assert problems({"state": 5}, SCHEMAS["Audit"], SCHEMAS)
    store.close()


@pytest.mark.real
async def test_just_the_described_parameters_are_taken(page: Served) -> None:
    async with httpx.AsyncClient(base_url=page.http) as client:
        for path, one in operations():
            address = path.replace("{exchange}", "kucoin").replace("{symbol}", "BTC-USDT")
            names = [p["name"] for p in one.get("parameters", ()) if p["in"] == "query"]
            if not names:
                continue
            refused = (await client.get(address, params={"nonsense": "1"})).json()["error"]
            assert refused == f"'nonsense' is no parameter here (there are: {', '.join(sorted(names))})"


@pytest.mark.real
async def test_values_are_taken_and_refused_as_described(page: Served) -> None:
    async with httpx.AsyncClient(base_url=page.http) as client:
        for parameter in TOLD["paths"]["/api/v1/history/{exchange}/{symbol}"]["get"]["parameters"]:
            schema, name = parameter["schema"], parameter["name"]
            good = [*schema.get("enum", ()), *schema.get("examples", ())]
            if "minimum" in schema:
                good += [schema["minimum"], schema["maximum"], schema["default"]]
                bad = [schema["minimum"] - 1, schema["maximum"] + 1]
            else:
                bad = ["nonsense"] if good else []
            for value, status in [*((one, 200) for one in good), *((one, 400) for one in bad)]:
                assert (await client.get(HISTORY, params={name: str(value)})).status_code == status, (name, value)


@pytest.mark.real
async def test_the_stream_speaks_as_described(page: Served, broker: Broker) -> None:
    async with telling(broker) as teller, page.reader() as line:
        request = {"subscribe": ["prices/#", "catalogue/#"], "id": 1}
        assert problems(request, SCHEMAS["StreamRequest"], SCHEMAS) == []
        answers = [await ask(line, **request), await ask(line, subscribe=["x"])]
        await teller.state("catalogue/kucoin", b'{"instruments":[]}')
        await teller.stream("prices/kucoin/BTC-USDT", tick(NOON, "1.10", 1))
        messages = [await told(line, "topic"), await told(line, "topic")]
        async with page.reader() as other:
            await ask(other, subscribe=["catalogue/#"])
            messages.append(await told(other, "topic"))
    for name, each in (("StreamAnswer", answers), ("StreamMessage", messages)):
        for one in each:
            assert problems(one, SCHEMAS[name], SCHEMAS) == []
            assert strangers(one, SCHEMAS[name], SCHEMAS) == []


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ({}, {"type": "object", "required": ["a"]}),
        ([1, "2"], {"type": "array", "items": {"type": "integer"}}),
        (True, {"type": "integer"}),
        ("x", {"enum": ["y"]}),
        ({"a": {"b": 1}}, {"properties": {"a": {"properties": {"b": {"type": "string"}}}}}),
        (5, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
    ],
)
def test_the_checker_finds_what_is_wrong(value: Any, schema: dict[str, Any]) -> None:
    assert problems(value, schema, {})
