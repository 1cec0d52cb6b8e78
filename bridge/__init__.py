"""Tickbridge's bridge: exchanges' public market data in, MQTT out."""

__version__ = "0.1.0"
