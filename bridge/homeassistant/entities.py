"""Every entity: its component in a device's configuration, with the templates that Home Assistant evaluates. Pure.

No text of an exchange ever stands in a template, and none but a checked symbol in a topic or an id.
"""

from decimal import Decimal
from functools import partial
from typing import Any

from bridge.events import Digits, Instrument, Symbol
from bridge.homeassistant.ids import BRIDGE, Ids, slug
from bridge.topics import Topics, symbol_problem

Component = dict[str, Any]
Availability = list[dict[str, str]]

EXPIRE_S = 35
"""Three heartbeats and some patience: what everybody who counts heartbeats is promised."""
STATUSES = ("connecting", "online", "quiet", "stale", "reconnecting", "refused", "stopped")
PRICE_FIELDS = ("price", "bid", "ask", "spread", "change")
MOST_DIGITS = 18
DEFAULT_DIGITS = 8
NAME_SHOWN = 60
DISABLED = {"enabled_by_default": False}
DIAGNOSTIC = {"entity_category": "diagnostic"}
COUNT = {"state_class": "measurement"}
EVER_MORE = {"state_class": "total_increasing"}

# Home Assistant takes only two words for an availability and ignores others: every status is mapped to one of them.
ONLINE = "{{ 'online' if value_json.status == 'online' else 'offline' }}"
FLOWS = "{{ 'online' if value_json.status in ('online', 'quiet') else 'offline' }}"
FRESH = "{{ 'online' if value_json.stale == false else 'offline' }}"
# What is retained on sensors/bridge and sensors/<exchange> is `unknown`, so that only a live message says more.
CONNECTED = "{{ none if value_json.status == 'unknown' else 'ON' if value_json.status == 'online' else 'OFF' }}"
FEED_UP = (
    "{{ none if value_json.status == 'unknown' else 'ON' if value_json.status in ('online', 'quiet') else 'OFF' }}"
)
STATUS = "{{ none if value_json.status == 'unknown' else value_json.status }}"
STALE = "{{ none if value_json.chosen_stale is not defined else 'ON' if value_json.chosen_stale > 0 else 'OFF' }}"
STARTED = "{{ (value_json.run / 1000) | as_datetime if value_json.run is defined else none }}"
REASON = "{{ none if value_json.status == 'unknown' else value_json.reason | default('no trouble', true) }}"


def field(name: str) -> str:
    """The template of a field that may be absent."""
    return f"{{{{ value_json.{name} | default(none) }}}}"


def price_availability(names: Topics, exchange: str, symbol: Symbol) -> Availability:
    """A price is there while the bridge, its exchange and the price itself are well."""
    return [
        {"topic": names.health(BRIDGE), "value_template": ONLINE},
        {"topic": names.sensors(exchange), "value_template": FLOWS},
        {"topic": names.sensor(exchange, symbol), "value_template": FRESH},
    ]


def bridge_availability(names: Topics) -> Availability:
    """What tells of trouble is there while the bridge is, whatever its exchange does."""
    return [
        {"topic": names.health(BRIDGE), "value_template": ONLINE},
        {"topic": names.sensors(BRIDGE), "value_template": ONLINE},
    ]


def prices(ids: Ids, names: Topics, exchange: str, one: Instrument) -> dict[str, Component]:
    """A symbol's price, and disabled until their owner wants them: bid, ask, spread and the change of 24 h."""
    digits = precision(one.price_step)
    money = {"suggested_display_precision": digits} if digits is not None else {}
    if not symbol_problem(one.quote):
        money["unit_of_measurement"] = one.quote  # type: ignore[assignment]
    spread_digits = DEFAULT_DIGITS if digits is None else digits
    spread = (
        f"{{{{ (value_json.ask - value_json.bid) | round({spread_digits})"
        " if value_json.ask is defined and value_json.bid is defined else none }}"
    )
    change = "{{ (value_json.change * 100) | round(4) if value_json.change is defined else none }}"
    per_cent = {"unit_of_measurement": "%", "suggested_display_precision": 2}
    base = {"state_topic": names.sensor(exchange, one.symbol), "expire_after": EXPIRE_S, **COUNT}
    base["availability"] = price_availability(names, exchange, one.symbol)
    base["availability_mode"] = "all"
    name, key = one.symbol[:NAME_SHOWN], slug(one.symbol)
    sensor = _Maker(ids, exchange, base, of_part=False)
    return {
        f"{key}_price": sensor.make(f"{key}_price", name, field("price"), key, money),
        f"{key}_bid": sensor.make(f"{key}_bid", f"{name} bid", field("bid"), f"{key}_bid", money | DISABLED),
        f"{key}_ask": sensor.make(f"{key}_ask", f"{name} ask", field("ask"), f"{key}_ask", money | DISABLED),
        f"{key}_spread": sensor.make(f"{key}_spread", f"{name} spread", spread, f"{key}_spread", money | DISABLED),
        f"{key}_change": sensor.make(
            f"{key}_change", f"{name} 24 h change", change, f"{key}_change", per_cent | DISABLED
        ),
    }


def price_keys(symbol: Symbol) -> list[str]:
    """The components of a symbol."""
    return [f"{slug(symbol)}_{name}" for name in PRICE_FIELDS]


def feed(ids: Ids, names: Topics, exchange: str) -> dict[str, Component]:
    """How an exchange's feed does."""
    base = {"state_topic": names.sensors(exchange), **DIAGNOSTIC}
    sensor = _Maker(ids, exchange, base | {"expire_after": EXPIRE_S})
    binary = _Maker(ids, exchange, base, "binary_sensor")
    status = {"device_class": "enum", "options": list(STATUSES)}
    lag = {"device_class": "duration", "unit_of_measurement": "ms", **COUNT, **DISABLED}
    expires = {"expire_after": EXPIRE_S}
    return {
        "feed": binary.make("feed", "Feed", FEED_UP, None, {"device_class": "connectivity", "off_delay": EXPIRE_S}),
        "stale": binary.make("stale", "Stale prices", STALE, None, {"device_class": "problem", **expires}),
        "status": sensor.make("status", "Status", STATUS, None, status),
        "reason": sensor.make("reason", "Reason", REASON),
        "stale_symbols": sensor.make("stale_symbols", "Stale symbols", field("stale_count"), None, COUNT),
        "gaps_open": sensor.make("gaps_open", "Open gaps", field("gaps_open"), None, COUNT),
        "reconnects": sensor.make("reconnects", "Reconnects", field("reconnects"), None, EVER_MORE),
        "lag": sensor.make("lag", "Lag", field("lag_p50_ms"), None, lag),
    }


def bridge(ids: Ids, names: Topics) -> dict[str, Component]:
    """How the bridge itself does. Its connectivity depends on its heartbeat alone: it is `off`, not unavailable."""
    base = {"state_topic": names.sensors(BRIDGE), **DIAGNOSTIC}
    alive = {"device_class": "connectivity", "off_delay": EXPIRE_S}
    base_available = {"availability": bridge_availability(names), "availability_mode": "all", "expire_after": EXPIRE_S}
    sensor = _Maker(ids, BRIDGE, base | base_available)
    return {
        "connection": _Maker(ids, BRIDGE, base, "binary_sensor").make(
            "connection", "Connection", CONNECTED, None, alive
        ),
        "version": sensor.make("version", "Version", field("version")),
        "started": sensor.make("started", "Run started", STARTED, None, {"device_class": "timestamp"}),
        "outbox": sensor.make("outbox", "Messages waiting", field("unacknowledged"), None, COUNT),
        "reconnects": sensor.make("reconnects", "Broker reconnects", field("reconnects"), None, EVER_MORE),
        "left_out": sensor.make("left_out", "Symbols left out", field("left_out"), None, COUNT),
    }


def precision(step: Digits | None) -> int | None:
    """How many digits behind the point a price has, from its smallest step: 0.010 has two."""
    if step is None:
        return None
    exponent = Decimal(step).normalize().as_tuple().exponent
    return min(max(0, -exponent), MOST_DIGITS) if isinstance(exponent, int) else None


class _Maker:
    """Components of one platform and device that share their beginnings; `of_part`: every part has its own."""

    def __init__(self, ids: Ids, name: str, base: Component, platform: str = "sensor", *, of_part: bool = True) -> None:
        self._base, self._platform = base, platform
        self._unique = partial(ids.own if of_part else ids.entity, name)
        owner = ids.instance if name == BRIDGE else name
        self._owner = f"{owner}_{ids.part}" if of_part and ids.part else owner

    def make(
        self, key: str, name: str, template: str, entity: str | None = None, more: Component | None = None
    ) -> Component:
        """`entity`: the end of the entity id that is wished for, by default the key."""
        wished = f"{self._owner}_{entity or key}"
        return {
            "platform": self._platform,
            "unique_id": self._unique(key),
            "default_entity_id": f"{self._platform}.{wished}",
            "object_id": wished,  # its name before Home Assistant 2025.10, unknown since 2026.4
            "name": name,
            "value_template": template,
            **self._base,
            **(more or {}),
        }
