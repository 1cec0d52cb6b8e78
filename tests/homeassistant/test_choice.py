"""Which symbols are chosen: in a known order, within the budget, and the rest is named."""

import pytest

from bridge.errors import SettingsError
from bridge.homeassistant.choice import Offer, choose, rows_a_day
from bridge.loading import load

OFFERS = {
    "kucoin": Offer(("BTC-USDT", "KCS-USDT"), ("AAVE-USDT", "BTC-USDC")),
    "binance": Offer(("BTC-USDT", "ETH-BTC")),
}


def chosen(*patterns: str, budget: int | None = None) -> list[str]:
    return [":".join(pair) for pair in choose(patterns, OFFERS, budget).taken]


def test_without_a_pattern_the_watchlists_are_chosen() -> None:
    assert chosen() == ["kucoin:BTC-USDT", "kucoin:KCS-USDT", "binance:BTC-USDT", "binance:ETH-BTC"]


def test_patterns_choose_in_their_own_order_also_from_a_whole_market() -> None:
    assert chosen("ETH-*", "kucoin:*-USDC", "*in*:BTC-USDT") == [
        "binance:ETH-BTC", "kucoin:BTC-USDC", "kucoin:BTC-USDT", "binance:BTC-USDT"
    ]  # fmt: skip


def test_beyond_the_budget_it_is_said_what_is_left_out() -> None:
    choice = choose((), OFFERS, 3)
    assert (len(choice.taken), choice.left_out) == (3, (("binance", "ETH-BTC"),))
    assert choice.of("binance") == ("BTC-USDT",)


def test_a_pattern_that_matches_nothing_is_named() -> None:
    assert choose(("NO-SUCH", "BTC-*"), OFFERS).idle == ("NO-SUCH",)


def test_rows_a_day() -> None:
    assert rows_a_day(50, 10) == 432_000


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("btc-usdt", "capitals"),
        ("BTC/USDT", "'/'"),
        ("BTC-#", "'#'"),
        ("kraken:BTC-*", "names no exchange"),
        ("{{BTC}}", "'{'"),
        ("kucoin:", "capitals"),
        ("X" * 300, "too long"),
    ],
)
def test_a_wrong_pattern_is_refused_with_the_reason(pattern: str, said: str) -> None:
    with pytest.raises(SettingsError, match=rf"homeassistant\.symbols.*{said}"):
        load(None, [f'homeassistant.symbols=["{pattern}"]'], {"TICKBRIDGE_CONFIG": ""})


@pytest.mark.parametrize("root", ["", "a//b", "home assistant", "#", "a/+", "{{x}}"])
def test_a_root_that_is_no_topic_is_refused(root: str) -> None:
    with pytest.raises(SettingsError, match=r"homeassistant\.discovery_root"):
        load(None, [f"homeassistant.discovery_root={root}"], {"TICKBRIDGE_CONFIG": ""})
