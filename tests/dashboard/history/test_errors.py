"""The error table and the catalogue of the embedded store."""

import json

import pytest

from bridge.errors import FrameError
from bridge.events import Instrument
from bridge.topics import Topics, Trouble, catalogue, numbered, trouble_body
from dashboard.history import Page, Span, tidy
from dashboard.history.sqlite import SqliteHistory
from tests.dashboard.history.conftest import Open
from tests.dashboard.payloads import NOON, RUN

KUCOIN = Topics().errors("kucoin")
OF_BRIDGE = Topics().errors("bridge")


def put(store: SqliteHistory, topic: str, time_ns: int, n: int, kind: str = "frame", symbol: str | None = None) -> None:
    store.append(topic, numbered(trouble_body(Trouble(kind, "why", symbol=symbol), time_ns), RUN, n))


def told(page: Page) -> list[tuple[str, int]]:
    return [(row["exchange"], row["n"]) for row in map(json.loads, page.rows)]


async def test_errors_of_all_exchanges_come_by_time_and_can_be_chosen(open_store: Open) -> None:
    store = open_store()
    put(store, KUCOIN, NOON + 2, 2, "value", "BTC-USDT")
    put(store, KUCOIN, NOON, 1)
    put(store, OF_BRIDGE, NOON + 1, 1, "clock")
    put(store, f"{KUCOIN}/2", NOON + 3, 1, "value", "ETH-USDT")
    every = [("kucoin", 1), ("bridge", 1), ("kucoin", 2), ("kucoin", 1)]
    assert told(await store.errors(None, None, None, Span(9, 0))) == every
    assert told(await store.errors("kucoin", None, None, Span(9, 0))) == [every[0], *every[2:]]
    assert told(await store.errors(None, "value", None, Span(9, 0))) == every[2:]
    assert told(await store.errors(None, "value", "BTC-USDT", Span(9, 0))) == [every[2]]
    assert told(await store.errors(None, None, None, Span(2))) == every[2:]
    assert told(await store.errors(None, None, None, Span(9, NOON + 1, NOON + 3))) == every[1:3]
    assert told(await store.errors("nobody", None, None, Span(9, 0))) == []


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
async def test_errors_come_in_pages_without_hole_or_double(
    open_store: Open, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr("dashboard.history.queries.LOOKED_AT", 3)
    monkeypatch.setattr(tidy, "FOLD_ROWS", dict.fromkeys(tidy.FOLD_ROWS, 10))
    store = open_store()
    for n in range(1, 50):
        put(store, KUCOIN, NOON + n, n, "frame" if n % 5 else "value")
        put(store, OF_BRIDGE, NOON + n // 2 * 2, n, "clock")
        if n % 12 == 0:
            await store.commit()
            await store.tidy()
    for kind, count in ((None, 49 + 25), ("value", 9), ("clock", 25)):
        found, from_ns = [], 0
        while True:
            page = await store.errors(None, kind, None, Span(limit, from_ns))
            found += told(page)
            if page.next_ns is None:
                break
            from_ns = page.next_ns
        assert len(found) == len(set(found)) == count
    newest = told(await store.errors(None, "value", None, Span(4)))
    assert newest == [("kucoin", n) for n in (30, 35, 40, 45)]


def instrument(symbol: str, step: str) -> Instrument:
    return Instrument(symbol, *symbol.split("-"), symbol, step, None, "trading")


async def test_every_instrument_is_kept_as_it_was_told_last(open_store: Open) -> None:
    store = open_store()
    topic = Topics().catalogue("kucoin")
    both = catalogue([instrument("BTC-USDT", "0.1"), instrument("ETH-USDT", "0.010")], NOON)
    assert store.append(topic, both)
    assert not store.append(topic, both)
    await store.commit()
    store = open_store()
    assert not store.append(topic, both)
    assert store.append(topic, catalogue([instrument("BTC-USDT", "0.5")], NOON + 1))
    assert store.append(f"{topic}/2", catalogue([instrument("BTC-EUR", "1")], NOON + 1))
    await store.commit()
    for _ in range(2):
        kept = await store.catalogue()
        assert [(of, json.loads(one)["symbol"]) for of, one in kept] == [
            ("kucoin", "BTC-EUR"),
            ("kucoin", "BTC-USDT"),
            ("kucoin", "ETH-USDT"),
        ]
        assert b'"price_step":0.5,' in kept[1][1]
        assert b'"price_step":0.010,' in kept[2][1]
        store = open_store()


@pytest.mark.parametrize("payload", [b"", b"[]", b'{"instruments":[{}]}', b'{"instruments":[{"symbol":"\xff"}]}'])
async def test_what_is_no_catalogue_is_refused_and_changes_nothing(open_store: Open, payload: bytes) -> None:
    store = open_store()
    with pytest.raises(FrameError):
        store.append(Topics().catalogue("kucoin"), payload)
    assert await store.catalogue() == []
