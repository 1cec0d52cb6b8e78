"""Mosquitto's own files, made from the templates in mosquitto/: the only copies of its configuration.

In a checkout they lie beside the package, in an installed wheel inside it.
"""

from ipaddress import ip_address
from pathlib import Path
from string import Template

from msgspec import Struct, structs

from bridge.errors import SettingsError
from bridge.settings import AUTOSAVE_S, Settings

CONFIGURATION = "mosquitto.conf"
ACL = "acl"
_PLAIN = (
    "port",
    "ws_port",
    "persistence_dir",
    "password_file",
    "acl_file",
    "system_user",
    "autosave_s",
    "max_queued_messages",
    "max_queued_bytes",
    "memory_limit",
)
_HERE = Path(__file__).resolve().parent


class Tls(Struct, frozen=True, kw_only=True):
    """Encrypted MQTT on a port of its own, and encrypted websockets.

    Mosquitto's own user must be able to read both files; `certfile` holds the certificate and those between it and its
    authority.
    """

    certfile: Path
    keyfile: Path
    port: int = 8883
    bind: str = "0.0.0.0"


class BrokerValues(Struct, frozen=True, kw_only=True):
    """What a private Mosquitto needs to know.

    `bind` is an address or `localhost`, `ws_bind` another one for the websockets; `system_user` is who Mosquitto runs
    as when root starts it. mosquitto/README.md explains the limits.
    """

    port: int
    ws_port: int
    persistence_dir: Path
    password_file: Path
    acl_file: Path
    system_user: str
    bind: str = "127.0.0.1"
    ws_bind: str | None = None
    tls: Tls | None = None
    autosave_s: int = AUTOSAVE_S
    max_queued_messages: int = 400_000
    max_queued_bytes: int = 128 * 1024 * 1024
    memory_limit: int = 768 * 1024 * 1024


class AclValues(Struct, frozen=True, kw_only=True):
    """The users' names, the topic prefix as the settings have it, Home Assistant's discovery root and birth topic."""

    prefix: str = ""
    discovery: str = "homeassistant"
    birth: str = "homeassistant/status"
    bridge: str = "bridge"
    dashboard: str = "dashboard"
    telegraf: str = "telegraf"
    homeassistant: str = "homeassistant"
    operator: str = "operator"
    guest: str = "guest"


def acl_values(settings: Settings) -> AclValues:
    """As the settings have them."""
    house = settings.homeassistant
    return AclValues(prefix=settings.prefix, discovery=house.discovery_root, birth=house.birth_topic)


def folder() -> Path:
    """Where the templates are. Raises SettingsError if the installation has none."""
    for place in (_HERE / "_files" / "mosquitto", _HERE.parent / "mosquitto"):
        if (place / CONFIGURATION).is_file():
            return place
    raise SettingsError(f"mosquitto/{CONFIGURATION} is neither beside nor inside {_HERE}: install Tickbridge again")


def render(values: BrokerValues) -> str:
    """mosquitto.conf with these values. Raises SettingsError for what Mosquitto would misread."""
    ws_bind = values.bind if values.ws_bind is None else values.ws_bind
    plain = {name: str(getattr(values, name)) for name in _PLAIN}
    listeners = {
        "bind": values.bind,
        "socket_domain": _socket_domain("bind", values.bind),
        "ws_bind": ws_bind,
        "ws_socket_domain": _socket_domain("ws_bind", ws_bind),
    }
    return _fill(CONFIGURATION, plain | listeners | _encrypted(values.tls))


def _encrypted(tls: Tls | None) -> dict[str, str]:
    """What stands before each line of TLS makes it a comment, or not."""
    if tls is None:
        return {"tls": "#"} | dict.fromkeys(("tls_port", "tls_bind", "tls_socket_domain", "certfile", "keyfile"), "")
    files = {"certfile": str(tls.certfile), "keyfile": str(tls.keyfile)}
    domain = _socket_domain("tls_bind", tls.bind)
    return {"tls": "", "tls_port": str(tls.port), "tls_bind": tls.bind, "tls_socket_domain": domain, **files}


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


def _socket_domain(key: str, bind: str) -> str:
    try:
        return f"ipv{ip_address('127.0.0.1' if bind == 'localhost' else bind).version}"
    except ValueError as error:
        raise SettingsError(f"broker file: {key} = {bind!r} is no address (127.0.0.1, 0.0.0.0, ::1, …)") from error
