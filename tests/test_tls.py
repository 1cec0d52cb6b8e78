"""The encrypted way to the broker: by its own authority everything flows, and what is wrong is said plainly."""

import asyncio
import gc
import json
import re
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from bridge.brokerfiles import Tls
from bridge.errors import BrokerLost, SettingsError
from bridge.settings import Broker as BrokerSettings
from bridge.settings import Settings
from bridge.tls import context, words
from dashboard.audit.asking import asking
from dashboard.broker import Inbox, passing_client
from dashboard.door.certificate import SOON_DAYS
from dashboard.healthy.looking import lets_in
from dashboard.history.recorder import Recorder
from tests.broker import Broker, free_ports
from tests.certificates import Authority
from tests.dashboard.audit.world import audited_world
from tests.mqtt.house import House, running, until

pytestmark = pytest.mark.real
UNKNOWN = "its certificate is signed by nobody known here: name the authority's certificate in broker.ca_file"
LEFT_OPEN = "ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
"""paho leaves a socket whose handshake fails to the garbage collector."""


@dataclass
class Port:
    """One broker with a certificate: its encrypted port, its plain one, and for the page."""

    broker: Broker
    tls: int

    @classmethod
    def of(cls, folder: Path, certificate: tuple[Path, Path]) -> "Port":
        (port,) = free_ports(1)
        file, key = certificate
        return cls(Broker(folder, tls=Tls(certfile=file, keyfile=key, port=port, bind="127.0.0.1")), port)


@dataclass
class Place:
    """An authority, another one, and brokers by what is the matter with their certificates."""

    authority: Authority
    stranger: Authority
    ports: dict[str, Port]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("tls")
    ours, stranger = Authority.new(folder / "ca"), Authority.new(folder / "stranger", "Somebody else")
    certificates = {
        "good": ours.certificate("good"),
        "soon": ours.certificate("soon", days=SOON_DAYS - 1),
        "expired": ours.certificate("expired", days=-1),
        "another name": ours.certificate("another", names="DNS:pi.local"),
        "another address": ours.certificate("elsewhere", names="IP:192.0.2.1"),
    }
    ports = {name: Port.of(folder / f"m-{name}", one) for name, one in certificates.items()}
    with ExitStack() as stack:
        for one in ports.values():
            stack.enter_context(one.broker)
        yield Place(ours, stranger, ports)


CASES = (
    "the system's authorities",
    "another authority",
    "expired",
    "another name",
    "another address",
    "a port without TLS",
    "a port with TLS",
)


def wrong(place: Place, case: str) -> tuple[dict[str, Any], str]:
    """Settings that cannot work, and what is said of them."""
    good, strange = place.ports["good"], place.stranger.file
    port = place.ports.get(case, good).tls
    changed: dict[str, tuple[dict[str, Any], str]] = {
        "the system's authorities": ({"ca_file": None}, UNKNOWN),
        "another authority": (
            {"ca_file": strange},
            f"its certificate is not signed by the authority in broker.ca_file = {strange}",
        ),
        "expired": ({}, "its certificate has expired: is the clock right, there and here?"),
        "another name": ({}, "its certificate is for another name: set broker.host"),
        "another address": ({"host": "127.0.0.1"}, "its certificate is for another name: set broker.host"),
        "a port without TLS": ({"port": good.broker.port}, f"is there TLS on port {good.broker.port}"),
        "a port with TLS": (
            {"tls": False, "ca_file": None},
            f"the broker hangs, or does port {port} want encryption? Then set broker.tls = true",
        ),
    }
    settings, told = changed[case]
    return {"host": "localhost", "port": port, "tls": True, "ca_file": place.authority.file} | settings, told


@pytest.mark.parametrize("case", CASES)
async def test_the_publisher_says_what_is_wrong(place: Place, case: str) -> None:
    settings, told = wrong(place, case)
    house = House(place.ports["good"].broker, **settings)
    async with running(house):
        await until(lambda: told in house.publisher.figures.reason, told)
    assert not house.publisher.figures.connected_once


@pytest.mark.filterwarnings(LEFT_OPEN)
@pytest.mark.parametrize("case", CASES)
async def test_everybody_else_says_the_same(place: Place, case: str) -> None:
    """Requests, recorder, live states and the verbs have one kind of client."""
    settings, told = wrong(place, case)
    broker = BrokerSettings(**settings, connect_timeout_s=1.0)
    with pytest.raises(aiomqtt.MqttError) as caught:
        async with passing_client(broker, "tickbridge-test", Inbox()):
            pass
    assert told in words(caught.value, broker)
    del caught
    gc.collect()


@pytest.mark.parametrize(("name", "said"), [("good", False), ("soon", True)])
async def test_healthy_says_that_the_brokers_certificate_ends_soon(place: Place, name: str, said: bool) -> None:
    broker = BrokerSettings(host="localhost", port=place.ports[name].tls, tls=True, ca_file=place.authority.file)
    finding = await lets_in(Settings(broker=broker), "broker")
    assert finding.ok
    assert ("; the certificate expires on 20" in finding.told) is said


@pytest.mark.filterwarnings(LEFT_OPEN)
async def test_the_recorder_and_the_audit_refuse_an_unknown_authority(place: Place) -> None:
    settings, told = wrong(place, "another authority")
    whole = Settings(broker=BrokerSettings(**settings))
    with pytest.raises(BrokerLost, match="not signed by the authority"):
        async with asking(whole, "audit"):
            pass
    recorder = Recorder(None, whole, lambda: None)  # type: ignore[arg-type] - it comes to nothing that is stored
    task = asyncio.create_task(recorder.run())
    await until(lambda: told in recorder.status()["broker"], "the recorder says it")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    gc.collect()


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_unusable_file_is_a_wrong_setting(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError, match=r"broker\.ca_file = .*ca\.pem: (No such file|holds no certificate)"):
        context(BrokerSettings(tls=True, ca_file=file))


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the certificates that the documentation's own lines make."""
    text = (Path(__file__).parents[1] / "docs" / "security.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"^```sh\n(.*?)^```", text.partition("### Certificates")[2], re.M | re.S)
    folder = tmp_path_factory.mktemp("documented")
    done = subprocess.run(["bash", "-euc", script], cwd=folder, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def verified(folder: Path, file: str, *options: str) -> str:
    """What openssl says of a certificate, in its strict mode."""
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", "ca.crt", *options, file]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=20, check=False)
    return done.stdout + done.stderr


def test_the_documented_certificate_is_good_for_its_names_and_its_authority_for_no_web_site(documented: Path) -> None:
    for name in ("pi", "pi.local", "localhost"):
        assert verified(documented, "server.crt", "-verify_hostname", name) == "server.crt: OK\n"
    assert verified(documented, "server.crt", "-verify_ip", "192.168.1.10") == "server.crt: OK\n"
    assert "hostname mismatch" in verified(documented, "server.crt", "-verify_hostname", "example.org")
    misused = Authority(documented).certificate("misused", names="DNS:example.org")[0]
    assert "permitted subtree violation" in verified(documented, misused.name)


async def test_the_documented_certificate_serves_a_client_that_is_as_strict_as_python_3_13(
    documented: Path, tmp_path: Path
) -> None:
    strict = ssl.create_default_context(cafile=documented / "ca.crt")
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    port = Port.of(tmp_path / "m", (documented / "server.crt", documented / "server.key"))
    with port.broker:
        for at, transport in ((port.tls, "tcp"), (port.broker.ws_port, "websockets")):
            async with aiomqtt.Client("localhost", at, transport=transport, tls_context=strict) as client:  # type: ignore[arg-type]
                await client.subscribe("x", 1)
                await client.publish("x", "encrypted", qos=1)
                async with asyncio.timeout(10):
                    assert (await anext(client.messages)).payload == b"encrypted"


@pytest.mark.slow
async def test_bridge_recorder_audit_and_a_browsers_websocket_work_encrypted(tmp_path: Path, place: Place) -> None:
    port = Port.of(tmp_path / "mosquitto", place.authority.certificate("whole"))
    ours = {"HOST": "localhost", "PORT": port.tls, "TLS": "true", "CA_FILE": place.authority.file}
    more = {f"BROKER__{name}": value for name, value in ours.items()}
    async with audited_world(tmp_path, broker=port.broker, **more) as world:
        await world.complete()
        code, report = await world.audit()
        assert (code, report.get("findings", [])) == (0, []), report
        assert report["ledger"].startswith("the bridge")
        trusting = ssl.create_default_context(cafile=place.authority.file)
        page = aiomqtt.Client("localhost", port.broker.ws_port, transport="websockets", tls_context=trusting)
        async with page, asyncio.timeout(20):
            await page.subscribe("prices/kucoin/BTC-USDT")
            assert json.loads((await anext(page.messages)).payload)["price"] > 0
