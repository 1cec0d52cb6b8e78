"""The invented market: deterministic, exact, consistent with its own past."""

from decimal import Decimal
from itertools import pairwise

import pytest

from bridge.settings import BINANCE_WATCHLIST, KUCOIN_WATCHLIST
from bridge.simulator import listings
from bridge.simulator.market import Market
from bridge.simulator.values import Bar, Deal, Event, Quote, padded, trimmed

BEGAN_NS = 1_795_248_000_000_000_000
STEP_NS = 50_000_000


def market(seed: int = 1, start_ns: int = BEGAN_NS, rate: float = 400.0) -> Market:
    known = listings.kucoin(invented=20)
    return Market(known, trimmed, seed=seed, path_seed=1, start_ns=start_ns, rate=rate)


def lived(one: Market, seconds: int, start_ns: int = BEGAN_NS) -> list[Event]:
    return [event for at in range(seconds * 20) for event in one.advance(start_ns + (at + 1) * STEP_NS)]


def test_the_same_seed_and_times_give_the_same_market() -> None:
    assert lived(market(), 5) == lived(market(), 5)
    assert lived(market(seed=2), 5) != lived(market(), 5)


def test_it_makes_as_many_quotes_as_the_rate_says() -> None:
    quotes = [event for event in lived(market(rate=400.0), 5) if isinstance(event, Quote)]
    assert len(quotes) == 2000


def test_a_stalled_clock_is_not_made_up_for_at_length() -> None:
    assert len([e for e in market().advance(BEGAN_NS + 3600 * 10**9) if isinstance(e, Quote)]) == 400


def test_bids_lie_below_asks_and_prices_above_zero() -> None:
    for event in lived(market(), 20):
        if isinstance(event, Quote):
            assert 0 < Decimal(event.bid) < Decimal(event.ask)
            assert min(map(Decimal, (event.price, event.size, event.bid_size, event.ask_size))) > 0


def test_sequences_and_trade_ids_of_a_symbol_only_grow() -> None:
    events = [event for event in lived(market(), 20) if event.native == "BTC-USDT"]
    seqs = [event.seq for event in events if isinstance(event, Quote)]
    deals = [event for event in events if isinstance(event, Deal)]
    assert all(a < b for a, b in pairwise(seqs))
    assert [deal.id for deal in deals] == list(range(deals[0].id, deals[0].id + len(deals)))
    assert all(a.last_id + 1 == b.first_id for a, b in pairwise(deals))


def test_some_trades_share_one_moment() -> None:
    deals = [e for e in lived(market(), 20) if isinstance(e, Deal) and e.native == "BTC-USDT"]
    assert len({deal.time_ms for deal in deals}) < len(deals)


def test_a_live_candle_is_built_from_its_own_trades() -> None:
    one = market(rate=2000.0)
    deals = [e for e in lived(one, 30) if isinstance(e, Deal) and e.native == "ETH-USDT"]
    (bar,) = one.bars("ETH-USDT", BEGAN_NS // 10**9, BEGAN_NS // 10**9 + 60)
    prices = [Decimal(deal.price) for deal in deals]
    assert (Decimal(bar.open), Decimal(bar.close)) == (prices[0], prices[-1])
    assert (Decimal(bar.high), Decimal(bar.low)) == (max(prices), min(prices))
    assert Decimal(bar.volume) == sum(Decimal(deal.size) for deal in deals)
    assert Decimal(bar.turnover) == sum(Decimal(deal.size) * Decimal(deal.price) for deal in deals)
    assert (bar.first_id, bar.last_id) == (deals[0].first_id, deals[-1].last_id)


def test_a_closed_live_candle_stays_what_it_was() -> None:
    one, since = market(rate=100.0), BEGAN_NS // 10**9
    lived(one, 59)
    before = one.bars("ETH-USDT", since, since + 60)
    lived(one, 60, BEGAN_NS + 60 * 10**9)
    assert one.bars("ETH-USDT", since, since + 60) == before


def test_history_is_the_same_however_it_is_paged_and_whenever_it_is_asked() -> None:
    since = BEGAN_NS // 10**9 - 3 * 86_400
    whole = market().bars("BTC-USDT", since, since + 6000)
    pages = [bar for at in range(since, since + 6000, 600) for bar in market(seed=9).bars("BTC-USDT", at, at + 600)]
    assert len(whole) == 100
    assert pages == whole


def test_history_has_every_minute_and_each_opens_where_the_last_closed() -> None:
    since = BEGAN_NS // 10**9 - 86_400
    bars = market().bars("MOG-USDT", since, since + 86_400)
    assert [bar.open_s for bar in bars] == list(range(since, since + 86_400, 60))
    assert all(a.close == b.open for a, b in pairwise(bars))
    assert all(_is_sound(bar) for bar in bars)


def test_volumes_of_the_past_are_those_of_the_present() -> None:
    one = market(rate=60.0)
    lived(one, 180)
    minute_s = BEGAN_NS // 10**9 // 60 * 60
    past = [Decimal(bar.volume) for bar in one.bars("BTC-USDT", minute_s - 7200, minute_s)]
    (now,) = one.bars("BTC-USDT", minute_s + 120, minute_s + 180)
    assert Decimal("0.3") < Decimal(now.volume) / (sum(past) / len(past)) < 3


def test_a_market_that_begins_again_does_not_go_back_with_its_numbers() -> None:
    before = [e for e in lived(market(rate=60.0), 120) if e.native == "BTC-USDT"]
    later_ns = BEGAN_NS + 120 * 10**9
    after = [e for e in lived(market(rate=60.0, start_ns=later_ns), 20, later_ns) if e.native == "BTC-USDT"]
    for kind, number in ((Quote, "seq"), (Deal, "id")):
        most = max(getattr(e, number) for e in before if isinstance(e, kind))
        assert most < min(getattr(e, number) for e in after if isinstance(e, kind))


def _is_sound(bar: Bar) -> bool:
    low, high = Decimal(bar.low), Decimal(bar.high)
    return 0 < low <= min(Decimal(bar.open), Decimal(bar.close)) and max(Decimal(bar.open), Decimal(bar.close)) <= high


def test_a_live_minute_without_trades_is_absent_or_flat_as_asked() -> None:
    one = market(rate=0.0)
    one.advance(BEGAN_NS + 179 * 10**9)
    since = BEGAN_NS // 10**9
    assert one.bars("BTC-USDT", since, since + 180) == []
    flat = one.bars("BTC-USDT", since, since + 180, flat=True)
    assert [(bar.volume, bar.count, bar.open == bar.close) for bar in flat] == [("0", 0, True)] * 3


def test_the_day_sums_the_last_1440_minutes() -> None:
    one, until = market(), BEGAN_NS // 10**9 + 60
    lived(one, 10)
    day, bars = one.day("BTC-USDT"), one.bars("BTC-USDT", until - 86_400, until)
    assert len(bars) == 1440
    assert Decimal(day.volume) == sum(Decimal(bar.volume) for bar in bars)
    assert Decimal(day.high) == max(Decimal(bar.high) for bar in bars)
    assert Decimal(day.low) == min(Decimal(bar.low) for bar in bars)
    assert (day.open, day.last) == (bars[0].open, one.quote("BTC-USDT").price)


def test_the_watchlists_are_listed_beside_invented_markets() -> None:
    kucoin, binance = listings.kucoin(invented=300), listings.binance(invented=300)
    assert {one.name for one in kucoin} >= set(KUCOIN_WATCHLIST)
    assert {one.name for one in binance} >= set(BINANCE_WATCHLIST)
    assert min(len(kucoin), len(binance)) >= 300 + len(BINANCE_WATCHLIST)
    assert len({one.native for one in binance}) == len(binance)


def test_both_exchanges_agree_about_a_symbol_roughly() -> None:
    since = BEGAN_NS // 10**9 - 60
    one = Market(listings.binance(), padded, seed=5, path_seed=1, start_ns=BEGAN_NS, rate=1)
    (there,), (here,) = one.bars("BTCUSDT", since, since + 60), market().bars("BTC-USDT", since, since + 60)
    assert Decimal(there.close) == Decimal(here.close)


@pytest.mark.parametrize(
    ("value", "decimals", "binance", "kucoin"),
    [
        (1, 8, "0.00000001", "0.00000001"),
        (845210, 1, "84521.00000000", "84521"),
        (7, 0, "7.00000000", "7"),
        (100, 0, "100.00000000", "100"),
        (-5, 2, "-0.05000000", "-0.05"),
        (123456789015, 10, "12.34567890", "12.3456789015"),
        (0, 4, "0.00000000", "0"),
    ],
)
def test_digits_are_written_as_each_exchange_does(value: int, decimals: int, binance: str, kucoin: str) -> None:
    assert (padded(value, decimals), trimmed(value, decimals)) == (binance, kucoin)
