"""Payloads for tests, made by the bridge's own topics.py."""

from bridge.events import Candle, Tick, Trade
from bridge.topics import Gap, candle_body, filled, gap_body, numbered, tick_body, trade_body

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY = 1440 * MINUTE
NOON = 1_763_726_400 * SECOND
"""2025-11-21 12:00 UTC."""
RUN = 1_763_726_000_123


def tick(time_ns: int, price: str, n: int, *, run: int = RUN, bid: str = "1.10", ask: str = "1.20") -> bytes:
    made = Tick("BTC-USDT", time_ns, price=price, bid=bid, ask=ask, size="0.50000000", seq=time_ns % 1000)
    return numbered(tick_body(made, time_ns), run, n)


def trade(time_ns: int, price: str, n: int) -> bytes:
    made = Trade("BTC-USDT", time_ns, str(n), "buy", price, "0.1", time_ns, n)
    return numbered(trade_body(made, time_ns), RUN, n)


def candle(open_ns: int, ohlc: tuple[str, str, str, str], n: int, volume: str = "1.5") -> bytes:
    return numbered(candle_body(_candle(open_ns, ohlc, volume)), RUN, n)


def candle_fill(open_ns: int, ohlc: tuple[str, str, str, str], fill_n: int, volume: str = "1.5") -> bytes:
    return filled(candle_body(_candle(open_ns, ohlc, volume)), "fill-1", fill_n, "rest")


def _candle(open_ns: int, ohlc: tuple[str, str, str, str], volume: str) -> Candle:
    return Candle("BTC-USDT", open_ns + MINUTE, "1m", open_ns, *ohlc, volume)


def gap(gap_id: str, from_ns: int, to_ns: int | None, n: int, **fields: object) -> bytes:
    told: dict[str, object] = {"channel": "prices", "cause": "line lost", "state": "open", **fields}
    made = Gap(id=gap_id, exchange="kucoin", from_ns=from_ns, to_ns=to_ns, **told)  # type: ignore[arg-type]
    return numbered(gap_body(made, (to_ns or from_ns) + n), RUN, n)
