"""What compose.yaml lets out and in: by default nothing is open to the network, and no service may too much."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FILES = ("compose.yaml", "compose.demo.yaml")
WRITES_ANYWHERE = {"influxdb", "grafana"}
"""Their images write beside their volumes."""
STARTS_AS_ROOT = {"influxdb"}
"""Its first step hands the volume to its own user."""
OURS = "tickbridge:local"


def services() -> dict[str, dict[str, Any]]:
    """Every service as it is written, the demo's own ones included."""
    told: dict[str, dict[str, Any]] = {}
    for file in FILES:
        for name, one in yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))["services"].items():
            told.setdefault(name, one)
    return told


@pytest.mark.parametrize(("name", "service"), list(services().items()))
def test_ports_are_this_machines_own_unless_its_owner_says_otherwise(name: str, service: dict[str, Any]) -> None:
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:" if name == "influxdb" else ("${BIND:-127.0.0.1}:", "127.0.0.1:")), port
    assert service.get("network_mode") is None


@pytest.mark.parametrize(("name", "service"), list(services().items()))
def test_a_service_may_no_more_than_it_needs(name: str, service: dict[str, Any]) -> None:
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert (service.get("read_only") is True) == (name not in WRITES_ANYWHERE)
    if name not in STARTS_AS_ROOT:
        assert service["cap_drop"] == ["ALL"]
        assert OURS in service["image"] or not service["user"].startswith("0")
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", ()))


@pytest.mark.parametrize(("name", "service"), list(services().items()))
def test_no_secret_is_where_docker_inspect_shows_it(name: str, service: dict[str, Any]) -> None:
    secret = [key for key in service.get("environment", ()) if any(word in key for word in ("PASSWORD", "TOKEN"))]
    assert [key for key in secret if not key.endswith("_FILE")] == []


def test_our_image_does_not_run_as_root() -> None:
    users = [
        line for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines() if line.startswith("USER ")
    ]
    assert users == ["USER 1883:1883"]


@pytest.mark.parametrize(
    ("bind", "given", "login"),
    [
        (None, {}, "off"),
        ("127.0.0.1", {}, "off"),
        ("[::1]", {}, "off"),
        ("0.0.0.0", {}, "on"),
        ("192.168.1.7", {}, "on"),
        ("0.0.0.0", {"LOGIN": "off"}, "off"),
        ("127.0.0.1", {"LOGIN": "on"}, "on"),
        ("127.0.0.1", {"TRUSTED_PROXIES": "", "HOSTS": ""}, "off"),
        (None, {"TRUSTED_PROXIES": "172.16.0.0/12"}, "on"),
        ("127.0.0.1", {"HOSTS": "prices.example.org"}, "on"),
        ("127.0.0.1", {"HOSTS": "prices.example.org", "LOGIN": "off"}, "off"),
    ],
)
def test_the_page_asks_for_a_log_in_where_others_can_reach_it(
    tmp_path: Path, bind: str | None, given: dict[str, str], login: str
) -> None:
    """The very script that starts the container, with a program in place of ours that tells what it was given."""
    script = (ROOT / "compose" / "dashboard").read_text(encoding="utf-8").replace("/keys/", f"{tmp_path}/")
    (tmp_path / "guest").write_text("may-read")
    (tmp_path / "tickbridge").write_text('#!/bin/sh\nprintf "%s " "$@"; env\n')
    (tmp_path / "tickbridge").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"} | ({} if bind is None else {"BIND": bind})
    environment |= {f"TICKBRIDGE_DASHBOARD__{name}": value for name, value in given.items()}
    told = subprocess.run(
        ["sh", "-c", script], env=environment, check=True, capture_output=True, text=True, timeout=10
    ).stdout
    assert told.startswith("dashboard ")
    assert f"TICKBRIDGE_DASHBOARD__LOGIN={login}\n" in told
    assert "TICKBRIDGE_DASHBOARD__MQTT_PASSWORD=may-read\n" in told
    assert services()["dashboard"]["environment"]["BIND"] == "${BIND:-127.0.0.1}"
    assert services()["dashboard"]["command"] == ["sh", "compose/dashboard"]
