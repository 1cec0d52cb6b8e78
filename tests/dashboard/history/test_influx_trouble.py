"""InfluxDB that is away, wrong or refuses: one line that names the cure, and it passes by itself once it is cured."""

import asyncio
import itertools
import logging
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from bridge.errors import StoreError
from bridge.settings import Broker as BrokerSettings
from bridge.settings import Dashboard, Settings
from bridge.settings import History as Keep
from bridge.settings import Influx as Where
from dashboard.history import Span, open_influx
from dashboard.history.base import StoreAway
from dashboard.history.influx import InfluxHistory, store
from dashboard.telegraf_health import TelegrafHealth
from tests.broker import free_ports
from tests.containers import Influx
from tests.dashboard.live_market import until
from tests.dashboard.payloads import DAY, NOON
from tests.dashboard.test_serve import Process, started
from tests.lines import Lines

pytestmark = pytest.mark.real
PREFIXES = (f"w{number}_" for number in itertools.count())
ASKED = Span(9, 0)


@pytest.fixture
def lines(influx: Influx) -> Iterator[Lines]:
    made = Lines(influx.url, influx.org, influx.token, next(PREFIXES))
    made.make_buckets()
    yield made
    made.close()


def where(influx: Influx, lines: Lines, **other: object) -> Where:
    told = {"url": influx.url, "org": influx.org, "token": influx.token, "bucket_prefix": lines.prefix, **other}
    return Where.model_validate(told)


async def told(settings: Where) -> str:
    """What is wrong, as status() tells it after one look."""
    async with InfluxHistory(Settings(influx=settings)) as history:
        with pytest.raises(StoreError):
            await history.look()
        problem: str = history.status()["problem"]
        assert "\n" not in problem
        assert len(problem) < 400
        return problem


@asynccontextmanager
async def server(version: str, answer: bytes, status: int = 404) -> AsyncIterator[str]:
    """Something else behind the address: it tells its version at /ping, and answers everything else alike."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        line, body = (b"204 No Content", b"") if b" /ping" in head else (b"%d X" % status, answer)
        header = f"X-Influxdb-Version: {version}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(b"HTTP/1.1 %b\r\n%b%b" % (line, header.encode(), body))
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


async def test_a_wrong_token_is_named_with_its_setting(influx: Influx, lines: Lines) -> None:
    problem = await told(where(influx, lines, token="wrong"))
    assert "refuses the token" in problem
    assert "influx.token" in problem


async def test_a_missing_bucket_is_named_with_the_command_that_makes_it(influx: Influx, lines: Lines) -> None:
    lines.drop_bucket("trades")
    problem = await told(where(influx, lines))
    assert f"no bucket '{lines.prefix}trades'" in problem
    assert "tickbridge store init" in problem


async def test_a_wrong_organization_is_named(influx: Influx, lines: Lines) -> None:
    assert "no organization 'other': set influx.org" in await told(where(influx, lines, org="other"))


async def test_nothing_behind_the_address_is_said_plainly_and_may_pass() -> None:
    settings = Where(url=f"http://127.0.0.1:{free_ports(1)[0]}")
    assert "does not answer" in await told(settings)
    async with InfluxHistory(Settings(influx=settings)) as history:
        with pytest.raises(StoreAway, match=r"start it, or set influx\.url"):
            await history.rows("prices", "kucoin", "BTC-USDT", ASKED)


async def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    gone = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    listening = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        assert "no answer within 0.2 s" in await told(Where(url=f"http://127.0.0.1:{port}", timeout_s=0.2))
        await gone.wait()


@pytest.mark.parametrize("version", ["1.6.7~rc0", "1.8.10", "3.9.1"])
async def test_another_generation_of_influxdb_is_named_with_the_one_that_is_needed(version: str) -> None:
    async with server(version, b"404 page not found") as url:
        problem = await told(Where(url=url, token="x"))
        async with InfluxHistory(Settings(influx=Where(url=url, token="x"))) as history:
            with pytest.raises(StoreError, match="needs InfluxDB 2"):
                await history.holds()
    assert f"InfluxDB {version} is behind {url}" in problem
    assert "needs InfluxDB 2" in problem


async def test_some_other_server_is_no_influxdb() -> None:
    async with server("", b"<html>It works!</html>") as url:
        assert "is no InfluxDB 2" in await told(Where(url=url, token="x"))


@pytest.mark.parametrize(
    "answer", [b"<html>\n<body>It works!</body>\n</html>", b'{"ok":true}', b"[1,2]", b"\x80\xff" * 20, b"a\r\nb\r\n"]
)
async def test_a_server_that_says_yes_to_everything_is_told_and_ends_nothing(answer: bytes) -> None:
    async with server("", answer, 200) as url:
        settings = Settings(influx=Where(url=url, token="x"))
        problem = await told(settings.influx)
        assert "InfluxDB" in problem
        health = TelegrafHealth(settings, every_s=0.01)
        async with InfluxHistory(settings) as history:
            tasks = [asyncio.create_task(run()) for run in (history.run, health.run)]
            await until(lambda: "problem" in health.status() and history.status()["problem"] == problem, "it is told")
            for ask in (history.latest, history.catalogue, lambda: history.errors(None, None, None, ASKED)):
                with pytest.raises(StoreError):
                    await ask()
            assert [task.done() for task in tasks] == [False, False]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


@pytest.mark.parametrize(("value", "kind"), [('"one"', "string"), ("1i", "integer")])
async def test_a_field_of_a_wrong_type_is_named_with_its_cure(
    influx: Influx, lines: Lines, value: str, kind: str
) -> None:
    lines.write([("prices", f"prices,exchange=kucoin,symbol=BTC-USDT price=1 {NOON}")])
    lines.write([("prices", f"prices,exchange=kucoin,symbol=BTC-USDT price={value} {NOON + 14 * DAY}")])
    problem = await told(where(influx, lines))
    assert f"the number 'price' as {kind}" in problem
    assert f"delete its rows in bucket '{lines.prefix}prices'" in problem


async def test_it_recovers_by_itself_with_a_new_token_and_the_log_says_each_state_once(
    influx: Influx, lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store, "BACKOFF_FIRST_S", 0.05)
    monkeypatch.setattr(store, "BACKOFF_MOST_S", 0.2)
    monkeypatch.setattr(store, "WATCH_S", 0.2)
    file = tmp_path / "token"
    file.write_text("wrong")
    settings = where(influx, lines, token=None, token_file=file)
    with caplog.at_level(logging.INFO, store.__name__):
        async with InfluxHistory(Settings(influx=settings)) as history:
            running = asyncio.create_task(history.run())
            await until(lambda: "refuses the token" in history.status().get("problem", ""), "it is refused")
            file.write_text(influx.token)
            await until(lambda: "problem" not in history.status(), "it has the new token")
            lines.drop_bucket("gaps")
            await until(lambda: "no bucket" in history.status().get("problem", ""), "a bucket is gone")
            lines.make_buckets(["gaps"])
            await until(lambda: "problem" not in history.status(), "it is there again")
            running.cancel()
            await asyncio.wait([running])
    told = [record.getMessage() for record in caplog.records if record.name == store.__name__]
    assert [("refuses" in line, "no bucket" in line, "answers" in line) for line in told] == [
        (True, False, False),
        (False, False, True),
        (False, True, False),
        (False, False, True),
    ]


async def test_the_dashboard_starts_without_a_recorder_tells_the_trouble_and_answers_when_it_is_cured(
    influx: Influx, lines: Lines, tmp_path: Path
) -> None:
    lines.drop_bucket("prices")
    settings = Settings(
        data_dir=tmp_path,
        broker=BrokerSettings(port=free_ports(1)[0]),
        dashboard=Dashboard(port=free_ports(1)[0]),
        history=Keep(store="influx"),
        influx=where(influx, lines),
    )
    with started(settings) as process:
        await until(lambda: _status(process, "no bucket"), "the trouble is told")
        async with httpx.AsyncClient(base_url=process.url) as client:
            latest = await client.get("/api/v1/latest")
            assert latest.status_code == 503
            assert "tickbridge store init" in latest.json()["error"]
            assert "recorder" not in (await client.get("/api/v1/health")).json()
            well = await client.get("/healthz")
            assert (well.status_code, well.json()["ok"], "no bucket" in well.json()["store"]) == (200, True, True)
            lines.make_buckets(["prices"])
            lines.write([("prices", f"prices,exchange=kucoin,symbol=BTC-USDT price=1.5,n=1i,run=2i {NOON}")])
            await until(lambda: _status(process, ""), "it recovers")
            assert (await client.get("/healthz")).json()["store"] == "ok"
            rows = (await client.get("/api/v1/history/kucoin/BTC-USDT", params={"from": "0"})).content
            assert rows == b'{"rows":[{"price":1.5,"time_ns":%d,"run":2,"n":1}]}' % NOON
        code, said = process.end(signal.SIGTERM)
    assert code == 0, said
    assert sum("no bucket" in line for line in said.splitlines()) == 1
    assert not (tmp_path / "history.sqlite").exists()


async def _status(process: Process, problem: str) -> bool:
    """Whether health tells this trouble; none at all: an empty text."""
    try:
        async with httpx.AsyncClient() as client:
            history = (await client.get(f"{process.url}/api/v1/health")).json()["history"]
    except httpx.TransportError:
        return False
    return problem in history["problem"] if problem else "problem" not in history


def test_opening_asks_nothing_and_raises_nothing() -> None:
    assert "not asked yet" in open_influx(Settings(influx=Where(url="http://127.0.0.1:1"))).status()["problem"]
