"""Binance's rules, seen from a plain websocket client."""

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from bridge.simulator import BinanceRules, Simulator
from tests.simulator.clients import ask, binance, drain, get, until

pytestmark = pytest.mark.real
FEW: dict[str, Any] = {"invented": 5, "rate": 400.0}
STREAMS = ("btcusdt@bookTicker", "btcusdt@aggTrade", "btcusdt@miniTicker", "btcusdt@kline_1m")


async def test_every_stream_tells_the_documented_fields_in_their_order() -> None:
    fields = {
        "btcusdt@bookTicker": "u s b B a A",
        "btcusdt@aggTrade": "e E s a p q f l T m M",
        "btcusdt@miniTicker": "e E s c o h l v q",
        "btcusdt@kline_1m": "e E s k",
    }
    async with Simulator(**FEW) as sim, binance(sim, *STREAMS) as ws:
        for stream, names in fields.items():
            told = await until(ws, lambda told, stream=stream: told["stream"] == stream)
            assert " ".join(told["data"]) == names
        assert " ".join(told["data"]["k"]) == "t T s i f L o c h l v n x q V Q B"


async def test_a_raw_line_gets_the_data_alone() -> None:
    async with Simulator(**FEW) as sim, connect(f"{sim.binance.ws_url}/ws/btcusdt@bookTicker") as ws:
        assert list(json.loads(await ws.recv())) == ["u", "s", "b", "B", "a", "A"]


async def test_streams_may_stand_in_the_address() -> None:
    path = "/stream?streams=btcusdt@bookTicker/ethusdt@bookTicker"
    async with Simulator(**FEW) as sim, binance(sim, path=path) as ws:
        assert await ask(ws, "LIST_SUBSCRIPTIONS", request_id=3) == {
            "result": ["btcusdt@bookTicker", "ethusdt@bookTicker"],
            "id": 3,
        }


async def test_the_whole_market_tells_only_what_changed() -> None:
    async with Simulator(invented=50, rate=20.0) as sim, binance(sim, "!miniTicker@arr") as ws:
        rows = (await until(ws, lambda told: told["stream"] == "!miniTicker@arr"))["data"]
        assert 0 < len(rows) < 30
        assert all(row["e"] == "24hrMiniTicker" for row in rows)


async def test_an_unknown_symbol_is_accepted_and_silent() -> None:
    async with Simulator(**FEW) as sim, binance(sim, "nosuchusdt@bookTicker") as ws:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ws.recv(), 0.5)


async def test_unsubscribing_ends_the_stream() -> None:
    async with Simulator(**FEW) as sim, binance(sim, "btcusdt@bookTicker") as ws:
        await ask(ws, "UNSUBSCRIBE", ["btcusdt@bookTicker"])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ws.recv(), 0.3)


async def test_the_combined_property_can_be_set() -> None:
    async with Simulator(**FEW) as sim, binance(sim) as ws:
        assert await ask(ws, "SET_PROPERTY", ["combined", False]) == {"result": None, "id": 7}
        assert await ask(ws, "GET_PROPERTY", ["combined"]) == {"result": False, "id": 7}


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("{", 3),
        ('{"method":"DANCE","id":1}', 2),
        ('{"method":"SUBSCRIBE","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":["a@b"]}', 2),
        ('{"method":"SET_PROPERTY","params":["combined",5],"id":1}', 1),
        ('{"method":"SET_PROPERTY","params":["other",true],"id":1}', 0),
        (json.dumps({"method": "SUBSCRIBE", "params": [f"x{i}@trade" for i in range(1025)], "id": 1}), 2),
    ],
)
async def test_what_it_does_not_accept_is_answered_by_a_code(sent: str, code: int) -> None:
    async with Simulator(**FEW) as sim, binance(sim) as ws:
        await ws.send(sent)
        assert json.loads(await ws.recv())["code"] == code


async def test_a_sixth_message_within_a_second_ends_the_line() -> None:
    async with Simulator(**FEW) as sim, binance(sim) as ws:
        for _ in range(4):
            await ws.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
        for _ in range(2):
            await ws.ping()
        with pytest.raises(ConnectionClosed) as closed:
            await drain(ws)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


async def test_the_server_pings_and_keeps_who_answers() -> None:
    rules = BinanceRules(ping_every_s=0.3, pong_within_s=0.5)
    async with Simulator(binance_rules=rules, **FEW) as sim, binance(sim, "btcusdt@bookTicker") as ws:
        end = asyncio.get_running_loop().time() + 1.5
        while asyncio.get_running_loop().time() < end:
            await ws.recv()
        assert sim.binance.connections == len(sim.binance.lines) == 1


async def test_who_does_not_answer_pings_is_cut_off() -> None:
    rules = BinanceRules(ping_every_s=0.1, pong_within_s=0.3)
    async with Simulator(binance_rules=rules, **FEW) as sim, binance(sim, "btcusdt@bookTicker") as ws:
        sim.binance.faults.deaf = True
        with pytest.raises(ConnectionClosed):
            await drain(ws)


async def test_a_line_ends_after_its_day() -> None:
    async with Simulator(binance_rules=BinanceRules(line_life_s=0.3), **FEW) as sim, binance(sim) as ws:
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(ws.recv(), 5)


async def test_a_shutdown_is_announced_to_raw_and_combined_lines() -> None:
    async with Simulator(**FEW) as sim, binance(sim) as combined, binance(sim, path="/ws") as raw:
        sim.binance.shut_down()
        told = json.loads(await combined.recv())
        assert (told["stream"], told["data"]["e"]) == ("!serverShutdown", "serverShutdown")
        assert json.loads(await raw.recv())["e"] == "serverShutdown"


async def test_trades_are_filled_by_id_without_a_hole() -> None:
    async with Simulator(invented=0, rate=500.0) as sim, binance(sim, "btcusdt@aggTrade") as ws:
        first = (await until(ws, lambda told: "stream" in told))["data"]
        last = first
        for _ in range(20):
            last = (await until(ws, lambda told: "stream" in told))["data"]
        url = f"{sim.binance.rest_url}/api/v3/aggTrades?symbol=BTCUSDT&fromId={first['a']}&limit=21"
        _, rows = await get(url)
        assert [row["a"] for row in rows] == list(range(first["a"], last["a"] + 1))
        assert rows[0] == {key: first[key] for key in ("a", "p", "q", "f", "l", "T", "m", "M")}
