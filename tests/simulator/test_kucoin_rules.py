"""KuCoin's rules, seen from a plain websocket client."""

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from bridge.simulator import KuCoinRules, Simulator
from tests.simulator.clients import get, kucoin, kucoin_url, subscribe, until

pytestmark = pytest.mark.real
FEW: dict[str, Any] = {"invented": 5, "rate": 400.0}


async def test_a_token_opens_one_line_only() -> None:
    async with Simulator(**FEW) as sim:
        url = await kucoin_url(sim)
        async with connect(url) as ws:
            assert json.loads(await ws.recv())["type"] == "welcome"
        async with connect(url) as ws:
            assert json.loads(await ws.recv()) == {"id": "me", "type": "error", "code": 401, "data": "token is invalid"}
            with pytest.raises(ConnectionClosed):
                await ws.recv()


async def test_a_token_does_not_live_for_ever() -> None:
    async with (
        Simulator(kucoin_rules=KuCoinRules(token_life_s=0.0), **FEW) as sim,
        connect(await kucoin_url(sim)) as ws,
    ):
        assert json.loads(await ws.recv())["code"] == 401


async def test_a_subscription_is_acknowledged_by_its_id_as_text_and_then_told() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim) as ws:
        await subscribe(ws, "/market/ticker:BTC-USDT,ETH-USDT", 42)
        assert json.loads(await ws.recv()) == {"id": "42", "type": "ack"}
        for native in ("BTC-USDT", "ETH-USDT"):
            told = await until(ws, lambda told, native=native: told["topic"] == f"/market/ticker:{native}")
            assert told["subject"] == "trade.ticker"
            assert list(told["data"]) == [
                "bestAsk", "bestAskSize", "bestBid", "bestBidSize", "price", "sequence", "size", "time",
            ]  # fmt: skip


async def test_an_unwanted_ack_is_not_sent() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim) as ws:
        await ws.send('{"id":1,"type":"subscribe","topic":"/market/ticker:BTC-USDT"}')
        assert json.loads(await ws.recv())["subject"] == "trade.ticker"


async def test_an_unknown_symbol_is_acknowledged_and_then_silent() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim, "/market/ticker:NOSUCH-USDT") as ws:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ws.recv(), 0.5)


async def test_unsubscribing_ends_the_topic() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim, "/market/ticker:BTC-USDT") as ws:
        await subscribe(ws, "/market/ticker:BTC-USDT", 2, "unsubscribe")
        await until(ws, lambda told: told.get("id") == "2")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ws.recv(), 0.3)


async def test_all_tickers_name_the_symbol_in_the_subject() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim, "/market/ticker:all") as ws:
        subjects = {
            (await until(ws, lambda told: told["topic"] == "/market/ticker:all"))["subject"] for _ in range(200)
        }
        assert {"BTC-USDT", "ETH-BTC"} <= subjects <= set(sim.kucoin.listings)


async def test_trades_carry_nanoseconds_as_text_and_an_id_that_rest_repeats() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim, "/market/match:BTC-USDT") as ws:
        data = (await until(ws, lambda told: told.get("subject") == "trade.l3match"))["data"]
        assert (len(data["time"]), data["time"][-6:], data["type"]) == (19, "000000", "match")
        _, told = await get(f"{sim.kucoin.rest_url}/api/v1/market/histories?symbol=BTC-USDT")
        (row,) = [row for row in told["data"] if row["sequence"] == data["tradeId"]]
        assert row == {k: data[k] for k in ("sequence", "price", "size", "side")} | {"time": int(data["time"])}


async def test_candles_and_the_doubly_nested_snapshot_come_by_the_clock() -> None:
    topics = ("/market/candles:BTC-USDT_1min", "/market/snapshot:BTC-USDT")
    async with Simulator(**FEW) as sim, kucoin(sim, *topics) as ws:
        candle = await until(ws, lambda told: told["subject"].startswith("trade.candles."))
        assert len(candle["data"]["candles"]) == 7
        snapshot = await until(ws, lambda told: told["subject"] == "trade.snapshot")
        assert isinstance(snapshot["data"]["data"]["lastTradedPrice"], int | float)
        assert snapshot["data"]["data"]["symbol"] == "BTC-USDT"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("not json", 400),
        ('{"id":1,"type":"subscribe"}', 406),
        ('{"id":1,"type":"subscribe","topic":"/no/such:topic"}', 404),
        ('{"id":1,"type":"dance"}', 415),
        (json.dumps({"id": 1, "type": "subscribe", "topic": "/market/match:" + ",".join(["A-B"] * 101)}), 509),
    ],
)
async def test_what_it_does_not_accept_is_answered_by_a_code(sent: str, code: int) -> None:
    async with Simulator(**FEW) as sim, kucoin(sim) as ws:
        await ws.send(sent)
        told = json.loads(await ws.recv())
        assert (told["type"], told["code"]) == ("error", code)


async def test_a_session_holds_400_topics() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim) as ws:
        for block in range(4):
            await subscribe(ws, "/market/match:" + ",".join(f"X{block}Y{i}-Z" for i in range(100)))
            assert json.loads(await ws.recv())["type"] == "ack"
        await subscribe(ws, "/market/match:ONEMORE-Z")
        assert json.loads(await ws.recv())["data"].endswith("400 per session")


async def test_more_than_100_messages_in_10_s_are_refused() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim) as ws:
        for number in range(101):
            await ws.send(f'{{"id":{number},"type":"ping"}}')
        kinds = [json.loads(await ws.recv())["type"] for _ in range(101)]
        assert kinds == ["pong"] * 100 + ["error"]


async def test_a_ping_is_answered_with_its_id_and_microseconds() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim) as ws:
        await ws.send('{"id":"1545910590801","type":"ping"}')
        told = json.loads(await ws.recv())
        assert (told["id"], told["type"], len(str(told["timestamp"]))) == ("1545910590801", "pong", 16)


async def test_without_pings_the_line_is_closed_while_data_flows() -> None:
    rules = KuCoinRules(ping_timeout_s=0.6)
    async with Simulator(kucoin_rules=rules, **FEW) as sim, kucoin(sim, "/market/ticker:BTC-USDT") as ws:
        told = await until(ws, lambda told: told["type"] == "error")
        assert (told["code"], told["data"]) == (400, "ping timeout")
        with pytest.raises(ConnectionClosed) as closed:
            await ws.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1000, "Bye")


async def test_pings_keep_the_line() -> None:
    async with Simulator(kucoin_rules=KuCoinRules(ping_timeout_s=1.0), **FEW) as sim, kucoin(sim) as ws:
        for number in range(6):
            await ws.send(f'{{"id":{number},"type":"ping"}}')
            assert json.loads(await ws.recv())["type"] == "pong"
            await asyncio.sleep(0.3)


async def test_a_line_ends_after_its_day() -> None:
    async with Simulator(kucoin_rules=KuCoinRules(line_life_s=0.3), **FEW) as sim, kucoin(sim) as ws:
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(ws.recv(), 5)
