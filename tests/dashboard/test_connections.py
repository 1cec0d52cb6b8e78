"""Connections that ask nothing: there is room for so many, and for so long."""

import asyncio
import logging
import os
import socket
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import httpx
import pytest
import uvloop

from bridge.settings import Broker as BrokerSettings
from bridge.settings import Dashboard, Settings
from dashboard import connections, listener
from dashboard.listener import Room
from tests.authority import Authority
from tests.broker import Broker
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


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return Authority(tmp_path_factory.mktemp("authority")).certificate("page")


@pytest.mark.parametrize("tls", [False, True])
def test_silent_connections_take_neither_the_page_nor_the_files(
    broker: Broker,
    tls: bool,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In the process's own loop."""
    monkeypatch.setattr(listener, "HANDSHAKE_S", 2.0)
    monkeypatch.setattr(connections, "REQUEST_S", 2.0)
    cert, key = certificate if tls else (None, None)
    given = settings(broker).model_copy(update={"dashboard": Dashboard(cert_file=cert, key_file=key)})

    async def crowd() -> None:
        async with served(given) as one, AsyncExitStack() as open_lines:
            before = open_files()
            lines = [open_lines.enter_context(await silent(one)) for _ in range(listener.MOST_CONNECTIONS + 150)]
            async with asyncio.timeout(10):
                assert all([await hung_up(line) for line in lines[listener.MOST_CONNECTIONS :]])
            assert open_files() - before <= len(lines) + listener.MOST_CONNECTIONS + 9, "both ends of each"
            address = one.http.replace("http", given.dashboard.scheme)
            async with httpx.AsyncClient(base_url=address, verify=False) as client:
                with pytest.raises(httpx.TransportError):
                    await client.get("/healthz")
                async with asyncio.timeout(10):
                    assert all([await hung_up(line) for line in lines])
                assert (await client.get("/healthz")).status_code == httpx.codes.OK

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(crowd())
    (told,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "more than 200 connections" in told


async def silent(one: Served) -> socket.socket:
    line = socket.socket()
    line.setblocking(False)
    await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", one.port))
    return line


async def hung_up(line: socket.socket) -> bool:
    with suppress(ConnectionError):
        return await asyncio.get_running_loop().sock_recv(line, 1) == b""
    return True


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_one_address_may_not_have_all_but_this_machine_and_proxies_may() -> None:
    room = Room(["10.0.0.0/24"])

    def problem(host: str, held: list[str]) -> str | None:
        return room.problem(host, [(one, port) for port, one in enumerate(held)])

    most = listener.MOST_OF_ONE
    assert problem("192.168.1.7", ["192.168.1.7"] * (most - 1)) is None
    assert problem("192.168.1.7", ["192.168.1.7"] * most) == f"more than {most} connections from 192.168.1.7"
    assert problem("2001:db8::2", ["2001:db8::1"] * most) is not None, "one subscriber"
    assert problem("192.168.1.8", ["192.168.1.7"] * most) is None
    for near in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.9", "::ffff:10.0.0.9"):
        assert problem(near, [near] * most) is None
        assert problem(near, [near] * listener.MOST_CONNECTIONS) is not None
    crowd = [f"10.0.{n}.1" for n in range(listener.MOST_CONNECTIONS - listener.KEPT_FREE)]
    assert problem("10.1.0.1", crowd) == "more than 180 connections"
    assert problem("10.0.0.9", crowd) == "more than 180 connections"
    assert problem("127.0.0.1", crowd) is None
