"""Deployed for real: two booted Debians, one of each profile, get the playbooks by ssh, and are looked at from outside.

One story in the order of the file: what comes later stands on what came before.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.broker import wait_until
from tests.pi.machine import Machine, Network, parts
from tests.pi.outside import Visitor, subscribe
from tests.pi.site import Site, audit, bundle, simulator

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(500)]
PROFILES = ["full", "embedded"]
BACK_S = 90.0
OURS = ("tickbridge-bridge", "tickbridge-dashboard")


@dataclass
class Home:
    """All of it."""

    machines: dict[str, Machine]
    site: Site
    made: Path

    def visitor(self, profile: str) -> Visitor:
        return Visitor(self.machines[profile], self.site.authority)

    def token(self, profile: str) -> str:
        return self.site.password(profile, "token tests")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    packages = parts().packages
    folder = tmp_path_factory.mktemp("home")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
    with ExitStack() as stack:
        stack.enter_context(Network())
        stack.callback(end, simulator())
        machines = {name: Machine(folder / name, name, 2 + n, folder / "key") for n, name in enumerate(PROFILES)}
        with ThreadPoolExecutor() as pool:
            list(pool.map(stack.enter_context, machines.values()))
        telegraf, influxdb = (str(next(packages.glob(f"{name}_*.deb"))) for name in ("telegraf", "influxdb2"))
        full = {"base_profile": "full", "telegraf_package": telegraf, "influxdb_package": influxdb}
        both = {"dashboard_programs": ["tests"], "base_repositories": []}
        site = Site(folder, machines, {"full": both | full, "embedded": both | {"base_profile": "embedded"}})
        site.bundles.mkdir()
        yield Home(machines, site, bundle(site.bundles, "3.13"))


def end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(timeout=20)


def healthy(machine: Machine) -> bool:
    return machine.ssh("sudo tickbridge healthy", check=False).returncode == 0


def test_a_wrong_variable_is_refused_by_name_before_anything_is_touched(home: Home) -> None:
    wrong = {"base_profile": "huge"}, {"bridge_settings": {"exchanges.kucoin.symbols": ["BTCUSDT"]}}, {"base_lam": True}
    for variables, words in zip(wrong, ("full, embedded", "BASE-QUOTE", "base_lam"), strict=True):
        played = home.site.play("site.yml", "-e", json.dumps(variables))
        assert played.code != 0
        assert words in played.output
        assert set(played.changed.values()) == {0}


def test_a_fresh_machine_shows_what_would_be_done(home: Home) -> None:
    played = home.site.play("site.yml", "--check", "--diff", "--limit", "embedded")
    assert played.code == 0, played.output[-5000:]
    assert home.machines["embedded"].ssh("ls /opt /etc/systemd/system").stdout.count("tickbridge") == 0


def test_it_is_installed_and_works(home: Home) -> None:
    played = home.site.play("site.yml", "--diff")
    assert played.code == 0, played.output[-5000:]
    for profile, machine in home.machines.items():
        assert machine.ssh("systemctl is-system-running", check=False).stdout == "running\n", failed(machine)
        everything = (
            played.output + machine.ssh("ps -eo args; sudo journalctl --no-pager; cat /etc/tickbridge/*.toml").stdout
        )
        for user in ("bridge", "dashboard", "telegraf", "homeassistant", "operator", "page", "token tests"):
            assert home.site.password(profile, user) not in everything, f"{user}'s password is shown"


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


def prices(visitor: Visitor, token: str, since_ns: int = 0) -> Any:
    return visitor.api(f"/api/v1/history/kucoin/BTC-USDT?from={since_ns}&limit=5", token)["rows"]


def failed(machine: Machine) -> str:
    return machine.ssh("systemctl --failed --no-pager; sudo journalctl --no-pager -p warning -n 40").stdout
