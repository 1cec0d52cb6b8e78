import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.filters import ROOTS, expanded, matcher


@pytest.mark.parametrize(
    ("one", "topic", "means"),
    [
        ("prices/kucoin/BTC-USDT", "prices/kucoin/BTC-USDT", True),
        ("prices/kucoin/BTC-USDT", "prices/kucoin/BTC-USDT/x", False),
        ("prices/+/BTC-USDT", "prices/kucoin/BTC-USDT", True),
        ("prices/+/BTC-USDT", "prices/a/b/BTC-USDT", False),
        ("prices/+", "prices/kucoin/BTC-USDT", False),
        ("prices/+", "prices/", True),
        ("prices/#", "prices", True),
        ("prices/#", "prices/kucoin/BTC-USDT", True),
        ("prices/kucoin/#", "prices/kucoinx", False),
        ("candles/+/+/1m", "candles/kucoin/BTC.USDT/1m", True),
        ("prices/k.coin/#", "prices/kucoin/X", False),
    ],
)
def test_filters_mean_what_mqtt_says(one: str, topic: str, means: bool) -> None:
    assert matcher([one])(topic) is means
    assert matcher(["health/#", one, "jobs"])(topic) is means


def test_no_filters_mean_nothing() -> None:
    assert not matcher([])("")
    assert not matcher([])("prices/kucoin/BTC-USDT")


def test_a_wildcard_in_front_means_our_roots_only() -> None:
    assert expanded("#") == tuple(f"{root}/#" for root in ROOTS)
    assert "prices/kucoin/+" in expanded("+/kucoin/+")
    assert not any(one.startswith("tickbridge") for one in expanded("#") + expanded("+/#"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "1 to 400 bytes"),
        ("prices/" + "x" * 400, "1 to 400 bytes"),
        ("prices" + "/x" * 8, "at most 8 levels"),
        ("prices/#/x", "# is the last level"),
        ("prices/BTC+", "stand alone"),
        ("prices/a#", "stand alone"),
        ("tickbridge/answer/#", "no topics begin with 'tickbridge'"),
        ("$SYS/#", "no topics begin with"),
        ("$share/g/prices/#", "no topics begin with"),
        ("/prices/#", "no topics begin with ''"),
        ("prices/\x00", "control characters"),
        ("prices/\ud800", "control characters"),
    ],
)
def test_what_is_no_filter_of_ours_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace("+", r"\+")):
        expanded(text)


@given(st.text())
def test_any_text_is_a_filter_of_ours_or_a_value_error(text: str) -> None:
    try:
        filters = expanded(text)
    except ValueError:
        return
    assert all(one.split("/")[0] in ROOTS for one in filters)
    matcher(filters)("prices/kucoin/BTC-USDT")
