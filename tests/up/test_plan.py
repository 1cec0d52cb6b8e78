"""What the page of `up` is told, and what a person is told of it."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.settings import Dashboard, Settings
from bridge.up.broker import prepare
from bridge.up.house import log_in
from bridge.up.plan import Plan, Ports, dashboard, page_password
from bridge.up.welcome import welcome

SECRET = Path("/data/users/page.password")


def plan(*, lan: bool = False, mqtts: int = 0, **page: Any) -> Plan:
    settings = Settings(dashboard=Dashboard(**page))
    ports = Ports(1883, 9001, 8000, mqtts=mqtts)
    return Plan(settings, None, {}, Path("/data"), ports, lan=lan, secrets={"page": SECRET, "dashboard": Path("/d")})


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({}, False),
        ({"lan": True}, True),
        ({"login": "on"}, True),
        ({"lan": True, "login": "off"}, False),
        ({"lan": True, "password": "my own one"}, False),
        ({"lan": True, "password_file": Path("/mine")}, False),
    ],
)
def test_the_page_gets_the_password_that_was_made_only_where_it_asks_and_has_none(
    given: dict[str, Any], made: bool
) -> None:
    one = plan(**given)
    assert page_password(one) == (SECRET if made else None)
    told = dashboard(one).environment.get("TICKBRIDGE_DASHBOARD__PASSWORD_FILE")
    assert told == (str(SECRET) if made else None)


def test_an_https_page_is_sent_to_encrypted_websockets() -> None:
    one = plan(lan=True, mqtts=8883, cert_file=Path("/page.crt"))
    assert dashboard(one).environment["TICKBRIDGE_DASHBOARD__MQTT_WEBSOCKET_TLS"] == "true"
    told = welcome(one, "192.168.1.7", "may-look")
    for words in ("https://192.168.1.7:8000", "password may-look", "MQTT over TLS", "192.168.1.7:8883"):
        assert words in told
    assert "192.168.1.7:1883" not in told
    assert dashboard(plan()).environment["TICKBRIDGE_DASHBOARD__MQTT_WEBSOCKET_TLS"] == "false"
    assert "192.168.1.7:1883" in welcome(plan(lan=True), "192.168.1.7")


def test_the_pages_password_is_shown_on_a_terminal_only(tmp_path: Path) -> None:
    file = tmp_path / "page.password"
    file.write_text("may-look\n")
    ends = os.openpty()
    with open(ends[0], "rb"), open(ends[1], "w") as terminal:
        assert log_in(file, terminal) == "may-look"
    with (tmp_path / "log").open("w") as log:
        assert log_in(file, log) == f"in {file}"


@pytest.mark.real
@pytest.mark.parametrize("with_tls", [False, True])
def test_where_the_network_can_encrypt_it_is_offered_nothing_in_the_clear(tmp_path: Path, with_tls: bool) -> None:
    given = {"cert_file": Path("/page.crt"), "key_file": Path("/page.key")} if with_tls else {}
    one = replace(plan(lan=True, mqtts=8883 if with_tls else 0, **given), data_dir=tmp_path)
    text = prepare(one).read_text(encoding="utf-8")
    listeners = [line for line in text.splitlines() if line.startswith("listener")]
    encrypted = ["listener 9001 0.0.0.0", "listener 8883 0.0.0.0"]
    clear = ["listener 1883 0.0.0.0", "listener 9001 0.0.0.0"]
    assert listeners == (["listener 1883 127.0.0.1", *encrypted] if with_tls else clear)


def test_the_line_to_try_works_on_the_machines_that_are_let_in() -> None:
    assert "mosquitto_sub -h 192.168.1.7 -p 1883 -u guest" in welcome(plan(lan=True), "192.168.1.7")
    assert "mosquitto_sub -p 1883 -u guest" in welcome(plan(), None)
    assert "mosquitto_sub -p 1883 -u guest" in welcome(plan(lan=True, mqtts=8883), "192.168.1.7"), "encrypted elsewhere"
