"""Every setting, its default, its bounds and what it means.

Order: defaults < tickbridge.toml < TICKBRIDGE_* < command line.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bridge.events import Channel

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]

KUCOIN_WATCHLIST = (
    "BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "BNB-USDT", "DOGE-USDT", "ADA-USDT", "TRX-USDT",
    "AVAX-USDT", "LINK-USDT", "DOT-USDT", "LTC-USDT", "BCH-USDT", "KCS-USDT", "ETH-BTC",
)  # fmt: skip
BINANCE_WATCHLIST = (
    "BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "BNB-USDT", "DOGE-USDT", "ADA-USDT", "TRX-USDT",
    "AVAX-USDT", "LINK-USDT", "DOT-USDT", "LTC-USDT", "BCH-USDT", "BTC-USDC", "ETH-BTC",
)  # fmt: skip


def _xdg(variable: str, fallback: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / fallback)


def default_data_dir() -> Path:
    """$XDG_DATA_HOME/tickbridge, by default ~/.local/share/tickbridge."""
    return _xdg("XDG_DATA_HOME", ".local/share") / "tickbridge"


class Section(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Broker(Section):
    """Where the MQTT broker is and who we are there."""

    host: str = "127.0.0.1"
    port: Port = 1883
    user: str | None = None
    password: str | None = None
    password_file: Path | None = None
    tls: bool = False
    ca_file: Path | None = None
    keepalive_s: Annotated[int, Field(ge=5, le=600)] = 10
    connect_timeout_s: Seconds = 10.0
    gather_ms: Annotated[float, Field(ge=0, le=1000)] = 5.0
    max_inflight: Annotated[int, Field(ge=1, le=65535)] = 4096


class Outbox(Section):
    """The log of stream messages: how much and how long it remembers."""

    bytes: Annotated[int, Field(ge=1_000_000)] = 64 * 1024 * 1024
    keep_s: Seconds = 90.0


class ExchangeSettings(Section):
    """One exchange: what is subscribed, and where it is reached."""

    enabled: bool = True
    symbols: tuple[str, ...] = ()
    whole_market: bool = False
    channels: frozenset[Channel] = frozenset(Channel)
    rest_host: str | None = None
    ws_host: str | None = None


class Exchanges(Section):
    """The exchanges, by name."""

    kucoin: ExchangeSettings = ExchangeSettings(symbols=KUCOIN_WATCHLIST)
    binance: ExchangeSettings = ExchangeSettings(symbols=BINANCE_WATCHLIST)


class Feed(Section):
    """How a line is kept alive and when it is given up."""

    connect_timeout_s: Seconds = 10.0
    close_timeout_s: Seconds = 2.0
    proof_s: Seconds = 20.0
    ping_s: Seconds = 10.0
    pong_s: Seconds = 8.0
    silence_s: Seconds = 30.0
    backoff_first_s: Seconds = 1.0
    backoff_most_s: Seconds = 60.0
    stall_s: Seconds = 5.0
    unheard_symbol_s: Seconds = 60.0
    looks_per_minute: Annotated[int, Field(ge=0)] = 6
    first_candles_h: Annotated[int, Field(ge=0, le=168)] = 24


class Latest(Section):
    """How often the states are sent."""

    interval_s: Seconds = 1.0
    stats_interval_s: Seconds = 5.0


class Clock(Section):
    """`auto` asks the system whether its clock is synchronised; `trust` never asks."""

    sync: Literal["auto", "trust"] = "auto"


class Dashboard(Section):
    """The page and its HTTP API."""

    host: str = "127.0.0.1"
    port: Port = 8000
    mqtt_websocket_port: Port = 9001
    mqtt_user: str | None = None
    mqtt_password: str | None = None


class History(Section):
    """The embedded store (SQLite). Days of 0 keep for ever."""

    enabled: bool = True
    prices_days: Annotated[int, Field(ge=0)] = 30
    trades_days: Annotated[int, Field(ge=0)] = 90
    candles_days: Annotated[int, Field(ge=0)] = 0
    gaps_days: Annotated[int, Field(ge=0)] = 0
    errors_days: Annotated[int, Field(ge=0)] = 30
    commit_s: Seconds = 10.0


class Log(Section):
    """`level` for all, `areas` for single ones (`{"bridge.session": "debug"}`); `to` terminal, file or journal."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    areas: dict[str, Literal["debug", "info", "warning", "error"]] = {}
    to: Literal["terminal", "file", "journal"] = "terminal"
    file_bytes: Annotated[int, Field(ge=10_000)] = 5_000_000
    file_count: Annotated[int, Field(ge=1)] = 3


class Settings(Section):
    """The whole configuration of bridge and dashboard."""

    instance: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")] = "tickbridge"
    prefix: str = ""
    shard: Annotated[str, Field(pattern=r"^(\d+/\d+)?$")] = ""
    data_dir: Path = Field(default_factory=default_data_dir)
    broker: Broker = Broker()
    outbox: Outbox = Outbox()
    exchanges: Exchanges = Exchanges()
    feed: Feed = Feed()
    latest: Latest = Latest()
    clock: Clock = Clock()
    dashboard: Dashboard = Dashboard()
    history: History = History()
    log: Log = Log()
