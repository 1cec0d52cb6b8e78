"""A range of rows page by page, to its end."""

from collections.abc import AsyncIterator, Awaitable, Callable

from bridge.errors import StoreError
from dashboard.history.base import Page, Span

Ask = Callable[[Span], Awaitable[Page]]


async def pages(ask: Ask, span: Span) -> AsyncIterator[Page]:
    """All pages of a span that has a beginning, each of at most its limit. Raises StoreError."""
    while True:
        page = await ask(span)
        yield page
        if page.next_ns is None:
            return
        if page.next_ns <= (span.from_ns or 0):
            raise StoreError(f"the rows do not go on after {span.from_ns}")
        span = Span(span.limit, page.next_ns, span.to_ns)
