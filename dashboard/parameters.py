"""What a query may ask: every reader raises HTTPException 400 with the reason."""

import re
from collections.abc import Iterable

from starlette.exceptions import HTTPException
from starlette.requests import Request

from dashboard.history.base import INTERVALS_NS, Span
from dashboard.times import MOST_NS, read_time

LIMIT = 1_000
MOST_ROWS = 10_000
KINDS = ("prices", "trades", "gaps")


def read_span(request: Request) -> Span:
    """`from`, `to` (exclusive) and `limit` of a query. Raises HTTPException 400 with the reason."""
    query = request.query_params
    from_ns, to_ns = _time(query.get("from"), "from"), _time(query.get("to"), "to")
    limit = query.get("limit", str(LIMIT))
    if not re.fullmatch(r"[1-9]\d{0,5}", limit, re.ASCII) or int(limit) > MOST_ROWS:
        raise HTTPException(400, f"limit: {limit[:40]!r} is not an integer from 1 to {MOST_ROWS}")
    if from_ns is not None and to_ns is not None and from_ns > to_ns:
        raise HTTPException(400, "from lies after to")
    return Span(int(limit), from_ns, MOST_NS if to_ns is None else to_ns)


def _time(text: str | None, name: str) -> int | None:
    try:
        return None if text is None else read_time(text)
    except ValueError as error:
        raise HTTPException(400, f"{name}: {error}") from error


def read_kind(request: Request) -> str:
    kind = request.query_params.get("kind", "prices")
    if kind not in KINDS:
        raise HTTPException(400, f"kind: {kind[:40]!r} is none of {', '.join(KINDS)}")
    if kind != "prices" and "interval" in request.query_params:
        raise HTTPException(400, f"interval: {kind} have none")
    return kind


def read_interval(request: Request) -> str | None:
    """The candles' interval; None: ticks."""
    interval = request.query_params.get("interval", "tick")
    if interval == "tick":
        return None
    if interval not in INTERVALS_NS:
        raise HTTPException(400, f"interval: {interval[:40]!r} is none of tick, {', '.join(INTERVALS_NS)}")
    return interval


def only(request: Request, allowed: Iterable[str]) -> None:
    """Raises HTTPException 400 for a parameter that does not exist: a slip must not give a wrong answer."""
    for name in request.query_params:
        if name not in allowed:
            words = ", ".join(sorted(allowed)) or "none"
            raise HTTPException(400, f"{name[:40]!r} is no parameter here (there are: {words})")
