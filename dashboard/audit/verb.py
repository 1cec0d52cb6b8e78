"""`tickbridge audit`: proves that the store holds what was published, or names what is missing."""

import asyncio
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from bridge.errors import SettingsError
from bridge.settings import Settings
from bridge.topics import Topics
from dashboard.audit.asking import Asking, asked_book
from dashboard.audit.audit import Audit
from dashboard.audit.mending import Mending
from dashboard.audit.source import ledger
from dashboard.audit.values import Book, Report, Window
from dashboard.audit.words import lines, verdict
from dashboard.history import open_for_reading
from dashboard.history.base import END_OF_TIME_NS, History
from dashboard.times import read_time


class Wish(Struct, frozen=True):
    """What was typed. `from_`, `to`: times as people write them; `ledger`: a ledger's file."""

    from_: str | None = None
    to: str | None = None
    exchange: str | None = None
    symbol: str | None = None
    repair: bool = False
    json: bool = False
    ledger: Path | None = None


def run(settings: Settings, wish: Wish) -> int:
    """Audit once; the exit code: 0 complete, 1 missing, 3 complete up to a time and unproven after it.

    Raises SettingsError for a time that is none, StoreError if store or ledger cannot be read.
    """
    window = Window(_time(wish.from_, "from", 0), _time(wish.to, "to", END_OF_TIME_NS), wish.exchange, wish.symbol)
    if window.from_ns >= window.to_ns:
        raise SettingsError("--from lies after --to: nothing lies between")
    report = asyncio.run(audited(settings, window, wish))
    if wish.json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(told(report)), indent=2) + b"\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in lines(report)))
    return report.code


def told(report: Report) -> dict[str, object]:
    """As JSON: the report with its verdict and exit code."""
    return {"code": report.code, "verdict": verdict(report), **msgspec.to_builtins(report)}


async def audited(settings: Settings, window: Window, wish: Wish) -> Report:
    """One audit, and its repair if that is wished."""
    history = open_for_reading(settings)
    try:
        async with ledger(settings, window, wish.ledger) as (book, bridge):
            return await _audit(settings, history, (book, bridge), window, repair=wish.repair)
    finally:
        await history.aclose()


async def _audit(
    settings: Settings, history: History, source: tuple[Book, Asking | None], window: Window, *, repair: bool
) -> Report:
    book, bridge = source
    prefix = Topics(settings.prefix).prefix
    wait_s = 2 * settings.audit.settle_s + settings.history.commit_s

    async def fresh() -> Book:
        assert bridge is not None
        return await asked_book(bridge, book.at_ns or 0, END_OF_TIME_NS)

    audit = Audit(history, prefix, settings.audit.settle_s, fresh if bridge else None, wait_s)
    report = await audit.run(book, window)
    if repair and bridge is None:
        report.away = "nothing can be sent again: the bridge does not run"
    elif repair and bridge is not None and any(one.fate == "missing" for one in report.findings):
        report = await Mending(history, bridge, prefix, wait_s).mend(report)
    return report


def _time(text: str | None, name: str, otherwise: int) -> int:
    try:
        return otherwise if text is None else read_time(text)
    except ValueError as error:
        raise SettingsError(f"--{name}: {error}") from error
