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


def started(folder: Path, script: str, environment: dict[str, str]) -> str:
    """What the very script that starts a container tells, with a program in place of the real one that says what it
    was given."""
    for name in ("guest", "password", "token", "client-tag"):
        (folder / name).write_text(f"the-{name}\n")
    for name in ("tickbridge", "telegraf"):
        (folder / name).write_text('#!/bin/sh\nprintf "%s " "$@"; env\n')
        (folder / name).chmod(0o755)
    path = {"PATH": f"{folder}:{os.environ['PATH']}"}
    line = ["sh", "-c", script.replace("/keys/", f"{folder}/")]
    return subprocess.run(line, env=path | environment, check=True, capture_output=True, text=True, timeout=10).stdout


@pytest.mark.parametrize(
    ("service", "told"),
    [
        ("bridge", "TICKBRIDGE_BROKER__CLIENT_TAG=the-client-tag"),
        ("dashboard", "TICKBRIDGE_BROKER__CLIENT_TAG=the-client-tag"),
        ("telegraf", "TELEGRAF_ID=telegraf-the-client-tag"),
    ],
)
def test_nobody_can_guess_a_services_client_ids(tmp_path: Path, service: str, told: str) -> None:
    shell, *rest = services()[service]["command"]
    script = rest[-1].replace("$$", "$") if service == "telegraf" else (ROOT / rest[0]).read_text(encoding="utf-8")
    assert shell == "sh"
    assert f"{told}\n" in started(tmp_path, script, {})


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
    environment = {} if bind is None else {"BIND": bind}
    environment |= {f"TICKBRIDGE_DASHBOARD__{name}": value for name, value in given.items()}
    told = started(tmp_path, (ROOT / "compose" / "dashboard").read_text(encoding="utf-8"), environment)
    assert told.startswith("dashboard ")
    assert f"TICKBRIDGE_DASHBOARD__LOGIN={login}\n" in told
    assert "TICKBRIDGE_DASHBOARD__MQTT_PASSWORD=the-guest\n" in told
    assert services()["dashboard"]["environment"]["BIND"] == "${BIND:-127.0.0.1}"
    assert services()["dashboard"]["command"] == ["sh", "compose/dashboard"]
