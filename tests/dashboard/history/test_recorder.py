"""The recorder against a real Mosquitto."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from bridge.events import Instrument
from bridge.settings import Broker as BrokerSettings
from bridge.settings import History as Keep
from bridge.settings import Settings
from bridge.topics import STREAM_ROOTS, Topics, Trouble, catalogue, numbered, trouble_body
from dashboard.api import Api
from dashboard.app import create_app
from dashboard.broker import Inbox
from dashboard.history import Span
from dashboard.history import recorder as module
from dashboard.history.recorder import Recorder
from dashboard.history.sqlite import SqliteHistory
from dashboard.live import LiveStates
from tests.broker import Broker
from tests.dashboard.live_market import Market, until
from tests.dashboard.payloads import NOON, RUN

pytestmark = pytest.mark.real


def settings_for(broker: Broker, commit_s: float = 0.2, prefix: str = "") -> Settings:
    user, password = broker.credentials("dashboard")
    at = BrokerSettings(host=broker.host, port=broker.port, user=user, password=password)
    return Settings(broker=at, prefix=prefix, history=Keep(commit_s=commit_s))


@asynccontextmanager
async def recording(settings: Settings, path: Path) -> AsyncIterator[tuple[Recorder, SqliteHistory, asyncio.Event]]:
    """A recorder that ends without a goodbye, as by a kill: nothing is committed or acknowledged at the end."""
    session = asyncio.Event()
    store = SqliteHistory(path / "history.sqlite", settings.history)
    recorder = Recorder(store, settings, session.set)
    running = asyncio.create_task(recorder.run())
    try:
        await asyncio.wait_for(session.wait(), 20)
        yield recorder, store, session
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        store.close()


async def stored(store: SqliteHistory, symbol: str) -> list[bytes]:
    return (await store.rows("prices", "kucoin", symbol, Span(10_000, 0))).rows


async def holds(store: SqliteHistory, market: Market) -> bool:
    return all([await stored(store, symbol) == payloads for symbol, payloads in market.truth.items()])


async def test_every_tick_is_stored_byte_for_byte_and_acknowledged_after_its_commit(
    broker: Broker, tmp_path: Path
) -> None:
    market = Market(broker)
    async with recording(settings_for(broker, commit_s=1000), tmp_path) as (recorder, store, _):
        await market.publish(500)
        await until(lambda: recorder.received == 500, "all heard")
        assert await holds(store, market)
        assert recorder.status()["unacknowledged"] == 500
        await recorder.finish()
        assert recorder.status()["unacknowledged"] == 0
    async with recording(settings_for(broker), tmp_path) as (recorder, store, _):
        assert await holds(store, market)
        await market.publish(5)
        await until(lambda: holds(store, market), "the new ones are there")
        assert recorder.received == 5


async def test_what_was_not_acknowledged_comes_again_and_is_stored_once(broker: Broker, tmp_path: Path) -> None:
    market = Market(broker)
    async with recording(settings_for(broker, commit_s=1000), tmp_path) as (recorder, store, _):
        await market.publish(300)
        await until(lambda: recorder.received == 300, "all heard")
        await store.commit()
        await market.publish(200)
        await until(lambda: recorder.received == 500, "all heard")
    async with recording(settings_for(broker), tmp_path) as (recorder, store, _):
        await until(lambda: recorder.received == 500, "all come again")
        await until(lambda: recorder.status()["unacknowledged"] == 0, "all acknowledged")
        assert await holds(store, market)
        assert store.status()["repeats"] == 300


async def test_a_subscription_that_the_broker_forgot_is_asked_for_anew(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.renewal.RENEW_S", 0.2)
    market = Market(broker)
    async with recording(settings_for(broker), tmp_path) as (recorder, _store, _):
        line = recorder._line
        assert line is not None
        await line._client.unsubscribe("prices/#")

        async def heard() -> bool:
            await market.publish(10)
            return recorder.received > 0

        await until(heard, "the subscription is there again")
        assert recorder._line is line, "on the same connection"
        assert recorder.broker == "ok"


async def test_a_killed_broker_under_load_loses_no_row(broker: Broker, tmp_path: Path) -> None:
    market = Market(broker)
    async with recording(settings_for(broker), tmp_path) as (_, store, session):
        broker.save()
        load = asyncio.create_task(market.publish(3000))
        await until(lambda: store.status()["stored"] > 500, "it runs")
        session.clear()
        broker.kill9()
        broker.start()
        await asyncio.wait_for(session.wait(), 30)
        await load
        await market.publish_again()
        await until(lambda: holds(store, market), "every row is there", 30)


async def test_the_broker_keeps_what_comes_while_the_recorder_is_away(broker: Broker, tmp_path: Path) -> None:
    market = Market(broker)
    async with recording(settings_for(broker), tmp_path):
        pass
    await market.publish(1000)
    broker.restart()
    async with recording(settings_for(broker), tmp_path) as (_, store, _):
        await until(lambda: holds(store, market), "every row is there")


async def test_a_full_disk_stops_acknowledging_and_says_so_until_there_is_room(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.1)
    market = Market(broker)
    async with recording(settings_for(broker), tmp_path) as (recorder, store, _):
        pages = store._writer._db.execute("PRAGMA page_count").fetchone()[0]
        store._writer._db.execute(f"PRAGMA max_page_count = {pages}")
        await market.publish(2000)
        await until(lambda: recorder.store != "ok", "it says so")
        assert "free some space" in recorder.store
        await until(lambda: recorder.received == 2000, "all heard")
        assert recorder.status()["unacknowledged"] > 0
        store._writer._db.execute("PRAGMA max_page_count = 1000000")
        await until(lambda: recorder.status()["unacknowledged"] == 0, "all acknowledged")
        await until(lambda: recorder.store == "ok", "it says that, too")
        assert await holds(store, market)


async def test_a_recorder_that_cannot_store_leaves_what_is_too_much_to_the_broker(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.1)
    monkeypatch.setattr(module, "MOST_WAITING", 700)
    market = Market(broker)
    async with recording(settings_for(broker), tmp_path) as (recorder, store, _):
        pages = store._writer._db.execute("PRAGMA page_count").fetchone()[0]
        store._writer._db.execute(f"PRAGMA max_page_count = {pages}")
        await market.publish(500)
        await until(lambda: recorder.store != "ok", "the disk is full")
        await market.publish(1000)
        await until(lambda: recorder.broker.startswith("left"), "it leaves")
        assert store.waiting_rows <= 701
        assert recorder.status()["unacknowledged"] == 0
        store._writer._db.execute("PRAGMA max_page_count = 1000000")
        await until(lambda: holds(store, market), "every row is there")
        await until(lambda: recorder.status()["unacknowledged"] == 0, "all acknowledged")
        assert (recorder.broker, recorder.store, recorder.dropped) == ("ok", "ok", 0)


async def test_large_messages_that_cannot_be_stored_are_bounded_by_their_bytes(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.1)
    monkeypatch.setattr(module, "MOST_UNSTORED_BYTES", 1_000_000)
    market, text = Market(broker), "x" * 50_000
    async with recording(settings_for(broker), tmp_path) as (recorder, store, _):
        pages = store._writer._db.execute("PRAGMA page_count").fetchone()[0]
        store._writer._db.execute(f"PRAGMA max_page_count = {pages}")
        async with market.client() as client:
            await market.publish(2000)
            await until(lambda: recorder.store != "ok", "the disk is full")
            for n in range(1, 51):
                trouble = numbered(trouble_body(Trouble("value", text), NOON + n), RUN, n)
                await client.publish(Topics().errors("kucoin"), trouble, qos=1)
        await until(lambda: recorder.broker.startswith("left"), "it leaves")
        assert store.waiting_bytes < 1_100_000
        store._writer._db.execute("PRAGMA max_page_count = 1000000")
        await until(lambda: holds(store, market), "every row is there")
        await until(lambda: has_errors(store, 50), "every error is there")
        await until(lambda: recorder.status()["unacknowledged"] == 0 and recorder.broker == "ok", "all acknowledged")


async def has_errors(store: SqliteHistory, count: int) -> bool:
    return len((await store.errors("kucoin", None, None, Span(100, 0))).rows) == count


async def test_what_came_too_fast_to_be_held_comes_again(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inboxes = []

    def small() -> Inbox:
        inboxes.append(Inbox(100))
        return inboxes[-1]

    monkeypatch.setattr(module, "Inbox", small)
    market = Market(broker)
    async with recording(settings_for(broker), tmp_path) as (recorder, store, _):
        await market.publish(1000)
        await until(lambda: holds(store, market), "every row is there")
        await until(lambda: recorder.status()["unacknowledged"] == 0 and recorder.broker == "ok", "all acknowledged")
    assert any(inbox.overflown for inbox in inboxes)


async def test_the_catalogue_that_the_broker_retains_is_kept(broker: Broker, tmp_path: Path) -> None:
    told = catalogue([Instrument("BTC-USDT", "BTC", "USDT", "BTC-USDT", "0.10", None, "trading")], NOON)
    async with Market(broker).client() as client:
        await client.publish(Topics().catalogue("kucoin"), told, qos=1, retain=True)
    async with recording(settings_for(broker), tmp_path) as (recorder, store, _):
        await until(lambda: recorder.received == 1, "heard")
        await until(lambda: recorder.status()["unacknowledged"] == 0, "acknowledged")
    async with SqliteHistory(tmp_path / "history.sqlite", Keep()) as store:
        ((exchange, instrument),) = await store.catalogue()
    assert exchange == "kucoin"
    assert b'"base":"BTC","quote":"USDT"' in instrument
    assert b'"price_step":0.10,' in instrument


async def test_a_refused_subscription_is_told(tmp_path: Path) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _packet(reader)
        writer.write(b"\x20\x02\x00\x00")
        packet_id = (await _packet(reader))[:2]
        writer.write(b"\x90\x08" + packet_id + b"\x01\x01\x01\x80\x01\x01")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        settings = Settings(broker=BrokerSettings(port=server.sockets[0].getsockname()[1]))
        async with recording(settings, tmp_path) as (recorder, _, _):
            refused = f"refuses {STREAM_ROOTS[3]}/#: see its acl"
            assert recorder.broker == refused
            app = create_app(Api(settings, LiveStates(settings), None, recorder), 9001)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://pi") as client:
                assert (await client.get("/healthz")).json() == {"ok": True, "store": "ok", "broker": refused}


async def _packet(reader: asyncio.StreamReader) -> bytes:
    """The body of a small MQTT packet."""
    _, length = await reader.readexactly(2)
    return await reader.readexactly(length)


async def test_many_messages_are_committed_before_the_time_is_up(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMIT_MESSAGES", 50)
    market = Market(broker)
    async with recording(settings_for(broker, commit_s=1000), tmp_path) as (recorder, store, _):
        await market.publish(200)
        await until(lambda: recorder.received == 200 and store.status()["commits"] > 0, "committed")


async def test_a_message_that_cannot_be_stored_is_counted_and_holds_nobody_up(broker: Broker, tmp_path: Path) -> None:
    market = Market(broker)
    async with recording(settings_for(broker), tmp_path) as (recorder, store, _):
        async with market.client() as client:
            await client.publish("prices/kucoin/BTC-USDT", b"no json", qos=1)
        await market.publish(10)
        await until(lambda: holds(store, market), "the others are there")
        await until(lambda: recorder.status()["unacknowledged"] == 0, "all acknowledged")
        assert recorder.status()["refused"] == 1


async def test_users_acl_and_prefix_are_respected(tmp_path: Path) -> None:
    with Broker(tmp_path / "mosquitto", with_users=True, prefix="home/") as broker:
        async with recording(settings_for(broker, prefix="home"), tmp_path) as (recorder, store, _):
            market = Market(broker, prefix="home/")
            await market.publish(20)
            await until(lambda: holds(store, market), "stored without the prefix")
            assert recorder.broker == "ok"
