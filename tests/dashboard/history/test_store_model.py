"""The store against a dictionary: whatever is appended, committed, folded and restarted, in whatever order."""

import asyncio
import json
import tempfile
from pathlib import Path
from unittest.mock import patch

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dashboard.history import History, Span, tidy
from dashboard.history.reading import SqliteReading
from dashboard.history.sqlite import SqliteHistory
from tests.dashboard.history.conftest import KEEP_ALL
from tests.dashboard.payloads import NOON, RUN, tick

appends = st.tuples(st.sampled_from(["A-B", "C-D"]), st.integers(1, 30))
steps = st.lists(st.one_of(appends, st.sampled_from(["commit", "tidy", "restart"])), max_size=60)


NEW_SYMBOL_BEFORE_A_FOLD = [*(("A-B", n) for n in range(1, 6)), "commit", ("C-D", 1), "tidy", "restart"]


@given(steps, st.integers(1, 7))
@example(NEW_SYMBOL_BEFORE_A_FOLD, 3)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_store_holds_what_a_dictionary_would(told: list[tuple[str, int] | str], limit: int) -> None:
    few = dict.fromkeys(tidy.FOLD_ROWS, 5)
    with tempfile.TemporaryDirectory() as folder, patch.object(tidy, "FOLD_ROWS", few):
        asyncio.run(_follow(Path(folder) / "history.sqlite", told, limit))


async def _follow(path: Path, told: list[tuple[str, int] | str], limit: int) -> None:
    store = SqliteHistory(path, KEEP_ALL)
    beside = SqliteReading(path, KEEP_ALL)
    sure: set[tuple[str, int]] = set()
    maybe: set[tuple[str, int]] = set()
    for step in told:
        match step:
            case (symbol, n):
                assert store.append(f"prices/kucoin/{symbol}", tick(NOON + n, f"{n}", n)) == (step not in sure | maybe)
                maybe.add((symbol, n))
            case "commit":
                await store.commit()
                sure |= maybe
                maybe.clear()
            case "tidy":
                await store.tidy()
            case _:
                store.close()
                store = SqliteHistory(path, KEEP_ALL)
                maybe.clear()
        assert await _counted(store) == await _counted(beside) == sure
    for symbol in ("A-B", "C-D"):
        assert await _all(store, symbol, limit) == sorted(n for of, n in sure | maybe if of == symbol)
        assert await _all(beside, symbol, limit) == sorted(n for of, n in sure if of == symbol)
    store.close()
    beside.close()


async def _counted(store: History) -> set[tuple[str, int]]:
    """What the audit is told: only what was committed."""
    found = set()
    for one in await store.numbered("prices", RUN, Span(1)):
        pairs = await store.numbers(one.sequence, 1, 30, Span(1))
        numbers = [number for first, last in pairs for number in range(first, last + 1)]
        assert (one.count, one.least, one.greatest) == (len(numbers), numbers[0], numbers[-1])
        found |= {(one.sequence.topic.split("/")[2], number) for number in numbers}
    return found


async def _all(store: History, symbol: str, limit: int) -> list[int]:
    found: list[int] = []
    from_ns: int | None = 0
    while from_ns is not None:
        page = await store.rows("prices", "kucoin", symbol, Span(limit, from_ns))
        found += [json.loads(row)["n"] for row in page.rows]
        from_ns = page.next_ns
    return found
