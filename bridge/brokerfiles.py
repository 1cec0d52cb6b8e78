"""Mosquitto's own files, made from the templates in mosquitto/: the only copies of its configuration.

In a checkout they lie beside the package, in an installed wheel inside it.
"""

from ipaddress import ip_address
from pathlib import Path
from string import Template

from msgspec import Struct, structs

from bridge.errors import SettingsError

CONFIGURATION = "mosquitto.conf"
ACL = "acl"
_HERE = Path(__file__).resolve().parent


class BrokerValues(Struct, frozen=True, kw_only=True):
    """What a private Mosquitto needs to know. Without a `password_file` anybody may connect.

    `bind` is an address or `localhost`; `system_user` is who Mosquitto runs as when root starts it; `anonymous` lets in
    whoever gives no name, too, for what the access list's first lines allow.
    """

    port: int
    ws_port: int
    persistence_dir: Path
    system_user: str
    bind: str = "127.0.0.1"
    password_file: Path | None = None
    acl_file: Path | None = None
    anonymous: bool = False


class AclValues(Struct, frozen=True, kw_only=True):
    """The users' names, the topic prefix as the settings have it, and the root of Home Assistant's discovery."""

    prefix: str = ""
    discovery: str = "homeassistant"
    bridge: str = "bridge"
    dashboard: str = "dashboard"
    telegraf: str = "telegraf"
    homeassistant: str = "homeassistant"
    operator: str = "operator"
    guest: str = "guest"


def folder() -> Path:
    """Where the templates are. Raises SettingsError if the installation has none."""
    for place in (_HERE / "_files" / "mosquitto", _HERE.parent / "mosquitto"):
        if (place / CONFIGURATION).is_file():
            return place
    raise SettingsError(f"mosquitto/{CONFIGURATION} is neither beside nor inside {_HERE}: install Tickbridge again")


def render(values: BrokerValues) -> str:
    """mosquitto.conf with these values. Raises SettingsError for what Mosquitto would misread."""
    return _fill(
        CONFIGURATION,
        {
            "port": str(values.port),
            "ws_port": str(values.ws_port),
            "bind": values.bind,
            "socket_domain": _socket_domain(values.bind),
            "system_user": values.system_user,
            "persistence_dir": str(values.persistence_dir),
            "allow_anonymous": "true" if values.password_file is None or values.anonymous else "false",
            "password_file": _line("password_file", values.password_file),
            "acl_file": _line("acl_file", values.acl_file),
        },
    )


def render_acl(values: AclValues) -> str:
    """The access list with these names. Raises SettingsError for what Mosquitto would misread."""
    prefix = values.prefix.strip("/")
    filled = {"prefix": f"{prefix}/" if prefix else "", "discovery": values.discovery.strip("/")}
    return _fill(ACL, structs.asdict(values) | filled)


def _fill(name: str, values: dict[str, str]) -> str:
    for key, value in values.items():
        _check(key, value)
    template = (folder() / name).read_text(encoding="utf-8")
    try:
        return Template(template).substitute(values)
    except (KeyError, ValueError) as error:
        raise SettingsError(f"mosquitto/{name}: cannot be filled in: {error}") from error


def _check(key: str, value: str) -> None:
    """A value is the rest of one line: a line break would become an option of its own."""
    if not value.isprintable() or value != value.strip():
        raise SettingsError(f"broker file: {key} = {value!r} must be printable, without blanks at its ends")


def _line(option: str, path: Path | None) -> str:
    return f"# no {option}" if path is None else f"{option} {path}"


def _socket_domain(bind: str) -> str:
    try:
        return f"ipv{ip_address('127.0.0.1' if bind == 'localhost' else bind).version}"
    except ValueError as error:
        raise SettingsError(f"broker file: bind = {bind!r} is no address (127.0.0.1, 0.0.0.0, ::1, …)") from error
