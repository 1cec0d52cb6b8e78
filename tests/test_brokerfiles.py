"""Mosquitto's files: filled in, safe against what would become an option, and taken by the real program."""

import re
from pathlib import Path

import pytest

from bridge.brokerfiles import AclValues, BrokerValues, folder, render, render_acl
from bridge.errors import SettingsError
from tests.broker import Broker, run_client


def values(bind: str = "127.0.0.1", system_user: str = "nobody", password_file: Path | None = None) -> BrokerValues:
    return BrokerValues(
        port=1883,
        ws_port=9001,
        persistence_dir=Path("/srv/x"),
        system_user=system_user,
        bind=bind,
        password_file=password_file,
    )


def test_nothing_is_left_to_fill_in() -> None:
    assert "${" not in render(values()) + render_acl(AclValues())


def test_without_a_password_file_anybody_may_connect_and_with_one_nobody_unnamed() -> None:
    assert "allow_anonymous true" in render(values())
    guarded = render(values(password_file=Path("/srv/passwords")))
    assert "allow_anonymous false" in guarded
    assert "\npassword_file /srv/passwords\n" in guarded


@pytest.mark.parametrize(("bind", "domain"), [("0.0.0.0", "ipv4"), ("::1", "ipv6"), ("localhost", "ipv4")])
def test_the_socket_domain_follows_the_address(bind: str, domain: str) -> None:
    assert render(values(bind)).count(f"socket_domain {domain}\n") == 2


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        (values(bind="everywhere"), "bind = 'everywhere' is no address"),
        (values(system_user="me\nallow_anonymous true"), "system_user"),
        (values(password_file=Path("/srv/x ")), "password_file"),
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
