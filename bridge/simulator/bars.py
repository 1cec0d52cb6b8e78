"""Minutes gathered into longer candles, as an exchange's REST tells them. Pure."""

from collections.abc import Iterable
from decimal import Decimal
from itertools import groupby

from bridge.simulator.values import Bar


def gathered(minutes: Iterable[Bar], count: int) -> list[Bar]:
    """Candles of `count` minutes each, oldest first, of minutes that come oldest first."""
    if count == 1:
        return list(minutes)
    groups = groupby(minutes, key=lambda bar: bar.open_s // (60 * count) * 60 * count)
    return [_one(open_s, list(group)) for open_s, group in groups]


def _one(open_s: int, bars: list[Bar]) -> Bar:
    traded = [bar for bar in bars if bar.count] or bars[:1]
    return Bar(
        bars[0].native,
        open_s,
        bars[0].open,
        max((bar.high for bar in bars), key=Decimal),
        min((bar.low for bar in bars), key=Decimal),
        bars[-1].close,
        _sum(bar.volume for bar in bars),
        _sum(bar.turnover for bar in bars),
        sum(bar.count for bar in bars),
        traded[0].first_id,
        traded[-1].last_id,
        _sum(bar.taker_volume for bar in bars),
        _sum(bar.taker_turnover for bar in bars),
    )


def _sum(digits: Iterable[str]) -> str:
    return format(sum(map(Decimal, digits), Decimal(0)), "f")
