"""`tickbridge up` and `demo` as a person starts them: real Mosquitto, real children, real signals."""

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import aiomqtt
import httpx
import pytest

from bridge.access import USERS
from bridge.errors import TickbridgeError
from bridge.settings import Settings
from bridge.up import broker
from bridge.up.users import PAGE, make_users
from tests.authority import Authority
from tests.broker import binary, free_ports
from tests.up.processes import gone

pytestmark = pytest.mark.real

START_S = 30.0
STOP_S = 5.0


class House:
    """One running `tickbridge VERB` in a folder and on ports of its own."""

    def __init__(
        self,
        folder: Path,
        verb: str = "demo",
        options: Sequence[str] = (),
        program: Sequence[str] = ("-m", "bridge.cli"),
    ) -> None:
        self.folder = folder / "demo" if verb == "demo" else folder
        self.mqtt, self.websocket, self.page = free_ports(3)
        ports = {"broker.port": self.mqtt, "dashboard.mqtt_websocket_port": self.websocket, "dashboard.port": self.page}
        sets = [part for name, port in ports.items() for part in ("--set", f"{name}={port}")]
        command = [sys.executable, *program, verb, "--data-dir", str(folder), *sets, *options]
        self.output = folder.parent / f"{folder.name}-{self.page}.out"
        environment = {**os.environ, "TICKBRIDGE_CONFIG": ""}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)

    def told(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def until(self, condition: Callable[[], Any], within_s: float = START_S) -> Any:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if found := condition():
                return found
            time.sleep(0.05)
        pytest.fail(f"not within {within_s:.0f} s; it said:\n{self.told()[-3000:]}")

    def up(self) -> "House":
        self.until(lambda: "Ctrl-C" in self.told())
        return self

    def child(self, name: str) -> dict[str, Any]:
        try:
            told: dict[str, Any] = json.loads((self.folder / "children.json").read_text()).get(name, {})
        except FileNotFoundError:
            return {}
        return told

    def pids(self) -> list[int]:
        return [told["pid"] for told in json.loads((self.folder / "children.json").read_text()).values() if told["pid"]]

    @property
    def guest(self) -> tuple[str, ...]:
        """How Mosquitto's own clients log in as the guest."""
        return ("-u", "guest", "-P", (self.folder / "users" / "guest.password").read_text().strip())

    def hear(self, topic: str, *where: str) -> dict[str, Any]:
        """The next message on a topic, for the guest; a broker that is being started again is waited for."""
        line = [binary("mosquitto_sub"), "-p", str(self.mqtt), "-t", topic, "-C", "1", "-W", "20"]
        command = [*line, *self.guest, *where]

        def heard() -> str:
            return subprocess.run(command, capture_output=True, text=True, timeout=25, check=False).stdout

        told: dict[str, Any] = json.loads(self.until(heard))
        return told

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(START_S)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., House]]:
    houses: list[House] = []

    def make(*arguments: Any, folder: str = "ticks") -> House:
        houses.append(House(tmp_path / folder, *arguments))
        return houses[-1]

    yield make
    for house in houses:
        if house.process.poll() is None:
            house.stop(signal.SIGTERM)


def answered(url: str) -> dict[str, Any]:
    """What the page's server answers; a symbol that it does not know yet is nothing."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            told: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return {}
    return told


def logged_in(url: str, password: str) -> dict[str, Any]:
    """What a person who logged in is told of the broker."""
    with httpx.Client(base_url=url, follow_redirects=True) as client:
        assert client.post("/login?next=/api/v1/connect", data={"password": password}).status_code == 200
        told: dict[str, Any] = client.get("/api/v1/connect").json()
    return told


def test_demo_shows_moving_prices_and_stops_in_time(start: Callable[..., House]) -> None:
    house = start().up()
    first = house.hear("latest/kucoin/BTC-USDT")
    assert first["stale"] is False
    house.until(lambda: house.hear("prices/kucoin/BTC-USDT")["price"] != first["price"])
    assert house.hear("health/bridge")["status"] == "online"
    told = answered(f"http://127.0.0.1:{house.page}/api/v1/connect")
    assert told["demo"] is True
    assert told["mqtt"]["port"] == house.websocket
    assert (told["mqtt"]["user"], told["mqtt"]["password"]) == ("guest", house.guest[-1])
    pids = house.pids()
    assert len(pids) == 4
    began = time.monotonic()
    assert house.stop() == 0
    assert time.monotonic() - began < STOP_S
    assert all(gone(pid) for pid in pids)


def test_what_was_published_before_the_stop_is_stored(start: Callable[..., House]) -> None:
    """The bridge flushes to the broker, the recorder commits, the broker saves: nothing waits for the next start."""
    house = start().up()
    told = house.hear("prices/binance/ETH-USDT")
    assert house.stop() == 0
    again = start().up()
    url = f"http://127.0.0.1:{again.page}/api/v1/history/binance/ETH-USDT?limit=10000"
    rows = again.until(lambda: answered(url).get("rows"))
    assert told in [{key: value for key, value in row.items() if key in told} for row in rows]


def test_child_that_dies_is_started_again_and_health_tells(start: Callable[..., House]) -> None:
    house = start().up()
    bridge = house.until(lambda: house.child("bridge").get("pid"))
    dashboard = house.child("dashboard")["pid"]
    os.kill(dashboard, signal.SIGKILL)
    house.until(lambda: house.child("dashboard").get("pid") not in (None, dashboard))
    assert house.child("bridge")["pid"] == bridge
    told = house.until(lambda: house.hear("health/bridge").get("children", {}).get("dashboard", {}).get("restarts"))
    assert told == 1


IMPATIENT = """
import sys
from bridge.cli import main
from bridge.up import brokersign, lifesign
lifesign.LOOK_S, lifesign.WATCHDOG_S, lifesign.START_S = 0.5, 6.0, 20.0
brokersign.LOOK_S, brokersign.ANSWER_S, brokersign.SILENT_S = 0.5, 0.2, 6.0
sys.exit(main())
"""


def test_children_that_hang_are_killed_and_started_again_and_health_tells(start: Callable[..., House]) -> None:
    house = start("demo", (), ("-c", IMPATIENT)).up()
    stopped = {name: house.until(lambda name=name: house.child(name).get("pid")) for name in ("bridge", "dashboard")}
    house.hear("latest/kucoin/BTC-USDT")
    for pid in stopped.values():
        os.kill(pid, signal.SIGSTOP)
    for name, pid in stopped.items():
        house.until(lambda name=name, pid=pid: house.child(name).get("pid") not in (None, pid))
        assert f"{name} hangs (no sign of life for" in house.told()
    told = house.until(lambda: house.hear("health/bridge").get("children", {}))
    assert {name: told[name]["hangs"] for name in stopped} == {"bridge": 1, "dashboard": 1}
    assert all(gone(pid) for pid in stopped.values())


def test_broker_that_hangs_is_killed_and_started_again_and_prices_flow_on(start: Callable[..., House]) -> None:
    house = start("demo", (), ("-c", IMPATIENT)).up()
    before = house.hear("prices/kucoin/BTC-USDT")
    broker = house.child("mosquitto")["pid"]
    os.kill(broker, signal.SIGSTOP)
    house.until(lambda: house.child("mosquitto").get("pid") not in (None, broker))
    assert "mosquitto hangs (no sign of life for" in house.told()
    assert house.child("mosquitto")["hangs"] == 1
    house.until(
        lambda: house.hear("prices/kucoin/BTC-USDT")["n"] > before["n"]
    )  # first comes what it may have forgotten


def test_killed_broker_comes_back_and_prices_flow_again(start: Callable[..., House]) -> None:
    house = start().up()
    house.hear("latest/kucoin/BTC-USDT")
    broker = house.child("mosquitto")["pid"]
    os.kill(broker, signal.SIGKILL)
    house.until(lambda: house.child("mosquitto").get("pid") not in (None, broker))
    assert house.hear("prices/kucoin/BTC-USDT")["n"] > 0


def test_what_home_assistant_is_told_first_is_on_the_brokers_disk_at_once(start: Callable[..., House]) -> None:
    seldom = [part for one in ("outbox.autosave_s=3600", "outbox.keep_s=7200") for part in ("--set", one)]
    house = start("demo", [*seldom, "--set", "homeassistant.enabled=true"]).up()
    disk = house.folder / "mosquitto" / "mosquitto.db"
    house.until(lambda: disk.exists() and b"sensors/kucoin" in disk.read_bytes(), 10)
    os.kill(house.child("bridge")["pid"], signal.SIGSTOP)
    broker = house.child("mosquitto")["pid"]
    os.kill(broker, signal.SIGKILL)
    house.until(lambda: house.child("mosquitto").get("pid") not in (None, broker))
    assert house.hear("sensors/kucoin") == {"status": "unknown"}
    os.kill(house.child("bridge")["pid"], signal.SIGCONT)


def test_children_die_with_a_killed_up(start: Callable[..., House]) -> None:
    house = start().up()
    house.until(lambda: house.child("bridge").get("pid"))
    pids = house.pids()
    house.stop(signal.SIGKILL)
    if sys.platform == "linux":
        house.until(lambda: all(gone(pid) for pid in pids), STOP_S + 2)


def test_second_up_on_one_folder_is_refused_with_one_line(start: Callable[..., House]) -> None:
    house = start().up()
    second = start()
    assert second.process.wait(START_S) == 1
    assert re.fullmatch(
        rf"tickbridge: \S+/ticks/demo: another tickbridge uses this folder \(process {house.process.pid}\): .*\n",
        second.told(),
    )


def test_taken_port_is_told_and_another_used(tmp_path: Path, start: Callable[..., House]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port: int = other.getsockname()[1]
        house = start("demo", ["--port", str(port)]).up()
        found = re.search(rf"port {port} \(page\) is taken by another program: (\d+) is used", house.told())
        assert found
        with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/healthz", timeout=5) as answer:
            assert answer.status == 200


def test_lan_has_users_and_the_guest_may_only_read(start: Callable[..., House]) -> None:
    house = start("demo", ["--lan"]).up()
    guest = house.guest
    printed = re.search(
        r"Try +(mosquitto_sub (?:-h [\d.]+ )?-p \d+ -u guest -P \w+ -t latest/kucoin/BTC-USDT) -v", house.told()
    )
    assert printed
    line = [*printed[1].split(), "-C", "1", "-W", "20"]
    assert json.loads(subprocess.run(line, capture_output=True, timeout=25, check=True).stdout)["stale"] is False
    assert answered(f"http://127.0.0.1:{house.page}/api/v1/connect") == {}, "nobody logged in"
    file = house.folder / "users" / "page.password"
    assert re.search(rf"log-in to the page +password in {re.escape(str(file))}\n", house.told())
    password = file.read_text().strip()
    assert password not in house.told(), "its output may be a log"
    assert logged_in(f"http://127.0.0.1:{house.page}", password)["mqtt"]["password"] == guest[-1]
    forged = [binary("mosquitto_pub"), "-p", str(house.mqtt), "-t", "gaps/forged", "-m", "{}", "-r", *guest]
    subprocess.run(forged, timeout=10, check=False)
    nothing = [
        binary("mosquitto_sub"),
        "-p",
        str(house.mqtt),
        "-t",
        "gaps/forged",
        "-W",
        "1",
        "--retained-only",
        *guest,
    ]
    assert subprocess.run(nothing, capture_output=True, timeout=10, check=False).stdout == b""
    stranger = [binary("mosquitto_sub"), "-p", str(house.mqtt), "-t", "#", "-W", "2"]
    assert subprocess.run(stranger, capture_output=True, timeout=10, check=False).returncode != 0
    secrets = [path for path in (house.folder / "users").iterdir()]
    assert {path.name for path in secrets} == {f"{name}.password" for name in (*USERS, PAGE)} | {"client-tag"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in secrets)
    commands = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert not any(path.read_text().strip() in commands for path in secrets)


async def refused_without_a_name(house: House) -> None:
    """Any web site reaches the websockets, through the browser of whoever looks at it."""
    v5 = aiomqtt.ProtocolVersion.V5
    site = {"Origin": "https://example.org"}
    program = aiomqtt.Client("127.0.0.1", house.mqtt, protocol=v5)
    page = aiomqtt.Client("127.0.0.1", house.websocket, transport="websockets", websocket_headers=site, protocol=v5)
    for stranger in (program, page):
        with pytest.raises(aiomqtt.MqttError, match="Not authorized"):
            await stranger.__aenter__()


async def test_without_a_password_nobody_is_let_in_and_a_guest_publishes_nothing(start: Callable[..., House]) -> None:
    """Nor does a guest throw the bridge off by taking the name that its connection usually has."""
    house = await asyncio.to_thread(lambda: start().up())
    await refused_without_a_name(house)
    assert (await asyncio.to_thread(house.hear, "latest/kucoin/BTC-USDT"))["stale"] is False
    forged = ("prices/kucoin/BTC-USDT", "latest/kucoin/BTC-USDT", "health/bridge", "tickbridge/request/backfill")
    told: list[tuple[str, bytes]] = []

    async def hear(stranger: aiomqtt.Client) -> None:
        async for message in stranger.messages:
            told.append((str(message.topic), bytes(message.payload)))
            if message.payload == b"end":
                return

    v5 = aiomqtt.ProtocolVersion.V5
    usual = Settings().client_id("bridge")
    password = (house.folder / "users" / "bridge.password").read_text().strip()
    page = aiomqtt.Client(
        "127.0.0.1",
        house.websocket,
        username="guest",
        password=house.guest[-1],
        transport="websockets",
        protocol=v5,
        identifier=usual,
    )
    async with (
        asyncio.timeout(START_S),
        page as stranger,
        aiomqtt.Client("127.0.0.1", house.mqtt, username="bridge", password=password, protocol=v5) as bridge,
    ):
        await stranger.subscribe([(topic, 1) for topic in (*forged, "errors/test", "tickbridge/#")])
        for topic in forged:
            await stranger.publish(topic, "forged", qos=1)
        await bridge.publish("errors/test", "end", qos=1)
        await hear(stranger)
    assert ("errors/test", b"end") in told
    assert [topic for topic, payload in told if payload == b"forged"] == []
    assert [topic for topic, _ in told if topic.startswith("tickbridge/")] == []
    assert {json.loads(payload)["status"] for topic, payload in told if topic == "health/bridge"} == {"online"}


def test_passwords_are_made_once(tmp_path: Path) -> None:
    users = make_users(tmp_path)
    before = {name: users.password(name) for name in USERS}
    assert len(set(before.values())) == len(USERS)
    again = make_users(tmp_path)
    assert {name: again.password(name) for name in USERS} == before


def test_unwritable_folder_is_one_line_with_the_cure(tmp_path: Path, start: Callable[..., House]) -> None:
    (tmp_path / "file").write_text("")
    house = start(folder="file")
    assert house.process.wait(START_S) == 1
    assert house.told().startswith(f"tickbridge: {tmp_path}/file: a file stands where a folder should be: choose")
    assert len(house.told().splitlines()) == 1


def test_wrong_setting_starts_nothing(start: Callable[..., House]) -> None:
    house = start("demo", ["--set", "feed.pings_s=1"])
    assert house.process.wait(START_S) == 2
    assert house.told() == "tickbridge: command line: feed.pings_s is no setting: did you mean feed.ping_s?\n"
    assert not house.folder.exists()


def test_missing_mosquitto_is_one_line_with_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(broker, "PLACES", ())
    cure = "brew install mosquitto" if sys.platform == "darwin" else "sudo apt-get install mosquitto"
    with pytest.raises(TickbridgeError, match=f"mosquitto is not installed: {cure}"):
        broker.find_program("mosquitto")


def test_a_history_that_is_none_is_put_aside_and_all_goes_on(start: Callable[..., House], tmp_path: Path) -> None:
    folder = tmp_path / "ticks" / "demo"
    folder.mkdir(parents=True)
    (folder / "history.sqlite").write_bytes(b"this is no database, and must not be lost")
    start().up()
    (aside,) = folder.glob("history.sqlite.damaged-*")
    assert aside.read_bytes().startswith(b"this is no database")


def test_a_certificate_encrypts_page_and_broker(start: Callable[..., House], tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    cert, key = authority.certificate("house")
    files = {"cert_file": cert, "key_file": key}
    house = start("demo", [part for name, file in files.items() for part in ("--set", f"dashboard.{name}={file}")]).up()
    trust = ssl.create_default_context(cafile=authority.ca)
    with httpx.Client(base_url=f"https://localhost:{house.page}", verify=trust) as client:
        told = client.get("/api/v1/connect").json()["mqtt"]
    assert told["tls"] is True
    found = re.search(r"MQTT over TLS +127\.0\.0\.1:(\d+)", house.told())
    assert found
    encrypted = ("-p", found[1], "--cafile", str(authority.ca))
    assert house.hear("latest/kucoin/BTC-USDT", *encrypted)["stale"] is False
    with (
        socket.create_connection(("127.0.0.1", told["port"]), timeout=5) as line,
        trust.wrap_socket(line, server_hostname="localhost") as wrapped,
    ):
        assert wrapped.version() in ("TLSv1.2", "TLSv1.3")
