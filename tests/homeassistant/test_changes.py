"""From what the broker retains to what is wanted, with removals as Home Assistant needs them."""

import json
from typing import Any

import pytest

from bridge.events import Instrument
from bridge.homeassistant.changes import Wanted, changes, ours
from bridge.homeassistant.devices import encoded, exchange_device
from bridge.homeassistant.entities import price_keys
from bridge.homeassistant.ids import Ids
from bridge.topics import Topics
from tests.homeassistant.rules import broken

IDS = Ids("tickbridge")
TOPIC = IDS.topic("kucoin")


def config(*symbols: str) -> bytes:
    instruments = [Instrument(symbol, *symbol.split("-"), symbol, "0.1") for symbol in symbols]
    return encoded(exchange_device(IDS, Topics(), "kucoin", "KuCoin", instruments, "0.1.0"))


def told(retained: dict[str, bytes], wanted: Wanted, **how: bool) -> list[tuple[str, Any]]:
    return [(topic, json.loads(payload or b"null")) for topic, payload in changes(retained, wanted, **how)]


def test_what_the_broker_has_is_not_written_again_unless_home_assistant_was_born() -> None:
    one = config("BTC-USDT")
    wanted = Wanted({TOPIC: one})
    assert told({TOPIC: one}, wanted) == []
    assert told({}, wanted) == told({TOPIC: one}, wanted, again=True) == [(TOPIC, json.loads(one))]


def test_a_removed_symbol_is_first_told_by_its_platforms_alone() -> None:
    before, after = config("BTC-USDT", "ETH-USDT"), config("BTC-USDT")
    (_, reduced), (_, final) = told({TOPIC: before}, Wanted({TOPIC: after}))
    assert [reduced["components"][key] for key in price_keys("ETH-USDT")] == [{"platform": "sensor"}] * 5
    assert list(broken(TOPIC, reduced)) == []
    assert final == json.loads(after)


def test_a_removal_that_was_interrupted_is_finished() -> None:
    before, after = config("BTC-USDT", "ETH-USDT"), config("BTC-USDT")
    wanted = Wanted({TOPIC: after})
    (_, half), _ = changes({TOPIC: before}, wanted)
    assert list(changes({TOPIC: half}, wanted)) == [(TOPIC, half), (TOPIC, after)]


def test_an_exchange_that_is_not_wanted_any_more_is_removed_and_one_without_a_catalogue_is_left() -> None:
    retained = {TOPIC: config("BTC-USDT"), IDS.topic("binance"): config("BTC-USDT")}
    assert list(changes(retained, Wanted({}, frozenset({TOPIC})))) == [(IDS.topic("binance"), b"")]


def test_a_symbol_that_the_catalogue_has_lost_keeps_its_entities() -> None:
    before, after = config("BTC-USDT", "ETH-USDT"), config("BTC-USDT")
    wanted = Wanted({TOPIC: after}, held={TOPIC: frozenset(price_keys("ETH-USDT"))})
    assert told({TOPIC: before}, wanted) == []
    ((_, kept),) = told({TOPIC: before}, wanted, again=True)
    assert kept["components"] == json.loads(before)["components"]


@pytest.mark.parametrize(
    "theirs",
    [
        Ids("home_2").topic("kucoin"),
        Ids("tickbridge_2").topic("kucoin"),
        Ids("tickbridge", "2/3").topic("kucoin"),
        Ids("tickbridge", root="other").topic("kucoin"),
        "homeassistant/device/tickbridge/config",
        "homeassistant/device/tickbridge_kucoin/x/config",
        "homeassistant/sensor/tickbridge_kucoin/config",
    ],
)
def test_nobody_elses_device_is_ours(theirs: str) -> None:
    assert ours(IDS, {theirs: config("BTC-USDT")}) == {}
    assert ours(Ids("home"), {Ids("home_2").topic("kucoin"): config("BTC-USDT")}) == {}


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b'{"origin":1}', b'{"origin":{"name":"zigbee2mqtt"}}', b"\xff"])
def test_what_tickbridge_did_not_write_is_not_ours_to_remove(payload: bytes) -> None:
    assert ours(IDS, {TOPIC: payload}) == {}
    assert ours(IDS, {TOPIC: config()}) == {TOPIC: config()}
