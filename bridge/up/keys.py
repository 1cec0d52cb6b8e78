"""What each service of compose.yaml may know, in a folder of its own: `python -m bridge.up.keys FOLDER`.

`all` holds every password and token; the folders beside it hold copies of what their service needs.
"""

import secrets
import sys
from pathlib import Path

from bridge.access import USERS
from bridge.brokerfiles import BrokerValues, acl_values, render, render_acl
from bridge.errors import TickbridgeError
from bridge.loading import load
from bridge.settings import Settings
from bridge.up.folder import make_writable, trouble, write_whole
from bridge.up.users import PAGE, make_users

ALL = "all"
TOKENS = {"telegraf": "telegraf.token", "dashboard": "dashboard.token", "grafana": "dashboard.token"}
"""Each service's token: those that read share the one that may only read."""
GRAFANA = "grafana.password"
INSIDE = Path("/keys")
"""Where a service sees its folder."""
OWNER, GROUP = 0o600, 0o640


def hand_out(folder: Path, settings: Settings) -> None:
    """Make what is missing and give every service its part. Raises FolderError, or SettingsError for the prefix."""
    users = make_users(folder / ALL)
    known = {name: users.password(name) for name in USERS}
    _make_once(folder / ALL / GRAFANA)
    _write(folder / "mosquitto", broker_files(known, settings))
    for name in ("bridge", "dashboard", "telegraf"):
        _write(folder / name, {"password": known[name], users.tag_file.name: users.tag})
    _write(folder / "dashboard", {"guest": known["guest"], "page": users.password(PAGE)})
    _write(folder / "grafana", {"password": _read(folder / ALL / GRAFANA)}, GROUP)
    for name, token in TOKENS.items():
        _write(folder / name, {"token": _read(folder / ALL / token)}, GROUP if name == "grafana" else OWNER)


def broker_files(passwords: dict[str, str], settings: Settings) -> dict[str, str]:
    """Mosquitto's files by name. It hashes `users` itself, into its own /tmp, when it starts."""
    values = BrokerValues(
        port=1883,
        ws_port=9001,
        bind="0.0.0.0",
        persistence_dir=Path("/mosquitto/data"),
        system_user="mosquitto",
        password_file=Path("/tmp/users"),
        acl_file=INSIDE / "acl",
        autosave_s=settings.outbox.autosave_s,
    )
    return {
        "mosquitto.conf": render(values),
        "acl": render_acl(acl_values(settings)),
        "users": "".join(f"{name}:{password}\n" for name, password in passwords.items()),
    }


def _make_once(file: Path) -> None:
    if not file.exists():
        _write(file.parent, {file.name: secrets.token_urlsafe(16)})


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise trouble(file, error) from error


def _write(folder: Path, files: dict[str, str], mode: int = OWNER) -> None:
    make_writable(folder)
    for name, text in files.items():
        try:
            write_whole(folder / name, text, mode)
        except OSError as error:
            raise trouble(folder / name, error) from error


def main(arguments: list[str]) -> int:
    """Exit codes: 0 done, 1 a folder cannot be used or a setting is wrong."""
    try:
        hand_out(Path(arguments[0]), load().settings)
    except TickbridgeError as error:
        sys.stderr.write(f"tickbridge: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
