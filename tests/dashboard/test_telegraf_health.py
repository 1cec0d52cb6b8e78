"""What a real Telegraf tells of itself through a real InfluxDB."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.settings import Influx as InfluxSettings
from bridge.settings import Settings
from dashboard.api import Api
from dashboard.app import create_app
from dashboard.live import LiveStates
from dashboard.telegraf_health import TelegrafHealth
from tests.broker import Broker, run_client, wait_until
from tests.containers import Influx, Telegraf
from tests.lines import BUCKETS

pytestmark = pytest.mark.real
WITHIN_S = 60.0


@pytest.fixture(scope="module")
def buckets(influx: Influx) -> Influx:
    headers = {"Authorization": f"Token {influx.token}"}
    told = httpx.get(f"{influx.url}/api/v2/orgs", headers=headers).json()
    for name in BUCKETS:
        body = {"orgID": told["orgs"][0]["id"], "name": name, "retentionRules": []}
        httpx.post(f"{influx.url}/api/v2/buckets", headers=headers, json=body).raise_for_status()
    return influx


def settings(influx: Influx, **more: Any) -> Settings:
    place = {"url": influx.url, "org": influx.org, "token": influx.token, **more}
    return Settings(influx=InfluxSettings(**place))


@asynccontextmanager
async def watched(settings: Settings) -> AsyncIterator[TelegrafHealth]:
    health = TelegrafHealth(settings, every_s=0.5)
    task = asyncio.create_task(health.run())
    yield health
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def until(found: Callable[[], bool], health: TelegrafHealth) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not found():
        assert time.monotonic() < deadline, health.status()
        await asyncio.sleep(0.2)


async def test_what_is_unreadable_and_what_influxdb_refuses_is_counted(
    broker: Broker, buckets: Influx, telegraf: Callable[..., Telegraf]
) -> None:
    before = broker.log.count("New client connected")
    place = {"INFLUX_URL": buckets.url, "INFLUX_ORG": buckets.org, "INFLUX_TOKEN": buckets.token}
    telegraf({"MQTT_URL": f"tcp://127.0.0.1:{broker.port}", **place})
    wait_until(lambda: broker.log.count("New client connected") >= before + 8, WITHIN_S, lambda: broker.log)
    async with watched(settings(buckets)) as health:
        await until(lambda: "seen_ns" in health.status(), health)
        assert (health.status()["input_errors"], health.status()["rejected"]) == (0, 0)
        spoil(buckets)
        publish(broker, "prices/kucoin/BTC-USDT", f'{{"price":1.5,"time_ns":{time.time_ns()},"run":1,"n":1}}')
        publish(broker, "trades/kucoin/BTC-USDT", "no JSON at all")
        await until(lambda: health.status()["input_errors"] >= 1 and health.status()["rejected"] >= 1, health)
        assert health.status()["seen_ns"] > time.time_ns() - 60 * 10**9


def spoil(influx: Influx) -> None:
    """Makes `price` a text, so that InfluxDB refuses every number of today."""
    row = f'prices,exchange=kucoin,symbol=BTC-USDT price="text" {time.time_ns()}'
    query, headers = {"org": influx.org, "bucket": "prices"}, {"Authorization": f"Token {influx.token}"}
    httpx.post(f"{influx.url}/api/v2/write", params=query, headers=headers, content=row).raise_for_status()


def publish(broker: Broker, topic: str, payload: str) -> None:
    run_client(["mosquitto_pub", "-p", str(broker.port), "-q", "1", "-t", topic, "-m", payload])


async def test_a_telegraf_that_never_told_anything_has_no_figures(buckets: Influx) -> None:
    async with watched(settings(buckets, bucket_prefix="")) as health:
        await asyncio.sleep(0)
        assert health.status() == {}


async def test_a_token_file_that_is_not_there_is_told_and_ends_nothing(tmp_path: Path) -> None:
    place = InfluxSettings(token_file=tmp_path / "nothing")
    async with watched(Settings(influx=place)) as health:
        await until(lambda: "problem" in health.status(), health)
        assert "influx.token_file" in health.status()["problem"]
        assert (await told(health))["telegraf"] == health.status()


async def told(health: TelegrafHealth) -> dict[str, Any]:
    """What /api/v1/health answers."""
    settings = Settings()
    api = Api(settings, LiveStates(settings), None, None)
    api.telegraf = health
    transport = httpx.ASGITransport(create_app(api, 9001, Path("/nowhere")))
    async with httpx.AsyncClient(transport=transport, base_url="http://pi.local:8000") as client:
        return dict((await client.get("/api/v1/health")).json())


async def test_a_wrong_token_and_a_missing_bucket_are_told(buckets: Influx) -> None:
    for more, words in (({"token": "wrong"}, "401"), ({"bucket_prefix": "none_"}, "404")):
        async with watched(settings(buckets, **more)) as health:
            await until(lambda: "problem" in health.status(), health)
            assert words in health.status()["problem"]


async def test_an_influxdb_that_is_away_is_told(buckets: Influx) -> None:
    async with watched(settings(buckets, url="http://127.0.0.1:9")) as health:
        await until(lambda: "problem" in health.status(), health)
        assert "does not answer" in health.status()["problem"]
