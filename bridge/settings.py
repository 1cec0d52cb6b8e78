"""Every setting, its default and its bounds. What each means stands in tickbridge.sample.toml, once.

How they come together (defaults < file < environment < command line) is loading.py's.
"""

import ipaddress
import os
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from bridge.errors import SettingsError
from bridge.events import Channel
from bridge.topics import symbol_problem

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Days = Annotated[int, Field(ge=0, le=36_500)]
Level = Literal["debug", "info", "warning", "error"]
Secret = Annotated[str | None, Field(repr=False)]
AUTOSAVE_S = 30
"""Seconds between two saves of our brokers, unless told otherwise."""
MAX_PREFIX = 100
MAX_SECRET_BYTES = 4096
MAX_PATTERN = 200
USUAL_ENTITIES = 50
"""So many prices in a Home Assistant are no burden to its recorder."""

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


def _symbol(text: str) -> str:
    if problem := symbol_problem(text):
        raise ValueError(f"{text!r} {problem}")
    if "-" not in text.strip("-") or text != text.upper():
        raise ValueError(f"{text!r} is not written BASE-QUOTE in capitals, like BTC-USDT")
    return text


def _shaped(pattern: str, words: str) -> AfterValidator:
    """A text that matches the whole pattern; `words` say to a person what is right."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {words}")
        return text

    return AfterValidator(check)


HttpHost = Annotated[str, _shaped(r"https?://[^/\s@?#]+", "http(s)://host or http(s)://host:port, without a path")]
HostName = Annotated[str, _shaped(r"[A-Za-z0-9.-]{1,253}", "a name like prices.example.org, without a port")]
WebsocketHost = Annotated[str, _shaped(r"wss?://[^/\s@?#]+", "ws(s)://host or ws(s)://host:port, without a path")]
Instance = Annotated[str, _shaped(r"[a-z0-9_]{1,32}", "1 to 32 small letters, digits and _")]
Shard = Annotated[str, _shaped(r"(\d{1,4}/\d{1,4})?", "k/n, like 1/2, or empty")]


def _prefix(text: str) -> str:
    levels = text.strip("/").split("/") if text.strip("/") else []
    if len(text) > MAX_PREFIX or any(symbol_problem(level) for level in levels):
        raise ValueError(f"must be at most {MAX_PREFIX} letters, digits and -._ in levels parted by /")
    return text


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no address or network like 192.168.1.7 or 10.0.0.0/24") from error
    return text


Topic = Annotated[
    str, _shaped(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+){0,7}", "levels of letters, digits, _ and -, parted by /")
]

Folder = Annotated[Path, AfterValidator(Path.expanduser)]
"""`~` is the home folder; a relative path starts at the folder Tickbridge is started in."""


class Section(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _read_secret(name: str, path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")[:MAX_SECRET_BYTES].strip()
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "is no UTF-8 text"
        raise SettingsError(f"{name} = {path}: {problem}") from error
    if not text:
        raise SettingsError(f"{name} = {path}: is empty")
    return text


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Broker(Section):
    """Where the MQTT broker is and who we are there."""

    host: str = "127.0.0.1"
    port: Port = 1883
    user: str | None = None
    password: Secret = None
    password_file: Folder | None = None
    tls: bool = False
    ca_file: Folder | None = None
    client_tag: Annotated[str, _shaped(r"[A-Za-z0-9]{0,32}", "at most 32 letters and digits")] = ""
    keepalive_s: Annotated[int, Field(ge=5, le=600)] = 10
    connect_timeout_s: Seconds = 10.0
    gather_ms: Annotated[float, Field(ge=0, le=1000)] = 10.0
    max_inflight: Annotated[int, Field(ge=1, le=65535)] = 4096

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("has both password and password_file: keep one of them")
        return self

    def secret(self) -> str | None:
        """The password itself, from the setting or its file. Raises SettingsError if the file cannot be read."""
        return self.password if self.password_file is None else _read_secret("broker.password_file", self.password_file)


class Outbox(Section):
    """The log of stream messages: how much and how long it remembers."""

    bytes: Annotated[int, Field(ge=1_000_000)] = 64 * 1024 * 1024
    keep_s: Annotated[float, Field(ge=2, le=86_400)] = 90.0
    autosave_s: Annotated[int, Field(ge=1, le=3600)] = AUTOSAVE_S

    @model_validator(mode="after")
    def _reaches_back(self) -> Self:
        """A broker killed outright forgets what came since its last save, and one save may have failed."""
        if self.keep_s < 2 * self.autosave_s:
            raise ValueError("needs keep_s of at least 2 * autosave_s: else what a killed broker forgets is gone")
        return self


Symbols = tuple[Annotated[str, AfterValidator(_symbol)], ...]


class ExchangeSettings(Section):
    """One exchange: what is subscribed, and where it is reached (`scheme://host[:port]`; None: its own hosts)."""

    enabled: bool = True
    symbols: Symbols = ()
    whole_market: bool = False
    channels: frozenset[Channel] = frozenset(Channel)
    rest_host: HttpHost | None = None
    ws_host: WebsocketHost | None = None


class KuCoinSettings(ExchangeSettings):
    """KuCoin: its own watchlist."""

    symbols: Symbols = KUCOIN_WATCHLIST


class BinanceSettings(ExchangeSettings):
    """Binance: its own watchlist."""

    symbols: Symbols = BINANCE_WATCHLIST


class Exchanges(Section):
    """The exchanges, by name."""

    kucoin: KuCoinSettings = KuCoinSettings()
    binance: BinanceSettings = BinanceSettings()


def _pattern(text: str) -> str:
    """`[EXCHANGE:]SYMBOL`, where * and ? stand for anything. Raises ValueError."""
    exchange, colon, symbol = text.rpartition(":")
    if (problem := symbol_problem(re.sub(r"[*?]", "", symbol) or "-")) or len(symbol) > MAX_PATTERN:
        raise ValueError(f"{text[:60]!r} {problem or 'is too long'}")
    if symbol != symbol.upper() or not symbol:
        raise ValueError(f"{text!r} is not written [EXCHANGE:]SYMBOL with the symbol in capitals, like kucoin:*-USDT")
    if colon and not any(fnmatchcase(name, exchange) for name in Exchanges.model_fields):
        raise ValueError(f"{text!r} names no exchange: there are {', '.join(Exchanges.model_fields)}")
    return text


Patterns = tuple[Annotated[str, AfterValidator(_pattern)], ...]


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

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.backoff_first_s > self.backoff_most_s:
            raise ValueError("has backoff_first_s above backoff_most_s")
        if self.ping_s + self.pong_s > self.proof_s:
            raise ValueError("needs ping_s + pong_s within proof_s: else every living line is given up")
        return self


class Fills(Section):
    """What is missing is fetched by REST: whether, and how much at most."""

    enabled: bool = True
    gap_rows: Annotated[int, Field(ge=1, le=100_000_000)] = 1_000_000
    backfill_rows: Annotated[int, Field(ge=1, le=10_000_000_000)] = 100_000_000
    give_up_h: Annotated[float, Field(gt=0, le=8760)] = 24.0


class Latest(Section):
    """How often the states are sent."""

    interval_s: Seconds = 1.0
    stats_interval_s: Seconds = 5.0


Heartbeat = Annotated[float, Field(ge=1, le=10)]
"""Seconds. A subscriber counts to 35: three of these, and some patience."""


class HomeAssistant(Section):
    """What Home Assistant is told of, by MQTT discovery."""

    enabled: bool = False
    symbols: Patterns = ()
    entities: Annotated[int, Field(ge=1, le=200)] = USUAL_ENTITIES
    interval_s: Heartbeat = 10.0
    discovery_root: Topic = "homeassistant"
    birth_topic: Topic = "homeassistant/status"


class Display(Section):
    """Prices as plain text, for displays that read no JSON."""

    enabled: bool = False
    symbols: Patterns = ()
    interval_s: Heartbeat = 1.0


class Clock(Section):
    """`auto` asks the system whether its clock is synchronised; `trust` never asks."""

    sync: Literal["auto", "trust"] = "auto"


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
        return bool(self.trusted_proxies) or not _is_loopback(self.host)

    @property
    def scheme(self) -> str:
        """What the page's address begins with."""
        return "http" if self.cert_file is None else "https"

    def secret(self) -> str | None:
        """The password of people, from the setting or its file. Raises SettingsError if the file cannot be read."""
        if self.password_file is None:
            return self.password
        return _read_secret("dashboard.password_file", self.password_file)


class History(Section):
    """Which store is read, and how long each kind is kept in either. Days of 0 keep for ever."""

    enabled: bool = True
    store: Literal["sqlite", "influx"] = "sqlite"
    prices_days: Days = 30
    trades_days: Days = 90
    candles_days: Days = 0
    gaps_days: Days = 0
    errors_days: Days = 30
    commit_s: Seconds = 10.0


class Influx(Section):
    """Where InfluxDB 2 is and what we may do there."""

    url: HttpHost = "http://127.0.0.1:8086"
    org: Annotated[str, Field(min_length=1, max_length=100)] = "tickbridge"
    bucket_prefix: Annotated[str, _shaped(r"[A-Za-z0-9_-]{0,50}", "at most 50 letters, digits, _ and -")] = ""
    token: Secret = None
    token_file: Folder | None = None
    timeout_s: Seconds = 10.0

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if self.token is not None and self.token_file is not None:
            raise ValueError("has both token and token_file: keep one of them")
        return self

    def secret(self) -> str | None:
        """The token itself, from the setting or its file. Raises SettingsError if there is none in it."""
        token = self.token if self.token_file is None else _read_secret("influx.token_file", self.token_file)
        if token is not None and not re.fullmatch(r"[!-~]+", token):  # anything else no HTTP header can carry
            where = "influx.token" if self.token_file is None else f"influx.token_file = {self.token_file}"
            raise SettingsError(f"{where}: is no token: one has no spaces, line ends or accents")
        return token


class Audit(Section):
    """The dashboard's continuous audit: how often it looks, and what it takes for settled."""

    enabled: bool = True
    every_s: Annotated[float, Field(ge=1, le=3600)] = 10.0
    settle_s: Annotated[float, Field(ge=1, le=3600)] = 15.0
    reach_s: Annotated[float, Field(ge=60, le=86_400)] = 600.0


class Watchdog(Section):
    """When a part of ours that does not move is taken to be stuck."""

    grace_s: Annotated[float, Field(ge=1, le=600)] = 30.0


class Log(Section):
    """`level` for all, `areas` for single ones (`{"bridge.session": "debug"}`); `to` terminal, file or journal."""

    level: Level = "info"
    areas: dict[str, Level] = {}
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
