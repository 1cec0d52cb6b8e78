"""Deployed for real: two booted Debians, one of each profile, get the playbooks by ssh, and are looked at from outside.

One story in the order of the file: what comes later stands on what came before.
"""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.broker import wait_until
from tests.certificates import Authority
from tests.pi.machine import CLOCK_IS_RIGHT, Machine, Network, parts
from tests.pi.outside import Visitor, reachable, retain, subscribe
from tests.pi.site import Site, audit, changed_bundle, simulated, simulator

# no second try of one part: it stands on what came before
pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.timeout(500),
    pytest.mark.flaky(reruns=0),
]
PROFILES = ["full", "embedded"]
UPGRADED = "embedded"
LIMIT = ("--limit", UPGRADED)
"""Upgrades take minutes, so that one machine has them all."""
BACK_S = 90.0
ASKED_S = 20.0
DAY_NS = 86_400 * 10**9
OURS = ("tickbridge-bridge", "tickbridge-dashboard")
LEDGER = "bridge/ledger/schema.py"
BETTER = [("bridge/__init__.py", '"0.1.0"', '"0.1.1"')]
NEW_DATA = [
    *BETTER,
    ("bridge/settings/house.py", "birth_topic:", "former_topic:"),
    (LEDGER, "elif version != VERSION:", "elif version > 2:"),
    (LEDGER, "db.execute(ADDED)", 'db.execute(ADDED); db.execute("PRAGMA user_version=2")'),
]
WRONG_CLOCK = """[Service]
Environment=LD_PRELOAD=/usr/$LIB/faketime/libfaketime.so.1
Environment=FAKETIME_TIMESTAMP_FILE=/etc/faketime FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1
SystemCallFilter=~adjtimex clock_adjtime
"""
"""The bridge's clock alone is wrong, and the kernel says nothing of it: a container has no other than its machine's."""
BROKEN = [("bridge/app.py", "return uvloop.run(_main(settings, reload))", 'raise RuntimeError("a broken release")')]
UNKNOWN = simulated() | {"homeassistant.birth_topic": "homeassistant/status"}
"""Settings with one that NEW_DATA does not know."""
WORSE = [
    (LEDGER, "elif version != VERSION:", "elif version > 3:"),
    (LEDGER, "db.execute(ADDED)", 'db.execute(ADDED); db.execute("PRAGMA user_version=3")'),
    (
        "bridge/app.py",
        "bridge = await Bridge.open(settings)",
        'await Bridge.open(settings); raise RuntimeError("worse")',
    ),
]
"""It converts the ledger first, and breaks then: the release before cannot read that any more."""


@dataclass
class Home:
    """All of it."""

    machines: dict[str, Machine]
    site: Site

    def visitor(self, profile: str) -> Visitor:
        return Visitor(self.machines[profile], self.site.authority)

    def token(self, profile: str) -> str:
        return self.site.password(profile, "token tests")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("home")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
    with ExitStack() as stack:
        stack.enter_context(Network())
        stack.callback(end, simulator())
        machines = {name: Machine(folder / name, name, 2 + n, folder / "key") for n, name in enumerate(PROFILES)}
        with ThreadPoolExecutor() as pool:
            list(pool.map(stack.enter_context, machines.values()))
        yield Home(machines, Site(folder, machines))


def end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(timeout=20)


def healthy(machine: Machine) -> bool:
    return machine.ssh("sudo tickbridge healthy", check=False).returncode == 0


def test_a_fresh_machine_shows_what_would_be_done(home: Home) -> None:
    given = {"HOST": "pi@embedded", "PROFILE": "embedded"}
    played = home.site.guided("install", "--check", "--diff", **given)
    assert (played.code, "Written: ansible/inventory.yml" in played.output) == (0, True), played.output[-5000:]
    assert home.machines["embedded"].ssh("ls /opt /etc/systemd/system").stdout.count("tickbridge") == 0
    home.site.describe(described())


def described() -> dict[str, dict[str, Any]]:
    """Beside what `make pi` has written."""
    packages = parts().packages
    telegraf, influxdb = (str(next(packages.glob(f"{name}_*.deb"))) for name in ("telegraf", "influxdb2"))
    full = {"base_profile": "full", "telegraf_package": telegraf, "influxdb_package": influxdb}
    both = {"dashboard_programs": ["tests"], "base_repositories": []}
    return {"full": both | full, "embedded": both}


def test_a_wrong_variable_is_refused_by_name_before_anything_is_touched(home: Home) -> None:
    wrong = {"base_profile": "huge"}, {"bridge_settings": {"exchanges.kucoin.symbols": ["BTCUSDT"]}}, {"base_lam": True}
    for variables, words in zip(wrong, ("full, embedded", "BASE-QUOTE", "base_lam"), strict=True):
        played = home.site.play("site.yml", "-e", json.dumps(variables))
        assert played.code != 0
        assert words in played.output
        assert set(played.changed.values()) == {0}


def test_it_is_installed_and_works(home: Home) -> None:
    played = home.site.guided("install", "--diff")
    assert (played.code, "https://embedded:8000" in played.output) == (0, True), played.output[-5000:]
    for profile, machine in home.machines.items():
        assert machine.ssh("systemctl is-system-running", check=False).stdout == "running\n", failed(machine)
        everything = (
            played.output + machine.ssh("ps -eo args; sudo journalctl --no-pager; cat /etc/tickbridge/*.toml").stdout
        )
        for user in ("bridge", "dashboard", "telegraf", "homeassistant", "operator", "page", "token tests"):
            assert home.site.password(profile, user) not in everything, f"{user}'s password is shown"
        # the broker's own log, which root alone reads, names its clients
        tag = home.site.password(profile, "client-tag")
        assert tag not in played.output + machine.ssh("ps -eo args; systemctl show '*'").stdout
        for client in (f"tickbridge-bridge-{tag} ", f"tickbridge-page-{tag} ", f"telegraf-{tag}-prices ")[
            : 3 if profile == "full" else 2
        ]:
            assert f" as {client}" in everything, client


def test_the_second_run_changes_nothing(home: Home) -> None:
    played = home.site.play("site.yml")
    assert (played.code, played.changed) == (0, dict.fromkeys(PROFILES, 0)), played.output[-5000:]


@pytest.mark.parametrize("profile", PROFILES)
def test_services_are_locked_in(home: Home, profile: str) -> None:
    machine = home.machines[profile]
    for unit in (*OURS, "mosquitto"):
        told = machine.ssh(f"systemd-analyze security --no-pager {unit}.service | tail -1").stdout
        exposure = float(re.findall(r"\d+\.\d+", told)[0])
        assert exposure <= 1.5, told
    told = machine.ssh(f"systemctl show -p MemoryMax,User,Type,NotifyAccess {' '.join(OURS)}").stdout
    assert told.count("Type=notify") == told.count("NotifyAccess=main") == 2
    assert "MemoryMax=infinity" not in told
    assert {"User=tickbridge-bridge", "User=tickbridge-dashboard"} <= set(told.split())


@pytest.mark.parametrize("profile", PROFILES)
def test_other_machines_reach_page_and_broker_by_tls_and_password_alone(home: Home, profile: str) -> None:
    machine, visitor = home.machines[profile], home.visitor(profile)
    assert "<title>Log in" in visitor.get("/")[1]
    assert visitor.get("/api/v1/health")[0] == 401
    assert visitor.log_in("guessed password")[0] in (401, 403)
    assert "<title>Tickbridge" in visitor.log_in(home.site.password(profile, "page"))[1]
    assert visitor.get("/api/v1/health")[0] == 200
    guest = home.site.password(profile, "guest")
    heard = subscribe(machine, home.site.authority, "latest/kucoin/BTC-USDT", user="guest", password=guest)
    assert heard.stdout.startswith("latest/kucoin/BTC-USDT {"), heard.stderr
    assert "not authorised" in subscribe(machine, home.site.authority, "latest/#").stderr
    assert "refused" in subscribe(machine, home.site.authority, "latest/#", port=1883).stderr


@pytest.mark.parametrize("profile", PROFILES)
def test_rows_are_in_the_store_and_the_audit_is_complete(home: Home, profile: str) -> None:
    visitor, token = home.visitor(profile), home.token(profile)
    wait_until(lambda: bool(prices(visitor, token)), BACK_S, lambda: "no rows in the store")
    wait_until(lambda: audit(home.machines[profile])["code"] == 0, BACK_S, lambda: str(audit(home.machines[profile])))


def prices(visitor: Visitor, token: str, since_ns: int = 0, until_ns: int | None = None) -> Any:
    until = f"&to={until_ns}" if until_ns else ""
    return visitor.api(f"/api/v1/history/kucoin/BTC-USDT?from={since_ns}{until}&limit=5", token)["rows"]


def failed(machine: Machine) -> str:
    return machine.ssh("systemctl --failed --no-pager; sudo journalctl --no-pager -p warning -n 40").stdout


def test_a_power_cut_under_load_heals_itself_and_the_audit_tells_the_truth(home: Home) -> None:
    cut_ns = time.time_ns()
    for machine in home.machines.values():
        machine.kill()
    with ThreadPoolExecutor() as pool:
        list(pool.map(Machine.boot, home.machines.values()))
    for profile, machine in home.machines.items():
        wait_until(lambda m=machine: healthy(m), BACK_S, lambda m=machine: failed(m))
        wait_until(lambda m=machine: explained(audit(m)), BACK_S, lambda m=machine: str(audit(m)))
        found = home.visitor(profile).api("/api/v1/gaps?limit=50", home.token(profile))["rows"]
        assert any(gap["from_ns"] <= cut_ns <= (gap.get("to_ns") or 2**63) for gap in found), found


def explained(report: dict[str, Any]) -> bool:
    """Nothing is missing, or a gap says of all that is missing why it cannot come back."""
    return all(finding["fate"] not in ("missing", "late") for finding in report.get("findings", []))


def test_a_clock_that_is_wrong_at_the_boot_and_corrected_later_leaves_no_wrong_time(home: Home) -> None:
    machine, visitor, token = home.machines["embedded"], home.visitor("embedded"), home.token("embedded")
    right = (machine.root / CLOCK_IS_RIGHT).read_text(encoding="utf-8")
    machine.ssh(f"sudo systemctl stop {' '.join(OURS)} mosquitto")
    machine.kill()
    for unit in OURS:
        machine.write(f"etc/systemd/system/{unit}.service.d/clock.conf", WRONG_CLOCK)
    machine.write("etc/faketime", "-400d\n")
    machine.write(CLOCK_IS_RIGHT, "")
    booted_ns = time.time_ns()
    machine.boot()
    why = "until the system's clock is right"
    wait_until(
        lambda: why in machine.ssh("sudo tickbridge healthy", check=False).stdout, BACK_S, lambda: failed(machine)
    )
    wait_until(lambda: latest(home, "embedded").get("stale") is False, BACK_S, lambda: failed(machine))
    assert "time_ns" not in latest(home, "embedded")
    corrected_ns = time.time_ns()
    machine.write(CLOCK_IS_RIGHT, right)
    machine.ssh("echo +0 | sudo tee /etc/faketime && sudo systemd-tmpfiles --create clock.conf")
    wait_until(lambda: bool(prices(visitor, token, corrected_ns)), BACK_S, lambda: failed(machine))
    wait_until(lambda: healthy(machine) and explained(audit(machine)), BACK_S, lambda: str(audit(machine)))
    assert prices(visitor, token, booted_ns, corrected_ns) == []
    assert prices(visitor, token, 0, booted_ns - DAY_NS) == []
    gaps = visitor.api("/api/v1/gaps?limit=50", token)["rows"]
    assert any(gap["cause"] == "clock" and gap["from_ns"] > booted_ns for gap in gaps), gaps
    for unit in OURS:
        machine.ssh(f"sudo rm -r /etc/systemd/system/{unit}.service.d")
    machine.ssh("sudo systemctl daemon-reload && sudo systemctl restart tickbridge-dashboard tickbridge-bridge")


def latest(home: Home, profile: str) -> dict[str, Any]:
    """What the broker retains of a price; empty: nothing."""
    machine, guest = home.machines[profile], home.site.password(profile, "guest")
    heard = subscribe(machine, home.site.authority, "latest/kucoin/BTC-USDT", user="guest", password=guest)
    told = json.loads(heard.stdout.partition(" ")[2] or "{}")
    assert isinstance(told, dict)
    return told


def test_options_that_are_changed_later_take_effect_and_lose_nothing(home: Home, tmp_path: Path) -> None:
    machine, secret = home.machines["full"], home.site.password("full", "homeassistant")
    kept = partial(subscribe, machine, topic="homeassistant/status", user="homeassistant", password=secret)
    retain(machine, home.site.authority, "homeassistant/status", "online", user="homeassistant", password=secret)
    machine.ssh("nohup python3 -m http.server 8080 >/dev/null 2>&1 &")
    wait_until(lambda: reachable(machine, 8080), BACK_S, lambda: "no server at 8080")
    mine = Authority.new(tmp_path / "mine")
    names = f"DNS:localhost,DNS:full,IP:127.0.0.1,IP:{machine.address}"
    cert, key = map(str, mine.certificate("full", names=names))
    tls = {
        "base_tls": "files",
        "base_tls_cert_file": cert,
        "base_tls_key_file": key,
        "base_tls_ca_file": str(mine.file),
    }
    more = {"base_firewall": True, "base_journal": "persistent", "mosquitto_persistence": "disk"}
    played = home.site.play("site.yml", "--limit", "full", "-e", json.dumps(tls | more))
    assert played.code == 0, played.output[-5000:]
    ports = (22, 1883, 8000, 8080, 8086, 8883, 9001)
    assert [port for port in ports if reachable(machine, port)] == [22, 8000, 8883, 9001]
    assert Visitor(machine, mine.file).get("/")[0] == 200
    assert "online" in kept(mine.file).stdout
    assert machine.ssh("findmnt /var/lib/mosquitto", check=False).returncode == 1
    assert machine.ssh("ls /var/log/journal").stdout
    wait_until(lambda: explained(audit(machine)), BACK_S, lambda: str(audit(machine)))


@contextmanager
def edited(file: Path, old: str, new: str) -> Iterator[None]:
    """With another text in it: the checkout after `git pull`."""
    before = file.read_text(encoding="utf-8")
    assert old in before
    file.write_text(before.replace(old, new), encoding="utf-8")
    yield
    file.write_text(before, encoding="utf-8")


def release(machine: Machine) -> str:
    return machine.ssh("readlink /opt/tickbridge/current").stdout.strip().rpartition("/")[2]


def settings(machine: Machine) -> str:
    """All that belongs to the release which runs."""
    return machine.ssh("cat /etc/tickbridge/tickbridge.toml /etc/systemd/system/tickbridge-*.service").stdout


def test_an_upgrade_shows_what_it_would_do_and_the_way_back_keeps_data_and_brings_the_settings_back(home: Home) -> None:
    machine = home.machines[UPGRADED]
    first, before = release(machine), settings(machine)
    more = {"bridge_settings": UNKNOWN, "bridge_memory_max": "310M", "mosquitto_memory_disk": "48M"}
    with edited(home.site.checkout / "bridge" / "__init__.py", '"0.1.0"', '"0.1.1"'):
        played = home.site.guided("upgrade", *LIMIT, "--check", "--diff")
        assert (played.code, release(machine), settings(machine)) == (0, first, before), played.output[-5000:]
        played = home.site.guided("upgrade", *LIMIT, "-e", json.dumps(more))
    assert played.code == 0, played.output[-5000:]
    assert release(machine).startswith("0.1.1-")
    assert {"MemoryMax=310M", 'homeassistant.birth_topic = "homeassistant/status"'} <= set(
        settings(machine).splitlines()
    )
    assert machine.ssh("findmnt --noheadings --output SIZE /var/lib/mosquitto").stdout.split() == ["48M"]
    assert "0.1.1" in machine.ssh("sudo tickbridge healthy --proof-may-wait").stdout
    played = home.site.guided("rollback", *LIMIT)
    assert played.code == 0, played.output[-5000:]
    assert (release(machine), settings(machine)) == (first, before)
    wait_until(lambda: explained(audit(machine)), BACK_S, lambda: str(audit(machine)))
    assert prices(home.visitor(UPGRADED), home.token(UPGRADED))


def test_the_brokers_state_is_on_the_disk_as_soon_as_a_service_asks(home: Home) -> None:
    machine = home.machines[UPGRADED]
    kept = "sudo stat -c %y%i /var/lib/tickbridge/mosquitto/mosquitto.db"
    before = machine.ssh(kept).stdout
    machine.ssh("sudo -u tickbridge-bridge touch /var/lib/tickbridge/bridge/sensors-unknown")
    wait_until(lambda: machine.ssh(kept).stdout != before, ASKED_S, lambda: failed(machine))


def test_back_to_a_release_that_cannot_read_newer_data_is_refused_and_undone(home: Home) -> None:
    machine = home.machines[UPGRADED]
    changed_bundle(home.site.made, "0.1.0-newdata", NEW_DATA)
    played = home.site.play("upgrade.yml", *LIMIT)
    assert played.code == 0, played.output[-5000:]
    played = home.site.play("rollback.yml", *LIMIT, "-e", "base_health_timeout_s=15")
    assert played.code != 0
    assert "newer Tickbridge" in played.output, played.output[-5000:]
    assert "runs again, healthy" in played.output
    assert release(machine) == "0.1.0-newdata"
    wait_until(lambda: healthy(machine), BACK_S, lambda: failed(machine))
    assert len(machine.ssh("ls /opt/tickbridge/releases").stdout.split()) == 2


def test_a_release_that_does_not_work_is_rolled_back_with_its_settings_and_says_why(home: Home) -> None:
    machine = home.machines[UPGRADED]
    before = settings(machine)
    changed_bundle(home.site.made, "0.1.0-broken", BROKEN)
    more = {"bridge_settings": UNKNOWN, "base_health_timeout_s": 15}
    played = home.site.play("upgrade.yml", *LIMIT, "-e", json.dumps(more))
    assert played.code != 0
    assert "RuntimeError: a broken release" in played.output, played.output[-5000:]
    assert (release(machine), settings(machine)) == ("0.1.0-newdata", before)
    wait_until(lambda: healthy(machine), BACK_S, lambda: failed(machine))


def test_a_broken_release_that_has_converted_the_data_stays_and_says_why_nothing_works(home: Home) -> None:
    changed_bundle(home.site.made, "0.1.0-worse", WORSE)
    times = {"base_health_timeout_s": 15, "base_rollback_timeout_s": 10}
    played = home.site.play("upgrade.yml", *LIMIT, "-e", json.dumps(times))
    assert played.code != 0
    for words in ("RuntimeError: worse", "newer Tickbridge", "0.1.0-worse was started again and stays"):
        assert words in played.output, played.output[-5000:]
    machine = home.machines[UPGRADED]
    assert release(machine) == "0.1.0-worse"
    assert machine.ssh("readlink /opt/tickbridge/previous").stdout.strip().endswith("/0.1.0-newdata")
