"""Where a running dashboard or bridge has its broker: left in the data folder, for `tickbridge audit` and `backfill`.

`up` takes another port where the usual one is taken, and with `--lan` users whose passwords are files.
"""

import logging
from pathlib import Path

import msgspec
from msgspec import Struct

from bridge.settings import Broker, Settings

FILE = "dashboard-broker.json"
BRIDGE_FILE = "bridge-broker.json"
log = logging.getLogger(__name__)


class Address(Struct, frozen=True, omit_defaults=True):
    """A broker, without a secret: a password only by its file."""

    host: str
    port: int
    user: str | None = None
    password_file: str | None = None
    tls: bool = False
    ca_file: str | None = None


_decode = msgspec.json.Decoder(Address).decode


def leave(settings: Settings, file: str = FILE) -> None:
    """Write it down. A folder that cannot be written costs only this."""
    broker = settings.broker
    files = (str(file.resolve()) if file else None for file in (broker.password_file, broker.ca_file))
    password_file, ca_file = files
    address = Address(broker.host, broker.port, broker.user, password_file, broker.tls, ca_file)
    path = settings.data_dir / file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)
        path.write_bytes(msgspec.json.encode(address))
    except OSError as error:
        log.warning("%s: %s", path, error.strerror)


def forget(settings: Settings, file: str = FILE) -> None:
    """It stops."""
    try:
        (settings.data_dir / file).unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s: %s", settings.data_dir / file, error.strerror)


def beside(settings: Settings, file: str = FILE) -> Settings | None:
    """These settings with the broker of what runs on the same folder; None if nothing does."""
    try:
        told = _decode((settings.data_dir / file).read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    broker = settings.broker.model_copy(
        update={
            "host": told.host,
            "port": told.port,
            "user": told.user,
            # a password that the settings hold themselves was its own, too
            "password": None if told.password_file else settings.broker.password,
            "password_file": Path(told.password_file) if told.password_file else None,
            "tls": told.tls,
            "ca_file": Path(told.ca_file) if told.ca_file else None,
        }
    )
    assert isinstance(broker, Broker)
    return settings.model_copy(update={"broker": broker})


def demo_hint(settings: Settings) -> str:
    """What to add if it is the running demo that is meant: its broker has users of its own. Empty: none runs."""
    demo = settings.data_dir / "demo"
    runs = any((demo / file).exists() for file in (FILE, BRIDGE_FILE))
    return f"for the demo, which has users of its own, add --data-dir {demo}" if runs else ""
