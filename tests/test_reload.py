"""What `SIGHUP` cannot change is said."""

import pytest

from bridge.bridge import restarting
from bridge.loading import load
from bridge.settings import Settings

NO_FILE = {"TICKBRIDGE_CONFIG": ""}


def given(*sets: str) -> Settings:
    return load(None, sets, NO_FILE).settings


@pytest.mark.parametrize("section", ["exchanges.kucoin", "homeassistant", "display"])
def test_other_symbols_need_no_restart(section: str) -> None:
    assert restarting(given(), given(f"{section}.symbols=BTC-USDT")) == []


def test_everything_else_needs_one_and_is_named() -> None:
    sets = ("exchanges.kucoin.whole_market=true", "broker.port=1884", "log.areas.bridge.session=debug")
    assert restarting(given(), given(*sets)) == [
        "broker.port",
        "exchanges.kucoin.whole_market",
        "log.areas.bridge.session",
    ]
