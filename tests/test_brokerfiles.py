"""Mosquitto's files: filled in, safe against what would become an option, and taken by the real program."""

import re
from pathlib import Path
from typing import Any

import pytest

from bridge.brokerfiles import AclValues, BrokerValues, Tls, folder, render, render_acl
from bridge.errors import SettingsError
from tests.broker import Broker, run_client


def values(**more: Any) -> BrokerValues:
    usual: dict[str, Any] = {
        "port": 1883,
        "ws_port": 9001,
        "persistence_dir": Path("/srv/x"),
        "system_user": "nobody",
        "password_file": Path("/srv/passwords"),
        "acl_file": Path("/srv/acl"),
    }
    return BrokerValues(**usual | more)


def options(text: str) -> list[str]:
    """The lines that count."""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_nothing_is_left_to_fill_in() -> None:
    assert "${" not in render(values()) + render_acl(AclValues())


@pytest.mark.parametrize("name", ["mosquitto.conf", "acl"])
def test_a_template_needs_no_more_than_names_in_braces(name: str) -> None:
    """Ansible fills in these very files."""
    text = (folder() / name).read_text(encoding="utf-8")
    assert text.count("$") == len(re.findall(r"\$\{[a-z_]+\}", text))
    assert not re.search(r"\{[{%#]", text)


def test_nobody_unnamed_may_connect() -> None:
    told = options(render(values()))
    assert [line for line in told if "anonymous" in line] == ["allow_anonymous false"]
    assert "per_listener_settings false" in told, "2.0 denies messages to sessions restored from disk with it"


def test_with_certificates_other_machines_have_an_encrypted_port_and_the_plain_one_may_stay_on_loopback() -> None:
    plain = options(render(values(bind="0.0.0.0")))
    assert [line for line in plain if line.startswith(("listener", "certfile", "keyfile"))] == [
        "listener 1883 0.0.0.0",
        "listener 9001 0.0.0.0",
    ]
    tls = Tls(certfile=Path("/srv/server.crt"), keyfile=Path("/srv/server.key"))
    told = options(render(values(ws_bind="0.0.0.0", tls=tls)))
    own = ["certfile /srv/server.crt", "keyfile /srv/server.key"]
    assert [line for line in told if line.startswith(("listener", "certfile", "keyfile"))] == [
        "listener 1883 127.0.0.1",
        *["listener 9001 0.0.0.0", *own],
        *["listener 8883 0.0.0.0", *own],
    ]


def test_a_small_machine_has_smaller_limits() -> None:
    told = options(render(values(autosave_s=7, max_queued_messages=1000, max_queued_bytes=2000, memory_limit=3000)))
    wanted = {"autosave_interval 7", "max_queued_messages 1000", "max_queued_bytes 2000", "memory_limit 3000"}
    assert wanted <= set(told)


@pytest.mark.parametrize(("bind", "domain"), [("0.0.0.0", "ipv4"), ("::1", "ipv6"), ("localhost", "ipv4")])
def test_the_socket_domain_follows_the_address(bind: str, domain: str) -> None:
    assert render(values(bind=bind)).count(f"socket_domain {domain}\n") == 2


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        (values(bind="everywhere"), "bind = 'everywhere' is no address"),
        (values(system_user="me\nallow_anonymous true"), "system_user"),
        (values(password_file=Path("/srv/x ")), "password_file"),
        (values(tls=Tls(certfile=Path("/a"), keyfile=Path("/b"), bind="all")), "tls_bind = 'all' is no address"),
    ],
)
def test_what_mosquitto_would_misread_is_refused_by_name(bad: BrokerValues, named: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(named)):
        render(bad)


def test_a_missing_template_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.brokerfiles._HERE", tmp_path / "bridge")
    with pytest.raises(SettingsError, match="install Tickbridge again"):
        folder()


@pytest.mark.real
def test_mosquitto_takes_the_configuration_without_a_warning(guarded_broker: Broker) -> None:
    user, password = guarded_broker.credentials()
    port = str(guarded_broker.port)
    run_client(["mosquitto_pub", "-p", port, "-u", str(user), "-P", str(password), "-t", "health/x", "-m", "1", "-r"])
    told = run_client(
        ["mosquitto_sub", "-p", port, "-u", "guest", "-P", "guest-secret", "-t", "health/#", "-C", "1", "-W", "5"]
    )
    assert told.strip() == "1"
    warnings = [line for line in guarded_broker.log.splitlines() if "Warning" in line and "as root" not in line]
    assert warnings == []


@pytest.mark.real
def test_both_listeners_are_on_loopback_only(broker: Broker) -> None:
    wanted = {f"{port:04X}" for port in (broker.port, broker.ws_port)}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    rows += [line.split() for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]]
    addresses = {row[1] for row in rows if row[3] == "0A" and row[1].rpartition(":")[2] in wanted}
    assert addresses == {f"0100007F:{port}" for port in wanted}
