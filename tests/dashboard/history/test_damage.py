"""A damaged history is put aside, or what of it is damaged is left out; either way the dashboard stores on."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings

from bridge.aside import asides
from bridge.errors import Damaged, StoreError
from bridge.settings import History as Keep
from dashboard.history import tidy
from dashboard.history.base import Span, StoreAway
from dashboard.history.sqlite import SqliteHistory, replace
from tests.damage import harmed, harms

NOON = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
EVERYTHING = Span(1000, 0)


def price(n: int, run: int = 7) -> bytes:
    return b'{"price":%d.5,"size":%d,"time_ns":%d,"run":%d,"n":%d}' % (n * 7919, n * 104729, NOON + n * SECOND, run, n)


@pytest.fixture
async def body(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A history with segments, a journal, gaps and instruments."""
    monkeypatch.setattr(tidy, "FOLD_ROWS", dict.fromkeys(tidy.FOLD_ROWS, 1000))
    store = SqliteHistory(tmp_path / "made" / "history.sqlite", Keep(prices_days=0))
    for n in range(1, 201):
        for k in range(16):
            store.append(f"prices/kucoin/A{k}-B", price(n))
        if n % 50 == 0:
            gap = b'{"id":"g%d","channel":"prices","from_ns":1,"to_ns":2,"cause":"line lost","state":"unfillable",'
            store.append("gaps/kucoin", gap % n + b'"time_ns":%d,"run":7,"n":%d}' % (NOON + n, n // 50))
            await store.commit()
            await store.tidy()
    assert store.status()["folds"] > 1
    assert store.status()["journal"]
    store.close()
    return store.path.read_bytes()


def test_no_damage_of_the_history_keeps_a_dashboard_from_storing(body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)

    @given(harm=harms)
    @settings(deadline=None, max_examples=60)
    def check(harm: tuple[Callable[[bytes, Random], bytes], int]) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "history.sqlite"
            path.write_bytes(harmed(body, harm))
            asyncio.run(_stores_on(path))
            for name in asides(path.parent):
                assert (path.parent / name).stat().st_size <= len(body) * 2

    check()


async def _stores_on(path: Path) -> None:
    """Write and read; what the dashboard does when it meets damage, as `serve.run` does it."""
    store = SqliteHistory.open(path, Keep(prices_days=0))
    with suppress(StoreError):  # damage that is met by then is what comes next
        await _use(store)
    store.close()
    if store.damage is not None:
        replace(path, store.damage)
        store = SqliteHistory.open(path, Keep(prices_days=0))
        assert await _use(store) == [price(1, run=8)]
        store.close()
    again = SqliteHistory.open(path, Keep(prices_days=0))
    assert price(1, run=8) in (await again.rows("prices", "kucoin", "NEW-B", EVERYTHING)).rows
    again.close()


async def _use(store: SqliteHistory) -> list[bytes]:
    store.append("prices/kucoin/NEW-B", price(1, run=8))
    await store.commit()
    await store.tidy()
    for k in range(16):
        with suppress(StoreError):
            await store.rows("prices", "kucoin", f"A{k}-B", EVERYTHING)
    if store.damage is not None:
        raise store.damage
    return (await store.rows("prices", "kucoin", "NEW-B", EVERYTHING)).rows


def test_a_damaged_history_that_cannot_be_put_aside_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(StoreAway, match="move it away"):
        replace(tmp_path / "missing", Damaged("zeros"))
