"""What compose.yaml lets out and in: by default nothing is open to the network, and no service may too much."""

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
