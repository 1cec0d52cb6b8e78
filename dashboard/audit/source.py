"""Where the ledger is read: from the bridge while it lives, else from its file."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from bridge.errors import BrokerLost, StoreError, TickbridgeError
from bridge.settings import Settings
from bridge.topics import Topics
from dashboard.audit.address import beside
from dashboard.audit.asking import Asking, BridgeAway, asked_book, asking
from dashboard.audit.ledger_file import LedgerInUse, read_ledger
from dashboard.audit.values import Book, Window

CLIENT = "audit-once"
log = logging.getLogger(__name__)


def ledger_path(settings: Settings) -> Path:
    """Where the bridge of these settings keeps its ledger."""
    return settings.data_dir / "bridge" / f"ledger{settings.shard.replace('/', '-')}.db"


@asynccontextmanager
async def ledger(settings: Settings, window: Window, file: Path | None) -> AsyncIterator[tuple[Book, Asking | None]]:
    """The ledger, and the living bridge that told it. Raises StoreError if it can be had in no way.

    `file`: that one, whoever lives.
    """
    prefix = Topics(settings.prefix).prefix
    async with AsyncExitStack() as stack:
        if file is not None:
            yield read_ledger(file, prefix, window.from_ns, window.to_ns), None
            return
        problems = []
        for one in _ways(settings):
            try:
                bridge = await stack.enter_async_context(asking(one, CLIENT))
                book = await asked_book(bridge, window.from_ns, window.to_ns)
            except (BrokerLost, BridgeAway) as error:
                problems.append(str(error))
                continue
            yield book, bridge
            return
        try:
            book = read_ledger(ledger_path(settings), prefix, window.from_ns, window.to_ns)
        except LedgerInUse as error:
            raise StoreError(f"{error} ({'; '.join(problems)}): set [broker] so that it can be") from error
        except TickbridgeError as error:
            raise StoreError(f"no bridge answers ({'; '.join(problems)}), and {error}") from error
        yield book, None


def _ways(settings: Settings) -> list[Settings]:
    """The broker of a dashboard on the same folder first: `up` takes other ports where the usual ones are taken."""
    near = beside(settings)
    if near is None or near.broker == settings.broker:
        return [settings]
    return [near, settings]
