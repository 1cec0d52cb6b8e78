"""What Binance answers to a client's text: SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_ and GET_PROPERTY.

Source: "Live Subscribing/Unsubscribing to streams" in Binance's documentation; codes: 0 unknown property, 1 bad type,
2 invalid request, 3 invalid JSON.
"""

from typing import Any

import msgspec

from bridge.simulator.line import Line
from bridge.simulator.venue import Venue

_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class Refusal(Exception):
    """A request that Binance does not accept."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def answer(venue: Venue, line: Line, text: str, most_streams: int) -> bytes:
    """Do what a client asks, and what it is told."""
    request_id: object = None
    try:
        told = _read(text)
        request_id = told.get("id")
        if not isinstance(request_id, int | str):
            raise Refusal(2, "Invalid request: request ID must be an unsigned integer")
        result = _do(venue, line, told, most_streams)
    except Refusal as refusal:
        return msgspec.json.encode({"code": refusal.code, "msg": refusal.message, "id": request_id})
    return msgspec.json.encode({"result": result, "id": request_id})


def _read(text: str) -> dict[str, Any]:
    try:
        told = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise Refusal(3, "Invalid JSON: expected value at line 1 column 1") from error
    if not isinstance(told, dict):
        raise Refusal(2, "Invalid request: invalid type")
    return told


def _do(venue: Venue, line: Line, told: dict[str, Any], most_streams: int) -> object:
    method, params = told.get("method"), told.get("params")
    if method not in _METHODS:
        expected = ", ".join(f"`{one}`" for one in _METHODS)
        raise Refusal(2, f"Invalid request: unknown variant `{method}`, expected one of {expected}")
    if method == "LIST_SUBSCRIPTIONS":
        return list(line.topics)
    if not isinstance(params, list) or not params:
        raise Refusal(2, "Invalid request: missing field `params`")
    if method.endswith("_PROPERTY"):
        return _property(line, method, params)
    if not all(isinstance(one, str) for one in params):
        raise Refusal(2, "Invalid request: invalid type, expected a string")
    if method == "UNSUBSCRIBE":
        venue.leave(line, params)
    elif len(line.topics.keys() | set(params)) > most_streams:
        raise Refusal(2, "Invalid request: too many parameters")
    else:
        venue.join(line, params)
    return None


def _property(line: Line, method: str, params: list[Any]) -> bool | None:
    if params[0] != "combined":
        raise Refusal(0, "Unknown property")
    if method == "GET_PROPERTY":
        return line.combined
    if len(params) != 2 or not isinstance(params[1], bool):
        raise Refusal(1, "Invalid value type: expected Boolean")
    line.combined = params[1]
    return None
