"""Which markets a simulated exchange has: well-known ones with plausible prices, and invented ones. Pure."""

from collections.abc import Iterable
from decimal import Decimal
from random import Random

from bridge.settings import BINANCE_WATCHLIST, KUCOIN_WATCHLIST
from bridge.simulator.values import Listing

INVENTED = 300
KNOWN_WEIGHT, INVENTED_WEIGHT = 1.0, 0.01
_PRICES = {
    "BTC-USDT": "84521.0", "ETH-USDT": "2667.64", "SOL-USDT": "165.213", "XRP-USDT": "2.31452",
    "BNB-USDT": "712.46", "DOGE-USDT": "0.18931", "ADA-USDT": "0.6123", "TRX-USDT": "0.27451",
    "AVAX-USDT": "27.413", "LINK-USDT": "17.8214", "DOT-USDT": "5.1234", "LTC-USDT": "96.41",
    "BCH-USDT": "412.77", "KCS-USDT": "11.2034", "ETH-BTC": "0.031562", "BTC-USDC": "84533.1",
    "SHIB-USDT": "0.000012345", "PEPE-USDT": "0.00000912", "MOG-USDT": "0.0000001141", "BSV-USDT": "24.651",
}  # fmt: skip
_RENAMED = {"BSV-USDT": "BCHSV-USDT"}
"""KuCoin keeps a market's first name on the wire after its currency is renamed."""
_SYLLABLES = ("ba", "do", "fi", "ga", "ko", "lu", "me", "na", "po", "ri", "sa", "tu", "vo", "xe", "zi")


def kucoin(symbols: Iterable[str] | None = None, invented: int = INVENTED, seed: int = 1) -> list[Listing]:
    """KuCoin's markets: the given symbols (by default our watchlist and some with very small prices), then invented."""
    known = (*KUCOIN_WATCHLIST, "SHIB-USDT", "PEPE-USDT", "MOG-USDT", "BSV-USDT") if symbols is None else symbols
    return [_listing(s, _RENAMED.get(s, s), s in KUCOIN_WATCHLIST, 10) for s in _all(known, invented, seed)]


def binance(symbols: Iterable[str] | None = None, invented: int = INVENTED, seed: int = 1) -> list[Listing]:
    """Binance's markets, its names without a hyphen; prices have at most eight decimals."""
    known = (*BINANCE_WATCHLIST, "SHIB-USDT", "PEPE-USDT") if symbols is None else tuple(symbols)
    return [_listing(s, s.replace("-", ""), s in BINANCE_WATCHLIST, 8) for s in _all(known, invented, seed)]


def _all(known: Iterable[str], invented: int, seed: int) -> list[str]:
    random, names = Random(seed), dict.fromkeys(known)
    wanted = len(names) + invented
    while len(names) < wanted:
        base = "".join(random.choice(_SYLLABLES) for _ in range(random.choice((2, 2, 3)))).upper()
        names.setdefault(f"{base}-{random.choice(('USDT', 'USDT', 'BTC'))}")
    return list(names)


def _listing(symbol: str, native: str, lively: bool, most_decimals: int) -> Listing:
    base, quote = symbol.split("-")
    price = Decimal(_PRICES.get(symbol) or _plausible(symbol))
    magnitude = price.adjusted()
    decimals = min(most_decimals, max(0, -int(price.as_tuple().exponent)))
    return Listing(
        native,
        symbol,
        base,
        quote,
        decimals,
        max(0, min(8, magnitude + 4)),
        max(10, int(price.scaleb(decimals))),
        KNOWN_WEIGHT if lively else INVENTED_WEIGHT,
    )


def _plausible(symbol: str) -> str:
    """A price that belongs to the name: the same at every exchange and in every run."""
    random = Random(symbol)
    exponent = random.choice((-5, -4, -3, -2, -1, 0, 1)) - (3 if symbol.endswith("-BTC") else 0)
    return format(Decimal(random.randrange(10_000, 99_999)).scaleb(exponent - 4), "f")
