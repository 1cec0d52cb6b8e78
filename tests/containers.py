"""Real parts in containers: InfluxDB, Telegraf and Mosquitto's official image.

All stand on the host's network, on free ports of 127.0.0.1, so that they meet brokers that a test runs natively.
"""

import getpass
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import httpx

from bridge.brokerfiles import AclValues, BrokerValues, render, render_acl
from tests.broker import PASSWORDS, free_ports, listens, open_to_all, private
from tests.engine import START_S, Part

TELEGRAF_CONF = Path(__file__).parents[1] / "telegraf" / "telegraf.conf"


class Influx(Part):
    """InfluxDB 2, set up with one organisation and an all-access token; `fresh` leaves it as it comes."""

    org = "tickbridge"

    def __init__(self, *, fresh: bool = False) -> None:
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = secrets.token_urlsafe(32)
        self._fresh = fresh
        super().__init__(
            "influxdb", ["influxd", "--http-bind-address", f"127.0.0.1:{self.port}", "--reporting-disabled"]
        )

    def start(self) -> None:
        super().start()
        if not self._fresh:
            self._set_up()
            self._fresh = True

    def _set_up(self) -> None:
        wish = {"username": "admin", "password": secrets.token_urlsafe(16), "org": self.org, "bucket": "unused"}
        httpx.post(f"{self.url}/api/v2/setup", json={**wish, "token": self.token}, timeout=START_S).raise_for_status()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2.0).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


class Telegraf(Part):
    """Telegraf with this configuration file: the project's own unless told otherwise."""

    def __init__(self, environment: Mapping[str, str], conf: Path = TELEGRAF_CONF) -> None:
        super().__init__(
            "telegraf",
            ["telegraf"],
            environment=environment,
            volumes={conf: "/etc/telegraf/telegraf.conf"},
        )

    def _answers(self) -> bool:
        return "[agent] Config:" in self.log


class Mosquitto(Part):
    """Mosquitto of its official image from our own mosquitto/ files, anonymous or with PASSWORDS' users."""

    host = "127.0.0.1"

    def __init__(self, folder: Path, *, with_users: bool = False) -> None:
        self.folder = folder
        self.port, self.ws_port = free_ports(2)
        self.with_users = with_users
        config = folder / "config"
        config.mkdir(parents=True)
        (folder / "data").mkdir()
        super().__init__(
            "mosquitto",
            ["sh", "-c", _START_MOSQUITTO],
            volumes={config: "/mosquitto/config", folder / "data": "/mosquitto/data"},
            user=f"{os.getuid()}:{os.getgid()}",
        )
        self._write(config)

    def _write(self, config: Path) -> None:
        inside = Path("/mosquitto/config")
        values = BrokerValues(
            port=self.port,
            ws_port=self.ws_port,
            persistence_dir=Path("/mosquitto/data"),
            system_user=getpass.getuser(),
            password_file=inside / "passwords",
            acl_file=inside / "acl",
        )
        text = render(values)
        (config / "mosquitto.conf").write_text(text if self.with_users else open_to_all(text))
        private(config / "plain", "".join(f"{name}:{secret}\n" for name, secret in PASSWORDS.items()))
        private(config / "acl", render_acl(AclValues()))

    def _answers(self) -> bool:
        return all(listens(port) for port in (self.port, self.ws_port))


_MOSQUITTO = "exec mosquitto -c /mosquitto/config/mosquitto.conf"
_START_MOSQUITTO = f"""
cd /mosquitto/config
[ -e passwords ] || {{ cp plain new && mosquitto_passwd -U new && chmod 600 new && mv new passwords; }}
{_MOSQUITTO}
"""
