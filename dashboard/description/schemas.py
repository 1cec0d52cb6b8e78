"""JSON Schemas of what the API answers. Pure."""

from collections.abc import Iterable
from typing import Any

from dashboard.history.base import INTERVALS_NS

Schema = dict[str, Any]
NUMBER: Schema = {"type": "number"}
WHOLE: Schema = {"type": "integer"}
TIME: Schema = {"type": "integer", "format": "int64", "description": "nanoseconds since the epoch, UTC"}
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def listed(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def fields(text: str, of: Schema) -> dict[str, Schema]:
    """The same schema for several names."""
    return {name: of for name in text.split()}


def told(properties: dict[str, Schema], required: str, description: str = "") -> Schema:
    """An object; what is not required is left out where there is nothing to tell."""
    made = {"type": "object", "properties": properties, "required": required.split()}
    return {**made, "description": description} if description else made


def rows(name: str, more: Iterable[tuple[str, Schema]] = ()) -> Schema:
    """An answer with rows; `next` where there is more."""
    return told({"rows": listed(ref(name)), "next": TIME, **dict(more)}, "rows")


MARK = {
    "run": {**WHOLE, "description": "the bridge's start: with n, which publication this was"},
    "n": {**WHOLE, "description": "counts the messages of this topic in the run, from 1: a hole is a lost message"},
    "fill": {**TEXT, "description": "instead of run: the job that brought this row later"},
    "fill_n": WHOLE,
    "source": {**TEXT, "description": "of a fill: rest, snapshot or correction"},
}
TICK = {
    **fields("price size bid bid_size ask ask_size", NUMBER),
    "price_time_ns": {**TIME, "description": "when the trade behind `price` was"},
    "seq": {**WHOLE, "description": "the exchange's own number"},
    "exchange_time_ns": {**TIME, "description": "when the exchange sent it"},
}
PLACE = {"exchange": TEXT, "symbol": TEXT}
GAP = {
    **fields("id exchange channel cause state reason", TEXT),
    **fields("from_ns to_ns", TIME),
    **fields("symbol_count expected filled", WHOLE),
    "symbols": {**listed(TEXT), "description": "the first 50; absent: all"},
    "lost": listed(OBJECT),
}

SCHEMAS: dict[str, Schema] = {
    "Problem": told({"error": {**TEXT, "description": "what is wrong, for people"}}, "error"),
    "Tick": told({"time_ns": TIME, **TICK, **MARK}, "time_ns"),
    "Trade": told(
        {"time_ns": TIME, "id": TEXT, "side": {"enum": ["buy", "sell"]}, **fields("price size", NUMBER)}
        | {**fields("exchange_time_ns received_ns", TIME), **MARK},
        "time_ns id side price size",
    ),
    "Candle": told(
        {"time_ns": {**TIME, "description": "when it opened"}, **fields("open high low close", NUMBER)}
        | {**fields("volume quote_volume", NUMBER), "received_ns": TIME}
        | {"built": {"const": True, "description": "made of prices, not told by the exchange"}, **MARK},
        "time_ns open high low close",
    ),
    "Gap": told({"time_ns": TIME, **GAP, **MARK}, "id channel cause state from_ns", "`to_ns` is absent while it runs"),
    "Trouble": told(
        {"time_ns": TIME, **fields("exchange kind channel symbol reason frame", TEXT), **MARK}, "time_ns kind reason"
    ),
    "Latest": told(
        {**PLACE, "time_ns": TIME, **TICK, "stale": FLAG, "reason": TEXT, "clock": TEXT, **MARK}
        | {"age_ms": {**WHOLE, "description": "milliseconds since the tick, as of this answer"}},
        "exchange symbol stale",
    ),
    "Symbol": told(
        {**PLACE, **fields("base quote native status", TEXT), **fields("price_step size_step", NUMBER)}
        | {"stored": {**listed(TEXT), "description": "kinds of rows that there are of it"}},
        "exchange symbol",
    ),
    "History": {
        "anyOf": [ref("Ticks"), ref("Trades"), ref("Gaps"), ref("Candles")],
        "description": "as `kind` and `interval` say",
    },
    "Ticks": rows("Tick"),
    "Trades": rows("Trade"),
    "Candles": {
        **rows("Candle", [("interval", {"enum": [*INTERVALS_NS]})]),
        "required": ["rows", "interval"],
    },
    "Gaps": rows("Gap"),
    "Errors": rows("Trouble"),
    "LatestRows": told({"rows": listed(ref("Latest"))}, "rows"),
    "Symbols": told({"rows": listed(ref("Symbol"))}, "rows"),
    "Health": told(
        {"health": {**OBJECT, "description": "by exchange, and `bridge`: what is on health/"}}
        | {"recorder": OBJECT, "history": OBJECT, "telegraf": OBJECT, "proof": ref("Proof")}
        | {"stream": told(fields("readers filters conflated sent_away unreadable", WHOLE), "readers filters")}
        | {"page": ref("Page")},
        "health",
    ),
    "Page": told(
        fields("limited too_large busy", WHOLE)
        | {"login": told(fields("wrong limited tokens", WHOLE), "wrong limited tokens")}
        | {
            "certificate": told({"until_ns": TIME, "problem": TEXT}, "", "`problem`: 14 days before its end, and after")
        },
        "limited too_large busy",
        "requests that were turned away: by 429, by 411, 413 and 414, by 503",
    ),
    "Proof": told(
        {**fields("state reason", TEXT), "round_ms": NUMBER}
        | {"complete_until_ns": {**TIME, "description": "everything published before is stored, or named as lost"}}
        | {**fields("since_ns checked_ns", TIME), "unproven": listed(OBJECT), "run": WHOLE}
        | fields("missing proven repaired came_late lost declared returned resends unreadable", WHOLE),
        "state",
    ),
    "Audit": {
        "anyOf": [ref("Proof")],
        "type": "object",
        "properties": fields("missing_ranges lost_ranges", listed(OBJECT)),
        "required": ["missing_ranges", "lost_ranges"],
    },
    "Well": told(
        {"ok": FLAG, **fields("store broker proof certificate", TEXT), "put_aside": listed(TEXT)},
        "ok",
        "only `ok` for another machine that did not log in",
    ),
    "Connect": told(
        {
            "mqtt": told({"host": TEXT, "port": WHOLE, "tls": FLAG, "user": TEXT, "password": TEXT}, "port tls"),
            **fields("prefix instance", TEXT),
            "latest_expiry_s": WHOLE,
            **fields("demo login", FLAG),
            "watchlist": {**listed(TEXT), "description": "the chosen symbols in their order"},
            "whole_market": told({"on": FLAG, "bytes_a_day": WHOLE}, "on bytes_a_day"),
            "stored": told({"on": FLAG, "bytes": WHOLE, "bytes_a_tick": NUMBER}, "on bytes bytes_a_tick"),
        },
        "mqtt prefix instance latest_expiry_s demo login",
    ),
    "StreamRequest": told(
        {**fields("subscribe unsubscribe", listed(TEXT)), "id": {"type": ["integer", "string"]}}, "", "MQTT filters"
    ),
    "StreamAnswer": told(
        {"id": {"type": ["integer", "string"]}, "ok": FLAG, "subscribed": listed(TEXT), "broker": TEXT, "error": TEXT},
        "ok",
    ),
    "StreamMessage": told(
        {"topic": TEXT, "payload": {"type": ["object", "null"]}, **fields("snapshot provisional", {"const": True})},
        "topic payload",
        "`snapshot`: a state from before; `provisional`: it says nothing about now yet; null: the state is no more",
    ),
}
