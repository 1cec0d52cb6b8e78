"""What may be asked, as OpenAPI says it: bounds and words are those that `dashboard.parameters` checks. Pure."""

from collections.abc import Iterable
from typing import Any

from dashboard.history.base import INTERVALS_NS
from dashboard.parameters import AUTO, FORMATS, KINDS, LIMIT, MOST_ROWS

_TIME = {"type": "string", "examples": ["2026-11-21T08:00:00Z", "1795248000000000000"]}
_TEXT = {"type": "string"}

QUERY: dict[str, tuple[dict[str, Any], str]] = {
    "from": (_TIME, "Rows at or after this time (ISO 8601 or whole nanoseconds). Without it: the newest rows."),
    "to": (_TIME, "Rows before this time."),
    "limit": (
        {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": LIMIT},
        "Rows at most. A CSV with `from` and without this is the whole range.",
    ),
    "interval": (
        {"type": "string", "enum": ["tick", AUTO, *INTERVALS_NS], "default": "tick"},
        f"Ticks or candles; {AUTO}: the smallest interval that gives at most `limit` candles.",
    ),
    "kind": ({"type": "string", "enum": [*KINDS], "default": KINDS[0]}, "Which rows; all but prices have no interval."),
    "format": ({"type": "string", "enum": [*FORMATS]}, "By default what the Accept header asks for, else json."),
    "exchange": (_TEXT, "Only of this exchange."),
    "symbol": (_TEXT, "Only of this symbol."),
}
TROUBLE = {"kind": ({"type": "string", "pattern": "^[a-z_]{1,32}$"}, "frame, value, symbol, clock, store or summary.")}


def query(names: Iterable[str], own: dict[str, tuple[dict[str, Any], str]] | None = None) -> list[dict[str, Any]]:
    """The parameters of these names; `own` stands in for the usual ones."""
    known = QUERY | (own or {})
    return [
        {"name": name, "in": "query", "schema": known[name][0], "description": known[name][1]} for name in sorted(names)
    ]


def path(**names: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _TEXT, "description": text}
        for name, text in names.items()
    ]
