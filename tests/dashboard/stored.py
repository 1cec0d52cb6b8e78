"""What a history has of a topic, for tests that count."""

import json
from typing import Any

from dashboard.history.base import History, Span

PAGE = 10_000


async def stored(history: History, topic: str) -> list[dict[str, Any]]:
    """All rows of a topic (without prefix), page by page, as the API would give them."""
    kind, exchange, symbol, *_ = [*topic.split("/"), ""]
    rows: list[dict[str, Any]] = []
    from_ns: int | None = 0
    while from_ns is not None:
        span = Span(PAGE, from_ns)
        if kind == "candles":
            page = await history.candles(exchange, symbol, "1m", span)
        else:
            page = await history.rows(kind, exchange, symbol, span)
        rows += [json.loads(row) for row in page.rows]
        from_ns = page.next_ns
    return rows
