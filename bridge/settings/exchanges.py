"""What of each exchange is wanted, how its lines are kept alive, and what is fetched again."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.events import Channel
from bridge.settings.values import HttpHost, Seconds, Section, WebsocketHost
from bridge.topics import symbol_problem

KUCOIN_WATCHLIST = (
    "BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "BNB-USDT", "DOGE-USDT", "ADA-USDT", "TRX-USDT",
    "AVAX-USDT", "LINK-USDT", "DOT-USDT", "LTC-USDT", "BCH-USDT", "KCS-USDT", "ETH-BTC",
)  # fmt: skip
BINANCE_WATCHLIST = (
    "BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "BNB-USDT", "DOGE-USDT", "ADA-USDT", "TRX-USDT",
    "AVAX-USDT", "LINK-USDT", "DOT-USDT", "LTC-USDT", "BCH-USDT", "BTC-USDC", "ETH-BTC",
)  # fmt: skip


def _symbol(text: str) -> str:
    if problem := symbol_problem(text):
        raise ValueError(f"{text!r} {problem}")
    if "-" not in text.strip("-") or text != text.upper():
        raise ValueError(f"{text!r} is not written BASE-QUOTE in capitals, like BTC-USDT")
    return text


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
