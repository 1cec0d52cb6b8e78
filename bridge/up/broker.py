"""The private Mosquitto: its program found, its files written, its command line."""

import os
import shutil
import sys
from pathlib import Path
from pwd import getpwuid

from bridge.brokerfiles import BrokerValues, Tls, acl_values, render, render_acl
from bridge.errors import TickbridgeError
from bridge.up.folder import make_writable, trouble, write_whole
from bridge.up.plan import LOOPBACK, Plan
from bridge.up.users import PLACE, make_users, write_password_file

FOLDER, CONFIG, ACL, PASSWORDS = "mosquitto", "mosquitto.conf", "acl", "passwords"
PLACES = (
    "/usr/sbin",
    "/usr/bin",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/opt/homebrew/sbin",
    "/opt/homebrew/bin",
    "/opt/homebrew/opt/mosquitto/sbin",
    "/usr/local/opt/mosquitto/sbin",
)
"""Beside PATH, which for a Debian user has no sbin: Debian's places, then Homebrew's."""


def find_program(name: str) -> str:
    """Where Mosquitto's program of this name is. Raises TickbridgeError with the cure."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *PLACES])
    found = shutil.which(name, path=path)
    if found is None:
        cure = "brew install mosquitto" if sys.platform == "darwin" else "sudo apt-get install mosquitto"
        raise TickbridgeError(f"{name} is not installed: {cure}")
    return found


def prepare(plan: Plan) -> Path:
    """Write all of the broker's files; returns its configuration. Raises TickbridgeError with the cure."""
    folder = plan.data_dir / FOLDER
    make_writable(folder)
    write_password_file(make_users(plan.data_dir / PLACE), folder / PASSWORDS, find_program("mosquitto_passwd"))
    _write(folder / ACL, render_acl(acl_values(plan.settings)))
    tls = _tls(plan)
    values = BrokerValues(
        port=plan.ports.mqtt,
        ws_port=plan.ports.websocket,
        persistence_dir=folder,
        # started by root, Mosquitto would become another user, who cannot read a folder of root's
        system_user=getpwuid(os.geteuid()).pw_name,
        # where other machines can encrypt, no password of theirs must travel in the clear
        bind=plan.host if tls is None else LOOPBACK,
        ws_bind=plan.host,
        autosave_s=plan.settings.outbox.autosave_s,
        password_file=folder / PASSWORDS,
        acl_file=folder / ACL,
        tls=tls,
    )
    _write(folder / CONFIG, render(values))
    return folder / CONFIG


def _tls(plan: Plan) -> Tls | None:
    """The page's certificate is the broker's, too: an https page may connect to nothing unencrypted."""
    page = plan.settings.dashboard
    if page.cert_file is None or not plan.ports.mqtts:
        return None
    cert, key = page.cert_file.absolute(), (page.key_file or page.cert_file).absolute()
    return Tls(certfile=cert, keyfile=key, port=plan.ports.mqtts, bind=plan.host)


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text, 0o600)
    except OSError as error:
        raise trouble(path, error) from error
