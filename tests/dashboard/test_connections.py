"""Connections that ask nothing: there is room for so many, and for so long."""

import asyncio
from contextlib import suppress

import httpx
import pytest

from bridge.settings import Broker as BrokerSettings
from bridge.settings import Settings
from dashboard import connections
from tests.broker import Broker
from tests.dashboard.live_market import until
from tests.dashboard.served import Served, served

pytestmark = pytest.mark.real
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def settings(broker: Broker) -> Settings:
    return Settings(broker=BrokerSettings(host=broker.host, port=broker.port))


async def dial(one: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", one.port)


async def gone(reader: asyncio.StreamReader) -> bool:
    with suppress(ConnectionError):
        return await reader.read() == b""
    return True


async def test_who_connects_and_never_asks_is_hung_up_on(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_S", 0.2)
    async with served(settings(broker)) as one:
        silent, _ = await dial(one)
        dripping, drops = await dial(one)
        drops.write(HEALTH[:9])
        later, again = await dial(one)
        again.write(HEALTH)
        assert (await later.readline()).startswith(b"HTTP/1.1 200")
        again.write(HEALTH[:20])  # the second request never ends
        async with asyncio.timeout(5):
            for reader in (silent, dripping):
                assert await gone(reader)
            with suppress(ConnectionError):
                await later.read()
        assert one.connections() == 0
        for writer in (drops, again, _):
            writer.close()


async def test_a_websocket_and_a_busy_connection_stay(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_S", 0.1)
    async with served(settings(broker)) as one, one.reader() as line:
        reader, writer = await dial(one)
        for _ in range(6):
            writer.write(HEALTH)
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(0.08)
        await line.ping()
        assert one.connections() == 2
        writer.close()


async def test_too_many_connections_are_closed_and_told_and_the_page_answers_again(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 20)
    monkeypatch.setattr(connections.Http, "_told_s", -connections.TELL_S)
    async with served(settings(broker)) as one, httpx.AsyncClient(base_url=one.http) as client:
        lines = [await dial(one) for _ in range(30)]
        async with asyncio.timeout(5):
            assert all([await gone(reader) for reader, _ in lines[20:]])
        assert one.connections() == 20
        assert len([record for record in caplog.records if "more than 20 connections" in record.message]) == 1
        for _, writer in lines:
            writer.close()
        await until(lambda: one.connections() == 0, "the others are gone")
        assert (await client.get("/healthz")).status_code == httpx.codes.OK
