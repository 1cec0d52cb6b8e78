"""Export, CSV and the error table from a real InfluxDB: the same as from the embedded store."""

import csv
import io
import itertools
from pathlib import Path

import httpx
import pandas
import pytest

from bridge.cli import main
from bridge.settings import Broker as BrokerSettings
from bridge.settings import History, Settings
from bridge.settings import Influx as Where
from bridge.topics import Topics, Trouble, numbered, trouble_body
from dashboard.api import Api
from dashboard.app import create_app
from dashboard.audit.keeper import Keeper
from dashboard.description.schemas import SCHEMAS
from dashboard.history import open_influx
from dashboard.live import LiveStates
from tests.broker import Broker
from tests.containers import Influx
from tests.dashboard.live_market import until
from tests.dashboard.payloads import MINUTE, NOON, RUN, SECOND, candle, tick, trade
from tests.dashboard.schema import problems, strangers
from tests.dashboard.served import served, telling
from tests.lines import Lines, lines_of

pytestmark = pytest.mark.real
TICKS = 23_000
ODD = 'A,B="C" D\'é'
"""A symbol that would be code in many a query, a column too many in CSV."""
RANGE = ["--from", "2025-11-21T12:00:00Z", "--to", "2025-11-22"]


@pytest.fixture(scope="module")
def filled(influx: Influx) -> Settings:
    """The settings of a dashboard whose InfluxDB has rows."""
    prefix, t = "over_", Topics()
    lines = Lines(influx.url, influx.org, influx.token, prefix)
    lines.make_buckets()
    told = [(t.price("kucoin", "BTC-USDT"), tick(NOON + n * SECOND, f"{n}.50", n)) for n in range(1, TICKS + 1)]
    for n in range(1, 4):
        told.append((t.trade("kucoin", "BTC-USDT"), trade(NOON + n * SECOND, "1.10", n)))
        told.append((t.candle("kucoin", "BTC-USDT", "1m"), candle(NOON + n * MINUTE, ("1.10", "2", "1", "1.50"), n)))
        trouble = Trouble("value", f'refused, "{n}"\nand more', symbol=ODD, frame='{"a":1,}')
        told.append((t.errors("kucoin"), numbered(trouble_body(trouble, NOON + n * SECOND), RUN, n)))
    told.append((t.price("kucoin", ODD), tick(NOON + SECOND, "7", 1)))
    lines.write(itertools.chain.from_iterable(lines_of(*one) for one in told))
    lines.close()
    where = Where(url=influx.url, org=influx.org, token=influx.token, bucket_prefix=prefix, timeout_s=30)
    return Settings(influx=where, history=History(store="influx"))


def export(settings: Settings, tmp_path: Path, *arguments: str, symbol: str = "BTC-USDT") -> int:
    where = settings.influx
    token = tmp_path / "token"
    token.write_text(f"{where.token}\n")
    told = {"history.store": "influx", "influx.url": where.url, "influx.token_file": token, "influx.timeout_s": 30}
    sets = [part for name, value in told.items() for part in ("--set", f"{name}={value}")]
    sets += ["--set", f"influx.bucket_prefix={where.bucket_prefix}", "--data-dir", str(tmp_path / "data")]
    return main(["export", "kucoin", symbol, *RANGE, *sets, *arguments])


def test_every_row_is_exported_over_many_pages(filled: Settings, tmp_path: Path) -> None:
    file = tmp_path / "btc.csv"
    assert export(filled, tmp_path, "-o", str(file)) == 0
    with file.open() as lines:
        rows = list(csv.DictReader(lines))
    assert [row["n"] for row in rows] == [str(n) for n in range(1, TICKS + 1)]
    assert {row["price"] for row in rows[:2]} == {"1.5", "2.5"}


def test_parquet_candles_and_trades_are_exported(filled: Settings, tmp_path: Path) -> None:
    bars, trades = tmp_path / "bars.parquet", tmp_path / "trades.csv"
    assert export(filled, tmp_path, "--interval", "1m", "-o", str(bars)) == 0
    frame = pandas.read_parquet(bars)
    told = frame[frame["n"].notna()]
    assert list(told["volume"]) == [1.5] * 3
    assert export(filled, tmp_path, "--kind", "trades", "-o", str(trades)) == 0
    assert list(pandas.read_csv(trades)["side"]) == ["buy"] * 3


def test_a_symbol_that_looks_like_code_is_a_name(filled: Settings, tmp_path: Path) -> None:
    file = tmp_path / "odd.csv"
    assert export(filled, tmp_path, "-o", str(file), symbol=ODD) == 0
    assert len(pandas.read_csv(file)) == 1
    assert export(filled, tmp_path, "-o", str(file), symbol='" or true or "') == 1


def test_an_influxdb_that_is_away_is_said_and_writes_nothing(
    filled: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "btc.csv"
    assert export(filled, tmp_path, "-o", str(file), "--set", "influx.url=http://127.0.0.1:9") == 1
    assert "does not answer" in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir() if one.suffix in (".csv", ".part")] == []


async def test_live_prices_and_symbols_are_told_whatever_ails_influxdb(broker: Broker) -> None:
    settings = Settings(broker=BrokerSettings(port=broker.port), influx=Where(url="http://127.0.0.1:9"))
    async with open_influx(settings) as history, served(settings, history) as page, telling(broker) as teller:
        await until(lambda: page.live.connected, "connected")
        async with httpx.AsyncClient(base_url=page.http, timeout=30) as client:
            for address in ("/api/v1/latest", "/api/v1/symbols", "/api/v1/gaps"):
                assert (await client.get(address)).status_code == 503, address
            await teller.state("latest/kucoin/BTC-USDT", b'{"price":1.5,"time_ns":1,"stale":false,"age_ms":0}', 30)
            await teller.state("catalogue/kucoin", b'{"time_ns":1,"instruments":[{"symbol":"BTC-USDT"}]}')
            await until(page.live.instruments, "the catalogue is heard")
            assert [one["price"] for one in (await client.get("/api/v1/latest")).json()["rows"]] == [1.5]
            assert [one["symbol"] for one in (await client.get("/api/v1/symbols")).json()["rows"]] == ["BTC-USDT"]
            assert (await client.get("/api/v1/history/kucoin/OLD-USDT")).status_code == 503
            health = (await client.get("/api/v1/health")).json()
            assert problems(health, SCHEMAS["Health"], SCHEMAS) + strangers(health, SCHEMAS["Health"], SCHEMAS) == []


async def test_the_api_answers_csv_errors_and_audit_from_influxdb(filled: Settings) -> None:
    async with open_influx(filled) as history:
        await history.look()
        api = Api(filled, LiveStates(filled), history, None, Keeper(filled, history))
        transport = httpx.ASGITransport(create_app(api, 9001, Path("/nowhere")))
        async with httpx.AsyncClient(transport=transport, base_url="http://pi.local:8000", timeout=60) as client:
            table = await client.get("/api/v1/history/kucoin/BTC-USDT?from=2025-11-21T12:00Z&format=csv")
            assert table.status_code == 200, table.text
            assert len(table.text.splitlines()) == TICKS + 1
            errors = (await client.get("/api/v1/errors", params={"symbol": ODD, "kind": "value"})).json()["rows"]
            assert [one["n"] for one in errors] == [1, 2, 3]
            assert errors[0]["reason"] == 'refused, "1"\nand more'
            page = (await client.get("/api/v1/errors?from=0&limit=2")).json()
            assert (len(page["rows"]), page["next"]) == (2, NOON + 3 * SECOND)
            more = (await client.get(f"/api/v1/errors?from={page['next']}")).json()
            assert [one["n"] for one in more["rows"]] == [3]
            read = csv.DictReader(io.StringIO((await client.get("/api/v1/errors?format=csv")).text))
            assert [row["symbol"] for row in read] == [ODD] * 3
            assert (await client.get("/api/v1/errors", params={"kind": '") or ("'})).status_code == 400
            assert (await client.get("/api/v1/errors", params={"exchange": '" or true'})).json()["rows"] == []
            audit = await client.get("/api/v1/audit")
            assert audit.status_code == 200, audit.text
