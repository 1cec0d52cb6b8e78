from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.settings import History as Keep
from dashboard.history.sqlite import SqliteHistory

KEEP_ALL = Keep(prices_days=0, trades_days=0, errors_days=0)
Open = Callable[..., SqliteHistory]


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Open]:
    """Opens the store of this test; what was opened before is closed first, as by a restart."""
    opened: list[SqliteHistory] = []

    def open_(keep: Keep | None = None) -> SqliteHistory:
        for store in opened:
            store.close()
        opened[:] = [SqliteHistory(tmp_path / "history.sqlite", keep or KEEP_ALL)]
        return opened[0]

    yield open_
    for store in opened:
        store.close()
