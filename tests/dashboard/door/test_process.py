"""The door of a dashboard that runs: sockets, TLS, signals and restarts."""

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bridge.settings import Broker as BrokerSettings
from bridge.settings import Settings
from dashboard import listener
from dashboard.healthy.looking import ask_page
from dashboard.stream.socket import PATH
from tests.authority import Authority
from tests.broker import free_ports, wait_until
from tests.dashboard.door.visit import PASSWORD, TOKEN, settings
from tests.dashboard.served import ask, served
from tests.dashboard.test_serve import Process, started

pytestmark = pytest.mark.real
BEARER = {"authorization": f"Bearer {TOKEN}"}
STARTS_S = 20.0


def on_a_port(folder: Path, **page: Any) -> Settings:
    broker, port = free_ports(2)
    given = settings(folder, port=port, **page)
    return given.model_copy(update={"broker": BrokerSettings(port=broker)})


@contextmanager
def running(given: Settings, **trust: Any) -> Iterator[tuple[Process, httpx.Client]]:
    """A dashboard's process that answers, and a browser."""
    with started(given) as process:
        address = f"{given.dashboard.scheme}://localhost:{given.dashboard.port}"
        with httpx.Client(base_url=address, **trust) as client:
            wait_until(lambda: answers(client), STARTS_S, lambda: "it does not answer")
            yield process, client


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def log_in(client: httpx.Client, password: str = PASSWORD) -> int:
    origin = str(client.base_url).rstrip("/")
    return client.post("/login", data={"password": password}, headers={"origin": origin}).status_code


def test_a_session_outlives_the_process_and_guessing_is_locked_out(tmp_path: Path) -> None:
    given = on_a_port(tmp_path, login="auto", host="0.0.0.0")
    with running(given) as (process, client):
        assert client.get("/api/v1/connect").status_code == 401
        assert log_in(client) == 303
        cookies = client.cookies
        assert client.get("/api/v1/connect").status_code == 200
        code, said = process.end(signal.SIGTERM)
    assert code == 0
    with running(given, cookies=cookies) as (process, client):
        assert client.get("/api/v1/connect").status_code == 200
        assert [log_in(client, "guess-guess") for _ in range(6)] == [403] * 5 + [429]
        assert client.get("/api/v1/health").json()["page"]["login"] == {"wrong": 5, "limited": 1, "tokens": 1}
        said += process.end(signal.SIGTERM)[1]
    assert "a wrong password from 127.0.0.1" in said
    assert not any(secret in said for secret in (PASSWORD, "guess-guess", TOKEN, *cookies.values()))


async def test_the_stream_takes_tokens_and_nobody_without(tmp_path: Path) -> None:
    async with served(on_a_port(tmp_path)) as page:
        for headers in ({}, {"authorization": "Bearer " + TOKEN[::-1]}, {"cookie": "a=b"}):
            with pytest.raises(InvalidStatus) as refused:
                await connect(page.ws, additional_headers=headers)
            assert refused.value.response.status_code == 401
            assert "content-security-policy" in refused.value.response.headers
        async with page.reader(additional_headers=BEARER) as line:
            assert (await ask(line, subscribe=["health/#"]))["ok"] is True


async def test_the_streams_visitors_are_limited_too(tmp_path: Path) -> None:
    async with served(on_a_port(tmp_path, login="off", requests_per_minute=1)) as page, page.reader():
        with pytest.raises(InvalidStatus) as refused:
            await connect(page.ws)
        assert (refused.value.response.status_code, "retry-after" in refused.value.response.headers) == (429, True)


async def test_only_a_trusted_proxy_speaks_for_others(tmp_path: Path) -> None:
    spoken_for = [{"x-forwarded-for": f"10.9.9.9, 10.0.0.{n}", "x-forwarded-proto": "https"} for n in range(2)]
    for proxies, statuses in (((), [200, 429]), (("127.0.0.0/8",), [200, 200])):
        page = {"login": "off", "requests_per_minute": 1, "trusted_proxies": proxies}
        async with served(on_a_port(tmp_path, **page)) as one, httpx.AsyncClient(base_url=one.http) as client:
            answers = [await client.get("/api/v1/health", headers=headers) for headers in spoken_for]
        assert [answer.status_code for answer in answers] == statuses
        assert {"strict-transport-security" in answer.headers for answer in answers} == {bool(proxies)}


async def test_too_much_over_a_socket_is_refused_and_the_line_is_closed(tmp_path: Path) -> None:
    async with served(on_a_port(tmp_path)) as page, httpx.AsyncClient(base_url=page.http) as client:
        assert (await client.post("/login", content=b"x" * 2_000_000)).status_code == 413
        assert (await client.get("/healthz")).status_code == 200


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def serial(given: Settings, authority: Authority) -> str:
    context = ssl.create_default_context(cafile=authority.ca)
    with (
        socket.create_connection(("127.0.0.1", given.dashboard.port), timeout=5) as line,
        context.wrap_socket(line, server_hostname="localhost") as wrapped,
    ):
        return str((wrapped.getpeercert() or {})["serialNumber"])


def test_https_with_a_certificate_that_sighup_renews(tmp_path: Path, authority: Authority) -> None:
    first, second = authority.certificate("first"), authority.certificate("second")
    files = tmp_path / "page.crt", tmp_path / "page.key"
    place(first, files)
    given = on_a_port(tmp_path, cert_file=files[0], key_file=files[1])
    trust = ssl.create_default_context(cafile=authority.ca)
    with running(given, verify=trust) as (process, client):
        assert log_in(client) == 303
        told = client.get("/api/v1/health")
        assert "problem" not in told.json()["page"]["certificate"]
        assert "strict-transport-security" not in told.headers, "every port of localhost would need TLS"
        named = client.get("/healthz", headers={"host": f"pi.local:{given.dashboard.port}"})
        assert named.headers["strict-transport-security"] == f"max-age={30 * 86_400}"
        assert all(cookie.secure for cookie in client.cookies.jar)
        before = serial(given, authority)
        place(second, files)
        os.kill(process.pid, signal.SIGHUP)
        wait_until(lambda: serial(given, authority) != before, STARTS_S, lambda: "it serves the old one")
        assert client.get("/api/v1/connect").status_code == 200
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(str(client.base_url))
        with pytest.raises(httpx.TransportError):
            httpx.get(str(client.base_url).replace("https", "http"))
        assert process.end(signal.SIGTERM)[0] == 0


async def test_the_stream_speaks_tls_and_nothing_older_than_1_2(tmp_path: Path, authority: Authority) -> None:
    cert, key = authority.certificate("stream")
    trust = ssl.create_default_context(cafile=authority.ca)
    async with served(on_a_port(tmp_path, cert_file=cert, key_file=key)) as page:
        async with connect(f"wss://localhost:{page.port}{PATH}", ssl=trust, additional_headers=BEARER) as line:
            assert (await ask(line, subscribe=["health/#"]))["ok"] is True
        old = ssl.create_default_context(cafile=authority.ca)
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await connect(f"wss://localhost:{page.port}{PATH}", ssl=old, additional_headers=BEARER)


def test_who_connects_and_never_shakes_hands_is_hung_up_on(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the process runs it: in its own loop, with its own time-outs."""
    monkeypatch.setattr(listener, "HANDSHAKE_S", 0.3)
    cert, key = authority.certificate("silent")

    async def silent() -> bytes:
        async with served(on_a_port(tmp_path, cert_file=cert, key_file=key)) as page:
            reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
            async with asyncio.timeout(5):
                said = await reader.read()
            writer.close()
            return said

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(silent()) == b""


def test_what_cannot_work_is_one_line_and_exit_2(tmp_path: Path, authority: Authority) -> None:
    old = authority.certificate("old", end="20250101000000Z")
    for page, told in (
        ({"password": None}, "visitors must log in, and there is no password"),
        ({"cert_file": old[0], "key_file": old[1]}, "has expired: renew it"),
        ({"cert_file": tmp_path / "none"}, "No such file or directory"),
    ):
        with started(on_a_port(tmp_path, **page)) as process:
            code, said = process.wait()
        assert code == 2, said
        (line,) = said.splitlines()
        assert told in line


def test_beyond_loopback_the_command_wants_a_password(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bridge.cli", "dashboard", "--data-dir", str(tmp_path)]
    environment = {**os.environ, "TICKBRIDGE_CONFIG": "", "TICKBRIDGE_DASHBOARD__HOST": "0.0.0.0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "dashboard.password_file" in done.stderr


def place(pair: tuple[Path, Path], files: tuple[Path, Path]) -> None:
    for new, old in zip(pair, files, strict=True):
        old.write_bytes(new.read_bytes())


async def test_healthy_hears_all_from_a_page_with_log_in_and_https_and_only_from_that_one(
    tmp_path: Path, authority: Authority
) -> None:
    cert, key = authority.certificate("healthy")
    given = on_a_port(tmp_path, cert_file=cert, key_file=key)
    async with served(given) as page:
        here = {"port": page.port, "host": "0.0.0.0"}
        told = await ask_page(given.model_copy(update={"dashboard": given.dashboard.model_copy(update=here)}))
        assert isinstance(told, dict)
        assert told.keys() == {"ok", "store", "broker"}
        here["cert_file"] = authority.certificate("another")[0]
        told = await ask_page(given.model_copy(update={"dashboard": given.dashboard.model_copy(update=here)}))
        assert "CERTIFICATE_VERIFY_FAILED" in told
