"""The page: where it listens, who may see it, and with which certificate."""

import ipaddress
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.settings.values import Folder, HostName, Port, Secret, Section, read_secret


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no address or network like 192.168.1.7 or 10.0.0.0/24") from error
    return text


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Dashboard(Section):
    """The page and its HTTP API."""

    host: str = "127.0.0.1"
    port: Port = 8000
    hosts: tuple[HostName, ...] = ()
    login: Literal["auto", "on", "off"] = "auto"
    password: Secret = None
    password_file: Folder | None = None
    tokens_file: Folder | None = None
    session_days: Annotated[int, Field(ge=1, le=365)] = 30
    trusted_proxies: tuple[Annotated[str, AfterValidator(_network)], ...] = ()
    requests_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = 3000
    cert_file: Folder | None = None
    key_file: Folder | None = None
    hsts_days: Annotated[int, Field(ge=0, le=730)] = 30
    mqtt_websocket_host: HostName | None = None
    mqtt_websocket_port: Port = 9001
    mqtt_websocket_tls: bool = False
    mqtt_user: str | None = None
    mqtt_password: Secret = None

    @model_validator(mode="after")
    def _in_pairs(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("has both password and password_file: keep one of them")
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("has a key_file, but no cert_file")
        return self

    @property
    def asks_login(self) -> bool:
        """Whether visitors must log in. `auto`: as soon as another machine can reach the page, a proxy included."""
        if self.login != "auto":
            return self.login == "on"
        return bool(self.trusted_proxies or self.hosts) or not _is_loopback(self.host)

    @property
    def scheme(self) -> str:
        """What the page's address begins with."""
        return "http" if self.cert_file is None else "https"

    def secret(self) -> str | None:
        """The password of people, from the setting or its file. Raises SettingsError if the file cannot be read."""
        if self.password_file is None:
            return self.password
        return read_secret("dashboard.password_file", self.password_file)
