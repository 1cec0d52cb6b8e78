"""Answers of the API: rows as JSON with `next`, or as CSV with the same in headers; a long CSV is sent page by page."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec
from msgspec import Raw
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from bridge.errors import StoreError
from dashboard.history.base import Page, Span
from dashboard.parameters import wants_csv
from dashboard.tables import csv_head, csv_lines

STEP_ROWS = 2_000
"""So many rows of a long CSV are asked for and made into text at once, while others wait."""
FRESH = {"cache-control": "no-store"}
Ask = Callable[[Span], Awaitable[Page]]


async def paged(request: Request, kind: str, span: Span, ask: Ask, **told: str) -> Response:
    """What `ask` has of the span; `told` is said beside the rows, in CSV by `x-` headers.

    CSV from a time on without a `limit` is the whole range.
    """
    if not wants_csv(request):
        return answer(await ask(span), told)
    if span.from_ns is None or "limit" in request.query_params:
        return table(request, kind, await ask(span), told)
    first = await ask(Span(STEP_ROWS, span.from_ns, span.to_ns))
    return StreamingResponse(_lines(kind, first, span, ask), 200, _headers(told), "text/csv; header=present")


def listed(request: Request, kind: str, rows: list[bytes]) -> Response:
    """Rows that have no pages."""
    return table(request, kind, Page(rows), {}) if wants_csv(request) else answer(Page(rows))


def table(request: Request, kind: str, page: Page, told: Mapping[str, str]) -> Response:
    """One page as CSV; where more begins stands in `x-next`, and as an address in `link`."""
    headers = _headers(told)
    if page.next_ns is not None:
        more = request.url.include_query_params(**{"from": page.next_ns}).query
        headers |= {"x-next": str(page.next_ns), "link": f'<?{more}>; rel="next"'}
    return Response(csv_head(kind) + csv_lines(kind, page.rows), 200, headers, "text/csv; header=present")


def answer(page: Page, told: Mapping[str, str] | None = None) -> Response:
    more = b"" if page.next_ns is None else b',"next":%d' % page.next_ns
    beside = b"".join(b",%b:%b" % (msgspec.json.encode(k), msgspec.json.encode(v)) for k, v in (told or {}).items())
    return document(Raw(b'{"rows":[' + b",".join(page.rows) + b"]" + more + beside + b"}"))


def document(told: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(told), status, FRESH, "application/json")


def refusal(reason: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode({"error": reason}), status, {**FRESH, **(headers or {})}, "application/json")


async def _lines(kind: str, page: Page, span: Span, ask: Ask) -> AsyncIterator[bytes]:
    """An error on the way breaks the connection off: what has no end must not look whole."""
    yield csv_head(kind)
    begun_ns = span.from_ns or 0
    while True:
        yield csv_lines(kind, page.rows)
        if page.next_ns is None:
            return
        if page.next_ns <= begun_ns:
            raise StoreError(f"the rows do not go on after {begun_ns}")
        begun_ns = page.next_ns
        page = await ask(Span(STEP_ROWS, begun_ns, span.to_ns))


def _headers(told: Mapping[str, str]) -> dict[str, str]:
    return {**FRESH, "vary": "accept", **{f"x-{name}": value for name, value in told.items()}}
