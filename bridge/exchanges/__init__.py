"""The list of exchanges. A new one is one file, one line here, one folder of frames under tests/."""

from bridge.exchanges.base import Exchange
from bridge.exchanges.binance import Binance
from bridge.exchanges.kucoin import KuCoin

EXCHANGES: dict[str, type[Exchange]] = {one.name: one for one in (KuCoin, Binance)}
