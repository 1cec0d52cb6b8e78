"""What the error table may be asked: refused frames, parked values, trouble with symbols, clock and store."""

import re
from functools import partial

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dashboard.answers import paged
from dashboard.history.base import History
from dashboard.parameters import only, read_span

PARAMETERS = {"exchange", "kind", "symbol", "from", "to", "limit", "format"}
KIND = re.compile(r"[a-z_]{1,32}")
LONGEST = 200
"""Characters of an exchange's or symbol's name."""


async def errors(request: Request, store: History) -> Response:
    """Entries, oldest first; without `from` the newest. Raises HTTPException 400 with the reason."""
    only(request, PARAMETERS)
    exchange, kind, symbol = _name(request, "exchange"), _kind(request), _name(request, "symbol")
    return await paged(request, "errors", read_span(request), partial(store.errors, exchange, kind, symbol))


def _kind(request: Request) -> str | None:
    kind = request.query_params.get("kind")
    if kind is not None and not KIND.fullmatch(kind):
        raise HTTPException(400, f"kind: {kind[:40]!r} is no kind (frame, value, symbol, clock, store, summary)")
    return kind


def _name(request: Request, name: str) -> str | None:
    text = request.query_params.get(name)
    if text is not None and not 0 < len(text) <= LONGEST:
        raise HTTPException(400, f"{name}: has {len(text)} characters, not 1 to {LONGEST}")
    return text
