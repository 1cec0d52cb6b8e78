"""Fake exchanges that speak the real wire formats, with faults on demand: demo, tests and benchmarks use them."""

from bridge.simulator.binance import BinanceRules
from bridge.simulator.kucoin import KuCoinRules
from bridge.simulator.simulator import Options, Simulator

__all__ = ["BinanceRules", "KuCoinRules", "Options", "Simulator"]
