"""`tickbridge check`: everything that can be known to be wrong before anything is started. No network."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import SettingsError, TickbridgeError
from bridge.loading import Loaded
from bridge.settings import Settings
from bridge.tls import context
from bridge.up.broker import find_program, prepare
from bridge.up.doubts import doubts
from bridge.up.folder import make_writable
from bridge.up.plan import Plan, Ports


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `code`: what it means for the exit code; `warning`: allowed, but hardly meant."""

    what: str
    told: str
    code: int = 0
    warning: bool = False

    def line(self) -> str:
        """As a person reads it."""
        return f"{'wrong' if self.code else 'warn' if self.warning else 'ok':<6} {self.what:<13} {self.told}"


def check(loaded: Loaded, page: Callable[[Settings], str]) -> list[Finding]:
    """Look at settings, files, folder, programs and the broker's configuration; `page` looks at the page's own."""
    settings = loaded.settings
    looks: dict[str, Callable[[], str]] = {
        "symbols": lambda: _symbols(settings),
        "password": lambda: "from the settings or a file" if settings.broker.secret() else "none (`up` makes its own)",
        "certificates": lambda: _certificates(settings),
        "page": lambda: page(settings),
        "data folder": lambda: _folder(settings),
        "mosquitto": lambda: find_program("mosquitto"),
        "broker files": lambda: _broker_files(loaded),
    }
    found = [Finding("settings", str(loaded.file or "the defaults; no tickbridge.toml was found"))]
    return [*found, *_all(looks), *(Finding(what, told, warning=True) for what, told in doubts(settings))]


def _all(looks: dict[str, Callable[[], str]]) -> Iterator[Finding]:
    for what, look in looks.items():
        try:
            yield Finding(what, look())
        except SettingsError as error:
            yield Finding(what, str(error), 2)
        except TickbridgeError as error:
            yield Finding(what, str(error), 1)


def _symbols(settings: Settings) -> str:
    told = []
    for name in type(settings.exchanges).model_fields:
        one = getattr(settings.exchanges, name)
        if one.enabled and not one.symbols and not one.whole_market:
            raise SettingsError(
                f"exchanges.{name}.symbols = []: name some, or set enabled = false or whole_market = true"
            )
        told.append(f"{name} {_amount(one.enabled, len(one.symbols), one.whole_market)}")
    return ", ".join(told)


def _amount(enabled: bool, count: int, whole: bool) -> str:
    if not enabled:
        return "off"
    return f"the whole market and {count}" if whole else str(count)


def _certificates(settings: Settings) -> str:
    return "no TLS" if context(settings.broker) is None else str(settings.broker.ca_file or "the system's")


def _folder(settings: Settings) -> str:
    make_writable(settings.data_dir)
    return str(settings.data_dir)


def _broker_files(loaded: Loaded) -> str:
    """Written to a folder that is gone again at once: what `up` would write must not be touched while it runs."""
    settings = loaded.settings
    ports = Ports(settings.broker.port, settings.dashboard.mqtt_websocket_port, settings.dashboard.port)
    with tempfile.TemporaryDirectory(prefix="tickbridge-check-") as folder:
        plan = Plan(settings, loaded.file, {}, Path(folder), ports)
        prepare(plan)
    return "can be written"
