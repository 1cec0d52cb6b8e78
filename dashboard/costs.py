"""What storing costs: bytes a day, of the whole market as an estimate, of what is stored now as measured. Pure."""

from typing import Any

from bridge.settings import Settings

DAY_S = 86_400
WHOLE_MARKET_TICKS_A_S = 1_000
"""One exchange's whole market on a lively day (KuCoin: some 1,300 symbols)."""
STORED_BYTES_A_TICK = 50
"""Measured at 1,300 symbols and 1,000 ticks a second; three times as much is written on the way there."""
ENOUGH_ROWS = 50_000


def costs(settings: Settings, status: dict[str, Any]) -> dict[str, Any]:
    """`whole_market` (is it on, bytes a day it costs or would cost) and `stored` (bytes on disk, bytes a tick)."""
    each = bytes_a_tick(status)
    exchanges = [getattr(settings.exchanges, name) for name in type(settings.exchanges).model_fields]
    wide = sum(one.enabled and one.whole_market for one in exchanges)
    enabled = max(1, sum(one.enabled for one in exchanges))
    return {
        "whole_market": {
            "on": bool(wide),
            "bytes_a_day": int((wide or enabled) * WHOLE_MARKET_TICKS_A_S * DAY_S * each),
        },
        "stored": {"on": bool(status), "bytes": status.get("file_bytes", 0), "bytes_a_tick": round(each, 1)},
    }


def bytes_a_tick(status: dict[str, Any]) -> float:
    """What a stored tick takes on disk: as measured here, or an estimate until there is enough to measure."""
    prices = status.get("segments", {}).get("prices", {"rows": 0, "bytes": 0})
    if prices["rows"] < ENOUGH_ROWS:
        return float(STORED_BYTES_A_TICK)
    return float(prices["bytes"] / prices["rows"])
