"""What InfluxDB is asked for: what Telegraf says that it stores, from its first sign of life on."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.errors import StoreError
from bridge.settings import Influx as Where
from bridge.settings import Settings
from bridge.topics import STREAM_ROOTS
from dashboard.history import Sequence, Span
from dashboard.history.influx import InfluxHistory, listing, numbers
from dashboard.history.influx.reads import Reads
from tests.containers import Influx
from tests.dashboard.payloads import DAY, MINUTE, NOON, SECOND
from tests.lines import Lines

pytestmark = pytest.mark.real
PREFIXES = (f"l{number}_" for number in itertools.count())


@pytest.fixture
def lines(influx: Influx) -> Iterator[Lines]:
    made = Lines(influx.url, influx.org, influx.token, next(PREFIXES))
    made.make_buckets()
    yield made
    made.close()


@pytest.fixture
def settings(influx: Influx, lines: Lines) -> Settings:
    return Settings(influx=Where(url=influx.url, org=influx.org, token=influx.token, bucket_prefix=lines.prefix))


def alive(lines: Lines, at_ns: int, *aliases: str) -> None:
    """Telegraf tells of its inputs."""
    told = "internal_gather,alias={},input=mqtt_consumer errors=0i,gather_time_ns=1i {}"
    lines.write(("states", told.format(alias, at_ns)) for alias in aliases)


def price(at_ns: int, fields: str = "price=1,run=2i,n=1i") -> tuple[str, str]:
    return "prices", f"prices,exchange=kucoin,symbol=BTC-USDT {fields} {at_ns}"


async def test_what_telegraf_stores_is_held_from_its_first_sign_of_life_on(lines: Lines, settings: Settings) -> None:
    alive(lines, NOON, *STREAM_ROOTS, "health")
    alive(lines, NOON + DAY, *STREAM_ROOTS, "health")
    lines.write([price(NOON - 5), price(NOON - 9 * DAY, 'price=1,fill="x",fill_n=1i')])
    async with InfluxHistory(settings) as history:
        assert await history.holds() == dict.fromkeys(STREAM_ROOTS, 0)
        since = await history.heard_since()
        assert since == dict.fromkeys(STREAM_ROOTS, NOON) | {"prices": NOON - 5}, "a fill's row tells nothing"


async def test_what_telegraf_was_told_not_to_store_is_not_held(lines: Lines, settings: Settings) -> None:
    alive(lines, NOON, *STREAM_ROOTS)
    alive(lines, NOON + DAY, "latest", "off", "candles", "gaps", "errors")
    lines.write([price(NOON), ("trades", f"trades,exchange=kucoin,symbol=BTC-USDT price=1,run=2i,n=1i {NOON}")])
    async with InfluxHistory(settings) as history:
        assert set(await history.holds()) == {"candles", "gaps", "errors"}
        alive(lines, NOON + DAY + 10 * MINUTE, *STREAM_ROOTS)
        assert set(await history.holds()) == set(STREAM_ROOTS), "it is switched on again"


async def test_without_telegrafs_figures_a_root_is_held_from_its_first_numbered_row_on(
    lines: Lines, settings: Settings
) -> None:
    async with InfluxHistory(settings) as history:
        with pytest.raises(StoreError, match="nothing from Telegraf yet: start Telegraf"):
            await history.holds()
        lines.write([price(NOON)])
        assert await history.holds() == {"prices": 0}
        assert await history.heard_since() == {"prices": NOON}


async def test_a_missing_bucket_is_no_kind_that_is_off(lines: Lines, settings: Settings) -> None:
    alive(lines, NOON, *STREAM_ROOTS)
    lines.drop_bucket("trades")
    async with InfluxHistory(settings) as history:
        with pytest.raises(StoreError, match=r"no bucket .*trades.*store init"):
            await history.holds()


async def test_a_symbol_that_came_just_now_is_known_when_it_is_asked_for(lines: Lines, settings: Settings) -> None:
    lines.write([price(NOON)])
    async with InfluxHistory(settings) as history:
        assert history.symbols() == []
        assert [one.symbol for one in await history.refresh()] == ["BTC-USDT"]


@pytest.mark.parametrize("limit", [3, 100])
async def test_a_long_error_table_is_read_in_slices_and_whole(
    lines: Lines, settings: Settings, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(listing, "MOST_READ", 7)
    told = 'errors,exchange={} payload="{{\\"kind\\":\\"{}\\",\\"n\\":{}}}" {}'
    kinds = ["frame" if k % 10 == 0 else "value" for k in range(60)]
    lines.write(
        ("errors", told.format("kucoin" if k % 3 else "binance,shard=2", kind, k, NOON + k * k * MINUTE))
        for k, kind in enumerate(kinds)
    )
    async with InfluxHistory(settings) as history:
        for kind, expected in ((None, list(range(60))), ("frame", [0, 10, 20, 30, 40, 50])):
            found, next_ns = [], 0
            while next_ns is not None:
                page = await history.errors(None, kind, None, Span(limit, next_ns))
                found += page.rows
                next_ns = page.next_ns  # type: ignore[assignment]
            newest = await history.errors(None, kind, None, Span(limit))
            assert [int(row.rpartition(b":")[2][:-1]) for row in found] == expected
            assert newest.rows == found[-limit:]


async def test_a_hole_among_many_rows_is_found_without_reading_them_all(
    lines: Lines, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numbers, "PIECE_ROWS", 20)
    read: list[int] = []
    reads_all = Reads.all

    async def counted(self: Reads, *asked: Any) -> Any:
        rows = await reads_all(self, *asked)
        read.append(len(rows))
        return rows

    monkeypatch.setattr(Reads, "all", counted)
    # two runs, one after the other, and a hole in each; the rows of a second stand close together
    for run, began_ns in ((2, NOON), (3, NOON + 3000 * SECOND)):
        places = ((n, began_ns + n * SECOND // 2) for n in range(1, 5001) if n != 700)
        lines.write(price(at_ns, f"price=1,run={run}i,n={n}i") for n, at_ns in places)
    async with InfluxHistory(settings) as history:
        for run in (2, 3):
            sequence = Sequence("prices/kucoin/BTC-USDT", run)
            assert await history.numbers(sequence, 1, 9999, Span(1, 0)) == [(1, 699), (701, 5000)]
    assert max(read, default=0) <= 60
    assert sum(read) < 400
