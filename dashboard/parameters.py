"""What a query may ask: every reader raises HTTPException 400 with the reason."""

import re
import time
from collections.abc import Iterable

from starlette.exceptions import HTTPException
from starlette.requests import Request

from dashboard.history.base import INTERVALS_NS, Span
from dashboard.times import MOST_NS, read_time

LIMIT = 1_000
MOST_ROWS = 10_000
KINDS = ("prices", "trades", "gaps")
FORMATS = ("json", "csv")
AUTO = "auto"


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


def read_interval(request: Request, span: Span) -> str | None:
    """The candles' interval (`auto`: the one that suits the span); None: ticks."""
    interval = request.query_params.get("interval", "tick")
    if interval == "tick":
        return None
    if interval == AUTO:
        return suiting_interval(span, time.time_ns())
    if interval not in INTERVALS_NS:
        raise HTTPException(400, f"interval: {interval[:40]!r} is none of tick, {AUTO}, {', '.join(INTERVALS_NS)}")
    return interval


def suiting_interval(span: Span, now_ns: int) -> str:
    """The smallest interval of which the span, until now, has at most `limit`; the longest if none is that long."""
    if span.from_ns is None:
        return next(iter(INTERVALS_NS))
    length_ns = max(0, min(span.to_ns, now_ns) - span.from_ns)
    return next((name for name, ns in INTERVALS_NS.items() if length_ns <= ns * span.limit), [*INTERVALS_NS][-1])


def wants_csv(request: Request) -> bool:
    """Whether the answer is CSV: `format`, else what the Accept header asks for."""
    told = request.query_params.get("format")
    if told is None:
        return "text/csv" in request.headers.get("accept", "")
    if told not in FORMATS:
        raise HTTPException(400, f"format: {told[:40]!r} is none of {', '.join(FORMATS)}")
    return told == "csv"


def only(request: Request, allowed: Iterable[str]) -> None:
    """Raises HTTPException 400 for a parameter that does not exist: a slip must not give a wrong answer."""
    for name in request.query_params:
        if name not in allowed:
            words = ", ".join(sorted(allowed)) or "none"
            raise HTTPException(400, f"{name[:40]!r} is no parameter here (there are: {words})")
