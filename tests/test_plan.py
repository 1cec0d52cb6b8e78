from hypothesis import given
from hypothesis import strategies as st

from bridge.events import Channel, Instrument
from bridge.exchanges import EXCHANGES
from bridge.exchanges.base import Catalogue
from bridge.plan import per_line, plan, rearrange
from bridge.settings import ExchangeSettings

CATALOGUE = Catalogue(Instrument(f"S{k}-USDT", f"S{k}", "USDT", f"S{k}-USDT") for k in range(500))
KUCOIN = EXCHANGES["kucoin"]


def test_a_market_too_large_for_one_line_is_split() -> None:
    plans, _ = plan(KUCOIN, ExchangeSettings(symbols=tuple(CATALOGUE.by_symbol)), CATALOGUE)
    assert sorted(symbol for one in plans for symbol in one.symbols) == sorted(CATALOGUE.by_symbol)
    assert max(len(one.symbols) for one in plans) * 4 <= KUCOIN.limits.topics_per_line


def test_the_whole_market_is_one_line_and_the_rest_stays_per_symbol() -> None:
    plans, _ = plan(KUCOIN, ExchangeSettings(symbols=("S1-USDT",), whole_market=True), CATALOGUE)
    assert [(one.whole, len(one.symbols)) for one in plans] == [(True, 500), (False, 1)]
    assert Channel.TICKER not in plans[1].channels


def test_an_unknown_symbol_is_refused_with_the_nearest_name() -> None:
    _, refused = plan(KUCOIN, ExchangeSettings(symbols=("S77-USTD",)), CATALOGUE)
    assert "did you mean S77-USDT?" in refused[0].reason


@given(
    st.lists(st.lists(st.integers(0, 40).map(str), max_size=5, unique=True), max_size=3),
    st.lists(st.integers(0, 40).map(str), unique=True),
)
def test_rearranging_keeps_symbols_on_their_lines_and_every_line_within_its_size(
    lines: list[list[str]], wanted: list[str]
) -> None:
    arranged = rearrange(lines, wanted, 5)
    assert sorted(symbol for line in arranged for symbol in line) == sorted(wanted)
    assert all(len(line) <= 5 for line in arranged)
    assert len(arranged) >= len(lines)


def test_a_symbols_topics_are_counted_as_the_exchange_counts_them() -> None:
    assert per_line(KUCOIN, frozenset(Channel)) == 75
    assert per_line(EXCHANGES["binance"], frozenset({Channel.TICKER, Channel.STATS})) == 500
