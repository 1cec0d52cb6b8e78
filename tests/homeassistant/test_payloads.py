"""What Home Assistant is sent keeps its rules, whatever the exchanges call their symbols."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.events import Instrument
from bridge.health import WORST_FIRST
from bridge.homeassistant.devices import MAX_BYTES, bridge_device, encoded, exchange_device
from bridge.homeassistant.entities import EXPIRE_S, STATUSES, precision, price_keys
from bridge.homeassistant.ids import Ids, slug
from bridge.homeassistant.text import harmless
from bridge.settings import Settings
from bridge.topics import Topics, symbol_problem
from tests.homeassistant.rules import broken

IDS = Ids("tickbridge")
BTC = Instrument("BTC-USDT", "BTC", "USDT", "BTC-USDT", "0.10", "0.00000001")
ETH = Instrument("ETH-BTC", "ETH", "BTC", "ETH-BTC", "0.000001")
CODE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.S)
SYMBOLS = st.text(st.characters(categories=("L", "N"), include_characters="-._"), min_size=1, max_size=40)


def kucoin(*instruments: Instrument, ids: Ids = IDS, prefix: str = "") -> dict[str, Any]:
    return exchange_device(ids, Topics(prefix, ids.shard), "kucoin", "KuCoin", instruments, "0.1.0")


@pytest.mark.parametrize("ids", [IDS, Ids("home_2"), Ids("x", "2/3"), Ids("x", root="ha/discovery")])
def test_all_devices_keep_home_assistants_rules(ids: Ids) -> None:
    names = Topics("home", ids.shard)
    devices = {
        "bridge": bridge_device(ids, names, "0.1.0"),
        "kucoin": kucoin(BTC, ETH, ids=ids, prefix="home"),
        "binance": exchange_device(ids, names, "binance", "Binance", [BTC], "0.1.0"),
    }
    for name, config in devices.items():
        assert list(broken(ids.topic(name), config)) == []
    unique = [one["unique_id"] for config in devices.values() for one in config["components"].values()]
    entity = [one["default_entity_id"] for config in devices.values() for one in config["components"].values()]
    assert len(unique) == len(set(unique))
    assert len(entity) == len(set(entity))


def test_a_price_is_as_a_house_wants_it() -> None:
    price = kucoin(BTC)["components"]["btc_usdt_price"]
    assert "device_class" not in price
    assert {key: price[key] for key in ("unique_id", "default_entity_id", "object_id", "name", "state_topic")} == {
        "unique_id": "tickbridge_kucoin_btc_usdt_price",
        "default_entity_id": "sensor.kucoin_btc_usdt",
        "object_id": "kucoin_btc_usdt",
        "name": "BTC-USDT",
        "state_topic": "sensors/kucoin/BTC-USDT",
    }
    more = ("state_class", "unit_of_measurement", "suggested_display_precision", "expire_after", "availability_mode")
    assert [price[key] for key in more] == ["measurement", "USDT", 1, EXPIRE_S, "all"]
    assert [row["topic"] for row in price["availability"]] == [
        "health/bridge", "sensors/kucoin", "sensors/kucoin/BTC-USDT"
    ]  # fmt: skip


def test_bid_ask_spread_and_change_wait_until_somebody_wants_them() -> None:
    components = kucoin(BTC)["components"]
    assert price_keys("BTC-USDT") == [key for key in components if key.startswith("btc")]
    disabled = {key for key, one in components.items() if one.get("enabled_by_default") is False}
    assert disabled == {"btc_usdt_bid", "btc_usdt_ask", "btc_usdt_spread", "btc_usdt_change", "lag"}


def test_every_repeated_value_expires_and_connectivity_says_off_instead() -> None:
    for config in (kucoin(BTC), bridge_device(IDS, Topics(), "0.1.0")):
        for one in config["components"].values():
            alive = one.get("device_class") == "connectivity"
            assert one.get("off_delay" if alive else "expire_after") == EXPIRE_S
            assert ("expire_after" in one) != alive


def test_the_bridges_own_connection_depends_on_its_heartbeat_alone() -> None:
    config = bridge_device(IDS, Topics(), "0.1.0")
    assert "availability" not in config
    assert "availability" not in config["components"]["connection"]
    assert "availability" in config["components"]["outbox"]


def test_what_tells_of_trouble_does_not_depend_on_the_exchange() -> None:
    config = kucoin(BTC)
    assert [row["topic"] for row in config["availability"]] == ["health/bridge", "sensors/bridge"]
    assert not any("availability" in config["components"][key] for key in ("feed", "status", "stale", "gaps_open"))


def test_the_same_ids_whatever_the_order_and_the_neighbours() -> None:
    assert encoded(kucoin(BTC, ETH)) == encoded(kucoin(ETH, BTC))
    alone, both = kucoin(BTC)["components"], kucoin(BTC, ETH)["components"]
    assert {key: both[key] for key in alone} == alone


def test_a_shard_has_devices_of_its_own_and_the_same_entities() -> None:
    whole, part = kucoin(BTC), kucoin(BTC, ids=Ids("tickbridge", "2/3"))
    assert part["device"]["identifiers"] == ["tickbridge_kucoin-2"]
    assert part["components"]["feed"]["state_topic"] == "sensors/kucoin/2"
    ids = [config["components"]["btc_usdt_price"]["unique_id"] for config in (whole, part)]
    assert len(set(ids)) == 1


def test_no_two_parts_of_the_work_share_an_id_and_a_price_has_its_own_in_any() -> None:
    def told(ids: Ids, key: str) -> list[str]:
        names = Topics("", ids.shard)
        devices = [bridge_device(ids, names, "0.1.0"), kucoin(ids=ids)]
        return [one[key] for device in devices for one in device["components"].values()]

    parts = [Ids("x"), Ids("x", "1/2"), Ids("x", "2/2")]
    for key in ("unique_id", "default_entity_id"):
        every = [one for ids in parts for one in told(ids, key)]
        assert len(set(every)) == len(every) == 3 * len(told(IDS, key))
    assert "sensor.kucoin_2_status" in told(parts[2], "default_entity_id")
    assert "binary_sensor.x_2_connection" in told(parts[2], "default_entity_id")
    (price,) = {kucoin(BTC, ids=ids)["components"]["btc_usdt_price"]["unique_id"] for ids in parts}
    assert price == "x_kucoin_btc_usdt_price"


def test_the_most_that_settings_allow_fits_into_a_brokers_packet() -> None:
    most = Settings.model_fields["homeassistant"].annotation.model_fields["entities"].metadata[1].le  # type: ignore[union-attr]
    symbols = [f"{k:04}VERYLONGNAME-USDT" for k in range(most)]
    config = kucoin(*(Instrument(symbol, "X", "USDT", symbol, "0.00000001") for symbol in symbols))
    assert len(encoded(config)) < MAX_BYTES


def test_a_status_that_health_can_tell_is_an_option() -> None:
    assert set(STATUSES) == set(WORST_FIRST)


@pytest.mark.parametrize(("step", "digits"), [("0.1", 1), ("0.010", 2), ("1", 0), ("10", 0), ("1e-8", 8), (None, None)])
def test_digits_follow_the_tick_size(step: str | None, digits: int | None) -> None:
    assert precision(step) == digits


# --- hostile names -----------------------------------------------------------------------------------


@given(st.lists(SYMBOLS, min_size=1, max_size=5, unique=True), st.text(max_size=30), st.text(max_size=30))
@settings(deadline=None, max_examples=150)
def test_hostile_names_keep_the_rules_and_never_become_code(symbols: list[str], base: str, quote: str) -> None:
    config = kucoin(*(Instrument(symbol, base, quote, symbol, "0.1") for symbol in symbols))
    assert list(broken(IDS.topic("kucoin"), config)) == []
    usual = set(CODE.findall(json.dumps(kucoin(BTC), ensure_ascii=False)))
    assert set(CODE.findall(json.dumps(config, ensure_ascii=False))) <= usual
    topics = {one["state_topic"] for one in config["components"].values()}
    assert topics == {"sensors/kucoin"} | {f"sensors/kucoin/{symbol}" for symbol in symbols}
    units = {one.get("unit_of_measurement") for one in config["components"].values()}
    assert units <= {None, "ms", "%", quote}
    assert not symbol_problem(quote) or quote not in units


@given(SYMBOLS, SYMBOLS)
def test_two_symbols_never_share_an_id(one: str, other: str) -> None:
    assert one == other or slug(one) != slug(other)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9_]*[a-z0-9])?", slug(one))


@pytest.mark.parametrize("pair", [("A.B-USDT", "A-B-USDT"), ("a-b", "A-B"), ("币-USDT", "安-USDT")])
def test_names_that_look_alike_as_ids_get_a_check_sum(pair: tuple[str, str]) -> None:
    assert slug(pair[0]) != slug(pair[1])


@given(st.text())
def test_a_reason_is_no_markup_and_no_template(text: str) -> None:
    shown = harmless(text)
    assert len(shown) <= 200
    assert not set(shown) & set('<>{}[]|`*_#&"\\\n\r\t$~^')


def test_a_price_step_with_any_digits_is_a_precision_that_home_assistant_takes() -> None:
    assert precision(str(Decimal(10) ** -40)) == 18
