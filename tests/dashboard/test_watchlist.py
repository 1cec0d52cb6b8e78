"""The order of the settings' symbols."""

from bridge.settings import BinanceSettings, Exchanges, KuCoinSettings, Settings
from dashboard.watchlist import watchlist


def _settings(*, binance: bool = True) -> Settings:
    kucoin = KuCoinSettings(symbols=("ETH-BTC", "BTC-USDT"))
    return Settings(
        exchanges=Exchanges(kucoin=kucoin, binance=BinanceSettings(symbols=("BTC-USDT", "ADA-BTC"), enabled=binance))
    )


def test_each_symbol_stands_once_at_its_best_place() -> None:
    assert watchlist(_settings()) == ["ETH-BTC", "BTC-USDT", "ADA-BTC"]


def test_an_exchange_that_is_switched_off_has_no_say() -> None:
    assert watchlist(_settings(binance=False)) == ["ETH-BTC", "BTC-USDT"]
