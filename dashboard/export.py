"""`tickbridge export`: a range of the history as a file, asked of the store itself, also while the dashboard runs."""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from msgspec import Struct
from tqdm import tqdm

from bridge.errors import SettingsError, StoreError
from bridge.settings import Settings
from dashboard.files import FORMATS
from dashboard.history import Span, open_for_reading
from dashboard.history.base import INTERVALS_NS
from dashboard.paging import Ask, pages
from dashboard.times import read_time

PAGE_ROWS = 10_000
BAR = "{desc} {percentage:3.0f}%|{bar}|{postfix} [{elapsed}<{remaining}]"


class Wish(Struct, frozen=True):
    """What was typed."""

    exchange: str
    symbol: str
    start: str
    end: str | None = None
    kind: str | None = None
    interval: str | None = None
    format: str | None = None
    output: Path | None = None


class Plan(Struct, frozen=True):
    """The same, understood."""

    exchange: str
    symbol: str
    kind: str
    interval: str
    span: Span
    format: str
    path: Path

    @property
    def what(self) -> str:
        return f"{self.kind} of {self.exchange} {self.symbol}" + (f" ({self.interval})" if self.interval else "")


def run(settings: Settings, wish: Wish) -> str:
    """Write the file; what was done, as one line. Raises SettingsError for a wrong wish, StoreError if it fails."""
    plan = planned(wish, time.time_ns())
    try:
        return asyncio.run(_export(settings, plan))
    except KeyboardInterrupt:
        raise StoreError(f"stopped: {plan.path} is not written") from None


def planned(wish: Wish, now_ns: int) -> Plan:
    """Raises SettingsError for what cannot be meant."""
    kind = wish.kind or ("candles" if wish.interval else "prices")
    if wish.interval and kind != "candles":
        raise SettingsError(f"--interval {wish.interval}: {kind} have none")
    interval = (wish.interval or "1m") if kind == "candles" else ""
    if interval and interval not in INTERVALS_NS:
        raise SettingsError(f"--interval {interval}: is none of {', '.join(INTERVALS_NS)}")
    from_ns, to_ns = _time("--from", wish.start), now_ns if wish.end is None else _time("--to", wish.end)
    if from_ns >= to_ns:
        raise SettingsError(f"--from {wish.start} is not before --to {wish.end or 'now'}")
    form = wish.format or (wish.output.suffix[1:] if wish.output and wish.output.suffix[1:] in FORMATS else "csv")
    name = "-".join(part for part in (wish.exchange, wish.symbol, kind, interval) if part)
    path = wish.output or Path(f"{name.replace('/', '_')}.{form}")
    return Plan(wish.exchange, wish.symbol, kind, interval, Span(PAGE_ROWS, from_ns, to_ns), form, path)


def _time(name: str, text: str) -> int:
    try:
        return read_time(text)
    except ValueError as error:
        raise SettingsError(f"{name}: {error}") from error


async def _export(settings: Settings, plan: Plan) -> str:
    ask: Ask
    async with open_for_reading(settings) as store:
        if plan.interval:
            ask = partial(store.candles, plan.exchange, plan.symbol, plan.interval)
        else:
            ask = partial(store.rows, plan.kind, plan.exchange, plan.symbol)
        with whole(plan.path) as part:
            count = await _write(plan, part, ask)
            if not count:
                raise StoreError(f"the history has no {plan.what} in that time: {plan.path} is not written")
    return f"{plan.path}: {count} rows, {plan.what}"


async def _write(plan: Plan, part: Path, ask: Ask) -> int:
    """Write all pages; how many rows that were."""
    count, begin_ns, end_ns = 0, plan.span.from_ns or 0, plan.span.to_ns
    seconds = (end_ns - begin_ns) // 1_000_000_000
    with (
        closing(FORMATS[plan.format](plan.kind, part)) as writer,
        tqdm(total=seconds, desc=plan.symbol, bar_format=BAR, file=sys.stderr, disable=None) as bar,
    ):
        async for page in pages(ask, plan.span):
            writer.write(page.rows)
            count += len(page.rows)
            bar.set_postfix_str(f"{count} rows", refresh=False)
            reached_ns = end_ns if page.next_ns is None else page.next_ns
            bar.update((reached_ns - begin_ns) // 1_000_000_000 - bar.n)
    return count


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its name only when all went well. Raises StoreError if it cannot be written."""
    part = path.with_name(path.name + ".part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
