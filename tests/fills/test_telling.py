"""Rows that no store would take any more are not published."""

from bridge.clock import Clock
from bridge.events import Candle
from bridge.fills.jobs import Progress
from bridge.fills.telling import Teller
from bridge.outbox import Outbox
from bridge.settings import Settings
from bridge.streams import Streams
from bridge.topics import Topics

HOUR_NS = 3_600_000_000_000


async def told(days: int, age_h: float) -> bool:
    """Whether a candle of this age is published where a store keeps this many days."""
    clock, outbox = Clock("trust"), Outbox(1_000_000, 90)
    streams = Streams(outbox, lambda: None)
    streams.begin(1)
    settings = Settings.model_validate({"history": {"candles_days": days}})
    teller = Teller("kucoin", Topics(), streams, clock, settings)
    now_ns = clock.now_ns()
    prices = dict.fromkeys(("open", "high", "low", "close", "volume"), "1")
    candle = Candle("BTC-USDT", now_ns, "1m", now_ns - int(age_h * HOUR_NS), **prices)
    taken = await teller.candle(candle, Progress("1-kucoin-backfill-1", "backfill", "kucoin", "candles", 0, 1, 1))
    assert taken == (len(outbox.waiting()) == 1)
    return taken


async def test_a_row_that_grew_too_old_while_it_waited_for_its_turn_is_not_published() -> None:
    assert await told(2, 46.9)
    assert not await told(2, 47.1)
    assert await told(0, 10_000)
