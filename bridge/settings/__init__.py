"""Every setting, its default and its bounds. What each means stands in tickbridge.sample.toml, once.

How they come together (defaults < file < environment < command line) is loading.py's.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from bridge.settings.broker import AUTOSAVE_S, Broker, Outbox
from bridge.settings.dashboard import Dashboard
from bridge.settings.exchanges import (
    BINANCE_WATCHLIST,
    KUCOIN_WATCHLIST,
    BinanceSettings,
    Exchanges,
    ExchangeSettings,
    Feed,
    Fills,
    KuCoinSettings,
)
from bridge.settings.history import Audit, History, Influx
from bridge.settings.house import USUAL_ENTITIES, Display, HomeAssistant, Latest
from bridge.settings.values import Folder, Section, shaped
from bridge.topics import symbol_problem

__all__ = [
    "AUTOSAVE_S",
    "BINANCE_WATCHLIST",
    "KUCOIN_WATCHLIST",
    "USUAL_ENTITIES",
    "Audit",
    "BinanceSettings",
    "Broker",
    "Clock",
    "Dashboard",
    "Display",
    "ExchangeSettings",
    "Exchanges",
    "Feed",
    "Fills",
    "History",
    "HomeAssistant",
    "Influx",
    "KuCoinSettings",
    "Latest",
    "Log",
    "Outbox",
    "Section",
    "Settings",
    "Watchdog",
    "default_data_dir",
]

Level = Literal["debug", "info", "warning", "error"]
Instance = Annotated[str, shaped(r"[a-z0-9_]{1,32}", "1 to 32 small letters, digits and _")]
Shard = Annotated[str, shaped(r"(\d{1,4}/\d{1,4})?", "k/n, like 1/2, or empty")]
MAX_PREFIX = 100


def _xdg(variable: str, fallback: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / fallback)


def default_data_dir() -> Path:
    """$XDG_DATA_HOME/tickbridge, by default ~/.local/share/tickbridge."""
    return _xdg("XDG_DATA_HOME", ".local/share") / "tickbridge"


def _prefix(text: str) -> str:
    levels = text.strip("/").split("/") if text.strip("/") else []
    if len(text) > MAX_PREFIX or any(symbol_problem(level) for level in levels):
        raise ValueError(f"must be at most {MAX_PREFIX} letters, digits and -._ in levels parted by /")
    return text


class Clock(Section):
    """`auto` asks the system whether its clock is synchronised; `trust` never asks."""

    sync: Literal["auto", "trust"] = "auto"


class Watchdog(Section):
    """When a part of ours that does not move is taken to be stuck."""

    grace_s: Annotated[float, Field(ge=1, le=600)] = 30.0


class Log(Section):
    """`level` for all, `areas` for single ones (`{"bridge.session": "debug"}`); `to` terminal, file or journal."""

    level: Level = "info"
    areas: dict[str, Level] = Field(default_factory=dict)
    to: Literal["terminal", "file", "journal"] = "terminal"
    file_bytes: Annotated[int, Field(ge=10_000)] = 5_000_000
    file_count: Annotated[int, Field(ge=1, le=100)] = 3


class Settings(Section):
    """The whole configuration of bridge and dashboard."""

    instance: Instance = "tickbridge"
    prefix: Annotated[str, AfterValidator(_prefix)] = ""
    shard: Shard = ""
    data_dir: Folder = Field(default_factory=default_data_dir)
    demo: bool = False
    broker: Broker = Broker()
    outbox: Outbox = Outbox()
    exchanges: Exchanges = Exchanges()
    feed: Feed = Feed()
    fills: Fills = Fills()
    latest: Latest = Latest()
    homeassistant: HomeAssistant = HomeAssistant()
    display: Display = Display()
    clock: Clock = Clock()
    dashboard: Dashboard = Dashboard()
    history: History = History()
    influx: Influx = Influx()
    audit: Audit = Audit()
    watchdog: Watchdog = Watchdog()
    log: Log = Log()

    def client_id(self, part: str) -> str:
        """What one of our connections that live long is called at the broker."""
        return "-".join(name for name in (self.instance, part, self.broker.client_tag) if name)
