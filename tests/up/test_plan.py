"""What the page of `up` is told, and what a person is told of it."""

from pathlib import Path
from typing import Any

import pytest

from bridge.settings import Dashboard, Settings
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
    assert dashboard(plan()).environment["TICKBRIDGE_DASHBOARD__MQTT_WEBSOCKET_TLS"] == "false"
