"""`/api/v1/stream`: a real uvicorn, real websockets, a real Mosquitto."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from bridge.settings import Broker as BrokerSettings
from bridge.settings import Settings
from dashboard.stream.hub import MOST_FILTERS, MOST_READERS
from dashboard.stream.socket import MOST_REQUEST_BYTES, TOO_SLOW
from tests.broker import Broker
from tests.dashboard.live_market import until
from tests.dashboard.served import Served, Teller, ask, served, telling, told

pytestmark = pytest.mark.real
TICK = b'{"price":0.00000012,"bid":1.10,"time_ns":1743147199001234567,"run":1,"n":%d}'


@pytest.fixture
async def page(broker: Broker) -> AsyncIterator[Served]:
    async with served(Settings(broker=BrokerSettings(port=broker.port))) as page:
        await until(lambda: page.live.connected, "connected")
        yield page


@pytest.fixture
async def teller(broker: Broker) -> AsyncIterator[Teller]:
    async with telling(broker) as teller:
        yield teller


async def test_a_stream_comes_as_published_digit_by_digit(page: Served, teller: Teller) -> None:
    async with page.reader() as line:
        assert await ask(line, subscribe=["prices/+/BTC-USDT"], id=7) == {
            "id": 7,
            "ok": True,
            "subscribed": ["prices/+/BTC-USDT"],
            "broker": "ok",
        }
        await teller.stream("prices/kucoin/ETH-USDT", TICK % 1)
        await teller.stream("prices/kucoin/BTC-USDT", TICK % 2)
        assert await line.recv() == '{"topic":"prices/kucoin/BTC-USDT","payload":' + (TICK % 2).decode() + "}"


async def test_what_two_filters_mean_comes_once(page: Served, teller: Teller) -> None:
    async with page.reader() as line:
        await ask(line, subscribe=["prices/+/BTC-USDT", "prices/kucoin/+", "#", "prices/kucoin/BTC-USDT"])
        for n in range(1, 51):
            await teller.stream("prices/kucoin/BTC-USDT", TICK % n)
        assert [(await told(line, "topic"))["payload"]["n"] for _ in range(50)] == [*range(1, 51)]


async def test_states_come_first_with_their_freshness(broker: Broker, teller: Teller) -> None:
    await teller.state("latest/kucoin/BTC-USDT", b'{"price":0.00000012,"stale":false,"age_ms":120}', 25)
    await teller.state("catalogue/kucoin", b'{"time_ns":1,"instruments":[]}')
    async with served(Settings(broker=BrokerSettings(port=broker.port))) as page, page.reader() as line:
        await until(lambda: page.live._states, "connected, and the catalogue is here")
        await ask(line, subscribe=["latest/#", "catalogue/#"])
        before = {one["topic"]: one for one in [json.loads(await line.recv()) for _ in range(2)]}
    latest = before["latest/kucoin/BTC-USDT"]
    assert (latest["snapshot"], latest["provisional"]) == (True, True)
    assert (latest["payload"]["stale"], "age_ms" in latest["payload"]) == (True, False)
    assert before["catalogue/kucoin"] == {
        "topic": "catalogue/kucoin",
        "snapshot": True,
        "payload": {"time_ns": 1, "instruments": []},
    }


async def test_a_second_reader_gets_the_states_with_their_age_by_now(page: Served, teller: Teller) -> None:
    async with page.reader() as first, page.reader() as second:
        await ask(first, subscribe=["latest/#"])
        await teller.state("latest/kucoin/BTC-USDT", b'{"price":0.00000012,"stale":false,"age_ms":120}', 30)
        assert await told(first, "topic") == {
            "topic": "latest/kucoin/BTC-USDT",
            "payload": {"price": 0.00000012, "stale": False, "age_ms": 120},
        }
        await ask(second, subscribe=["latest/kucoin/BTC-USDT"])
        text = await second.recv()
        assert '"price":0.00000012' in text
        before = json.loads(text)
        assert (before["snapshot"], "provisional" in before, before["payload"]["stale"]) == (True, False, False)
        assert 120 <= before["payload"]["age_ms"] < 5_000


async def test_after_the_answer_nothing_of_an_unsubscribed_filter_comes(page: Served, teller: Teller) -> None:
    async with page.reader() as line:
        await ask(line, subscribe=["prices/#", "trades/#"])
        await teller.stream("prices/kucoin/BTC-USDT", TICK % 1)
        await told(line, "topic", "prices/kucoin/BTC-USDT")
        assert (await ask(line, unsubscribe=["prices/#"]))["subscribed"] == ["trades/#"]
        await teller.stream("prices/kucoin/BTC-USDT", TICK % 2)
        await teller.stream("trades/kucoin/BTC-USDT", TICK % 1)
        assert json.loads(await line.recv())["topic"] == "trades/kucoin/BTC-USDT"


async def test_the_broker_is_asked_only_for_what_somebody_reads(
    page: Served, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    hear: Callable[[str, bytes], None] = page.hub.heard
    monkeypatch.setattr(page.hub, "heard", lambda topic, payload: (heard.append(topic), hear(topic, payload)))
    async with page.reader() as line:
        async with page.reader() as other:
            await ask(line, subscribe=["prices/kucoin/BTC-USDT"])
            await ask(other, subscribe=["prices/kucoin/BTC-USDT", "trades/#"])
        await until(lambda: "trades/#" not in page.live._subscriptions, "the other is gone")
        await teller.stream("prices/kucoin/ETH-USDT", TICK % 1)
        await teller.stream("trades/kucoin/BTC-USDT", TICK % 1)
        await teller.stream("prices/kucoin/BTC-USDT", TICK % 1)
        await told(line, "topic")
        assert heard == ["prices/kucoin/BTC-USDT"]
    await until(lambda: len(page.live._subscriptions) == 2, "nothing but health and catalogues")


async def test_a_prefix_is_no_part_of_topics_and_filters(broker: Broker) -> None:
    settings = Settings(prefix="home/pi", broker=BrokerSettings(port=broker.port))
    async with served(settings) as page, telling(broker, "home/pi/") as teller, page.reader() as line:
        await until(lambda: page.live.connected, "connected")
        await ask(line, subscribe=["#"])
        await teller.stream("prices/kucoin/BTC-USDT", TICK % 1)
        assert (await told(line, "topic"))["topic"] == "prices/kucoin/BTC-USDT"


async def test_readers_are_told_when_the_broker_goes_and_go_on_when_it_is_back(page: Served, broker: Broker) -> None:
    async with page.reader() as line:
        await ask(line, subscribe=["prices/#"])
        broker.kill9()
        assert await told(line, "broker") == {"broker": "away"}
        assert (await ask(line, subscribe=["trades/#"]))["broker"] == "away"
        broker.start()
        await told(line, "broker", "ok")
        async with telling(broker) as teller:
            await teller.stream("trades/kucoin/BTC-USDT", TICK % 1)
        assert (await told(line, "topic"))["topic"] == "trades/kucoin/BTC-USDT"


async def test_a_state_that_is_no_more_has_the_payload_null(page: Served, teller: Teller) -> None:
    async with page.reader() as line:
        await ask(line, subscribe=["catalogue/#"])
        await teller.state("catalogue/kucoin", b'{"instruments":[]}')
        await teller.state("catalogue/kucoin", b"")
        await told(line, "topic")
        assert await told(line, "topic") == {"topic": "catalogue/kucoin", "payload": None}


# --- bad input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ("hello", "malformed"),
        ("[" * 10_000, "Expected `object`"),
        ('{"subscribe":' + "[" * 10_000, "Expected `str`"),
        ('{"id":' + "[" * 10_000, "Expected `int | str | null`"),
        ('{"subscribe":["prices/#"],"x":' + "[" * 10_000, "unknown field `x`"),
        (b"\xff\xfe", "malformed"),
        ("{}", "nothing to do"),
        ('{"subscribe":"prices/#"}', "Expected `array`"),
        ('{"subscribe":[5]}', "Expected `str`"),
        ('{"subscribe":["tickbridge/#"]}', "no topics begin with 'tickbridge'"),
        ('{"subscribe":["prices/#/x"]}', "# is the last level"),
        ('{"unsubscribe":["prices/#"]}', "is not subscribed"),
        (json.dumps({"subscribe": [f"prices/k/S{n}" for n in range(MOST_FILTERS + 1)]}), "at most 50 filters"),
    ],
)
async def test_a_bad_request_is_answered_with_the_reason_and_ends_nothing(
    page: Served, teller: Teller, request_: str | bytes, reason: str
) -> None:
    async with page.reader() as line:
        await line.send(request_)
        answer = await told(line, "ok")
        assert (answer["ok"], reason in answer["error"]) == (False, True), answer
        assert (await ask(line, subscribe=["prices/#"]))["ok"]


async def test_a_huge_frame_closes_the_line_with_its_reason(page: Served) -> None:
    async with page.reader() as line:
        await line.send("x" * (MOST_REQUEST_BYTES + 1))
        with pytest.raises(ConnectionClosedError) as closed:
            await line.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    await until(lambda: not page.hub._readers, "it is gone")


async def test_foreign_bytes_on_a_stream_reach_nobody(page: Served, teller: Teller) -> None:
    async with page.reader() as line:
        await ask(line, subscribe=["prices/#"])
        for payload in (b"garbage", b'{"a":\xff}', b'{"a":' + b"[" * 5000, b"5", b""):
            await teller.stream("prices/kucoin/BTC-USDT", payload)
        await teller.stream("prices/kucoin/BTC-USDT", TICK % 1)
        assert (await told(line, "topic"))["payload"]["n"] == 1
        assert page.live.unreadable == 5


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null", "http://127.0.0.1"])
async def test_pages_of_other_sites_are_refused(page: Served, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await page.reader(origin=origin).__aenter__()
    assert refused.value.response.status_code == 403
    assert b"other sites" in refused.value.response.body


async def test_our_own_page_is_let_in(page: Served) -> None:
    async with page.reader(origin=page.http) as line:
        assert (await ask(line, subscribe=["health/#"]))["ok"]


async def test_too_many_readers_are_refused_and_a_place_is_free_again(page: Served) -> None:
    lines = [await page.reader() for _ in range(MOST_READERS)]
    with pytest.raises(InvalidStatus) as refused:
        await page.reader()
    assert refused.value.response.status_code == 503
    assert refused.value.response.headers["retry-after"]
    await lines.pop().close()
    await until(lambda: len(page.hub._readers) < MOST_READERS, "a place is free")
    async with page.reader():
        for line in lines:
            await line.close()


async def test_without_an_upgrade_or_elsewhere_it_is_said_what_is_wrong(page: Served) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{page.http}/api/v1/stream")
    assert (answer.status_code, answer.json()["error"]) == (426, "/api/v1/stream is a websocket")
    page.ws = page.ws.replace("stream", "streams")
    with pytest.raises(InvalidStatus) as refused:
        await page.reader().__aenter__()
    assert refused.value.response.status_code == 404


# --- slow readers -----------------------------------------------------------------------------------------


def slow_line(page: Served) -> Any:
    """A reader with a small receive buffer that reads nothing by itself."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", page.port))
    return page.reader(sock=raw, max_queue=1)


def long_tick(n: int) -> bytes:
    return (TICK % n)[:-1] + b',"x":"%b"}' % (b"x" * 15_000)


async def flood(teller: Teller, topic: str, count: int) -> None:
    for start in range(0, count, 200):
        numbers = range(start + 1, min(start + 200, count) + 1)
        await asyncio.gather(
            *(teller.stream(topic, (TICK % n)[:-1] + b',"x":"%b"}' % (b"x" * 15_000)) for n in numbers)
        )


async def test_a_reader_that_does_not_follow_a_stream_is_closed_with_the_reason(page: Served, teller: Teller) -> None:
    async with slow_line(page) as slow, page.reader() as quick:
        await ask(slow, subscribe=["prices/#"])
        await ask(quick, subscribe=["trades/#"])
        await flood(teller, "prices/kucoin/BTC-USDT", 1200)
        await until(lambda: len(page.hub._readers) == 1, "the slow one is gone")
        with pytest.raises(ConnectionClosedError) as closed:
            async for _ in slow:
                pass
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, "too slow" in closed.value.rcvd.reason) == (TOO_SLOW, True)
        await teller.stream("trades/kucoin/BTC-USDT", TICK % 1)
        assert (await told(quick, "topic"))["payload"]["n"] == 1


async def test_a_slow_reader_of_states_gets_the_newest(page: Served, teller: Teller) -> None:
    async with slow_line(page) as line:
        await ask(line, subscribe=["latest/#"])
        for n in range(3000):
            await teller.state("latest/kucoin/BTC-USDT", b'{"n":%d,"x":"%b"}' % (n, b"x" * 5000))
        count = 0
        while (await told(line, "topic"))["payload"]["n"] < 2999:
            count += 1
        assert count < 2900


async def test_a_reader_that_takes_nothing_at_all_is_cut_off(
    page: Served, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.stream.socket.LINGER_S", 0.2)
    async with slow_line(page) as line:
        await ask(line, subscribe=["prices/#"])
        assert page.connections() == 1
        line.transport.pause_reading()
        await flood(teller, "prices/kucoin/BTC-USDT", 1200)
        await until(lambda: not page.hub._readers, "it is gone")
        await until(lambda: not page.connections(), "its socket, too")
        line.transport.abort()
