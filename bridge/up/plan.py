"""What each child is told: pure, from the settings and what `up` has found out."""

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bridge.loading import ENV_CONFIG, as_environment
from bridge.settings import Settings
from bridge.up.child import Recipe
from bridge.up.users import PAGE

LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"
GUEST = "guest"
"""The user that may only read: whoever sees the page has its password."""
SETTINGS_ARE_WRONG = frozenset({2})


@dataclass(frozen=True)
class Ports:
    """Where the parts listen; the simulator's only in a demo, encrypted MQTT (`mqtts`) only with a certificate."""

    mqtt: int
    websocket: int
    page: int
    kucoin: int = 0
    binance: int = 0
    mqtts: int = 0


@dataclass(frozen=True)
class Plan:
    """Everything the children's environments are made of. `secrets`: each child's password file at the broker.

    `guest`: the password of GUEST, whom the page connects as.
    """

    settings: Settings
    file: Path | None
    texts: Mapping[str, str]
    data_dir: Path
    ports: Ports
    lan: bool = False
    demo: bool = False
    seed: int = 1
    secrets: Mapping[str, Path] = field(default_factory=dict)
    tag: str = ""
    guest: str = ""
    lock_fd: int = -1

    @property
    def host(self) -> str:
        """Where page and broker listen."""
        return EVERYWHERE if self.lan else LOOPBACK


def bridge(plan: Plan) -> Recipe:
    """`tickbridge run`."""
    return _ours(plan, "bridge", "run", {})


def dashboard(plan: Plan) -> Recipe:
    """`tickbridge dashboard`."""
    return _ours(
        plan,
        "dashboard",
        "dashboard",
        {
            "dashboard.host": plan.host,
            "dashboard.port": str(plan.ports.page),
            "dashboard.mqtt_websocket_port": str(plan.ports.websocket),
            "dashboard.mqtt_websocket_tls": str(bool(plan.ports.mqtts)).lower(),
            "dashboard.mqtt_user": GUEST,
            "dashboard.mqtt_password": plan.guest,
            **_page_password(plan),
        },
    )


def page_password(plan: Plan) -> Path | None:
    """The file of the password that was made for the page; None: the settings have their own, or none is asked for."""
    page = plan.settings.dashboard
    has_own = page.password is not None or page.password_file is not None
    asks = page.model_copy(update={"host": plan.host}).asks_login
    return plan.secrets.get(PAGE) if asks and not has_own else None


def _page_password(plan: Plan) -> dict[str, str]:
    file = page_password(plan)
    return {} if file is None else {"dashboard.password_file": str(file)}


def simulator(plan: Plan) -> Recipe:
    """The exchanges of a demo."""
    ports = ("--kucoin-port", str(plan.ports.kucoin), "--binance-port", str(plan.ports.binance))
    command = (sys.executable, "-m", "bridge.simulator", *ports, "--seed", str(plan.seed))
    return Recipe("simulator", command, _base(plan), keep_fds=_fds(plan))


def broker(plan: Plan, command: tuple[str, ...]) -> Recipe:
    """Mosquitto. What it says is of use only when something is wrong."""
    return Recipe("mosquitto", command, log_level=logging.DEBUG, keep_fds=_fds(plan))


def _ours(plan: Plan, name: str, verb: str, own: Mapping[str, str]) -> Recipe:
    """`name` is also the broker's user."""
    texts = {
        **plan.texts,
        "data_dir": str(plan.data_dir),
        "log.to": "journal",  # its lines then carry their level, and `up` writes them where the user wants them
        "broker.host": LOOPBACK,
        "broker.port": str(plan.ports.mqtt),
        "broker.user": name,
        "broker.password": "",
        "broker.password_file": str(plan.secrets[name]),
        "broker.tls": "false",
        "broker.ca_file": "",
        "broker.client_tag": plan.tag,
        **(_simulated(plan) if plan.demo else {}),
        **own,
    }
    command = (sys.executable, "-m", "bridge.cli", verb)
    environment = {**_base(plan), **as_environment(texts)}
    # a line without a priority did not come from its log: it is a crash
    return Recipe(name, command, environment, logging.WARNING, _fds(plan), SETTINGS_ARE_WRONG, watched=True)


def _simulated(plan: Plan) -> dict[str, str]:
    """The exchanges are children of ours; an offline machine may never learn the right time, and needs none here."""
    ports = {"kucoin": plan.ports.kucoin, "binance": plan.ports.binance}
    hosts = {
        f"exchanges.{name}.{kind}_host": f"{scheme}://{LOOPBACK}:{port}"
        for name, port in ports.items()
        for kind, scheme in (("rest", "http"), ("ws", "ws"))
    }
    return {**hosts, "demo": "true", "clock.sync": "trust"}


def _base(plan: Plan) -> dict[str, str]:
    return {ENV_CONFIG: str(plan.file.resolve()) if plan.file else "", "PYTHONUNBUFFERED": "1"}


def _fds(plan: Plan) -> tuple[int, ...]:
    return (plan.lock_fd,) if plan.lock_fd >= 0 else ()
