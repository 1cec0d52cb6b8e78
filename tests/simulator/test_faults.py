"""Every fault on demand, seen from a plain client; where it can be, the line or the next one is live again after it."""

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from bridge.simulator import Simulator
from bridge.simulator.faults import GARBAGE, MAX_PENDING
from tests.simulator.clients import (
    PATIENCE_S,
    binance,
    drain,
    get,
    happens,
    kucoin,
    kucoin_url,
    subscribe,
    texts,
    until,
)

pytestmark = pytest.mark.real
FEW: dict[str, Any] = {"symbols": ("BTC-USDT", "ETH-USDT"), "invented": 0, "rate": 400.0}
BTC, ETH = "/market/ticker:BTC-USDT", "/market/ticker:ETH-USDT"


async def silent(ws: ClientConnection, for_s: float = 0.4) -> bool:
    """Nothing comes for a while, after what was on its way has come."""
    for _ in range(10_000):
        try:
            await asyncio.wait_for(ws.recv(), for_s)
        except TimeoutError:
            return True
    return False


async def next_odd(ws: ClientConnection, topic: str = BTC) -> str | bytes:
    """The next frame that is no sound ticker of this topic."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            frame = await ws.recv(decode=False)
            if not frame.startswith(b'{"topic":"' + topic.encode()) or not frame.endswith(b"}}"):
                return frame


async def test_a_stall_silences_all_lines_until_it_is_healed() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim, BTC) as ws:
        sim.kucoin.faults.stall()
        assert await silent(ws)
        await ws.send('{"id":1,"type":"ping"}')
        assert await silent(ws)
        sim.kucoin.faults.heal()
        assert json.loads(await ws.recv())["topic"] == BTC


async def test_a_line_can_stall_and_still_answer_pings() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim, BTC) as ws:
        sim.kucoin.faults.stalled = True
        assert await silent(ws)
        await ws.send('{"id":5,"type":"ping"}')
        assert json.loads(await ws.recv())["type"] == "pong"


async def test_a_frozen_line_stays_silent_but_a_new_one_is_sound() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim, BTC) as frozen:
        sim.kucoin.faults.freeze()
        assert await silent(frozen)
        async with kucoin(sim, BTC) as sound:
            assert len(await texts(sound, 5)) == 5
        assert await silent(frozen)


async def test_one_symbol_can_fall_silent() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim, BTC, ETH) as ws:
        sim.faults["kucoin"].silent_symbols.add("BTC-USDT")
        await texts(ws, 50)
        assert {json.loads(text)["topic"] for text in await texts(ws, 50)} == {ETH}
        sim.faults["kucoin"].heal()
        await until(ws, lambda told: told["topic"] == BTC)


async def test_pings_can_be_ignored() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim) as ws, binance(sim) as other:
        sim.kucoin.faults.ignore_pings = sim.binance.faults.ignore_pings = True
        await ws.send('{"id":1,"type":"ping"}')
        assert await silent(ws)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(await other.ping(), 0.4)


async def test_tokens_can_be_refused_and_accepted_again() -> None:
    async with Simulator(**FEW) as sim:
        sim.kucoin.faults.refuse_tokens = True
        async with connect(await kucoin_url(sim)) as ws:
            assert json.loads(await ws.recv())["code"] == 401
        sim.kucoin.faults.heal()
        async with kucoin(sim, BTC) as ws:
            assert json.loads(await ws.recv())["topic"] == BTC


@pytest.mark.parametrize("status", [451, 403, 429])
async def test_rest_and_handshake_can_be_refused_by_status(status: int) -> None:
    async with Simulator(**FEW) as sim:
        sim.binance.faults.refuse(status, retry_after_s=7)
        assert (await get(f"{sim.binance.rest_url}/api/v3/exchangeInfo"))[0] == status
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{sim.binance.ws_url}/stream")
        assert refused.value.response.status_code == status
        assert refused.value.response.headers["Retry-After"] == "7"
        sim.binance.faults.heal()
        async with binance(sim, "btcusdt@bookTicker") as ws:
            await ws.recv()


@pytest.mark.parametrize("at_byte", [0, 1, 3, 60, 200])
async def test_a_line_can_end_at_any_byte_of_a_frame(at_byte: int) -> None:
    async with Simulator(**FEW) as sim, kucoin(sim, BTC) as ws:
        sim.kucoin.faults.cut(at_byte)
        with pytest.raises(ConnectionClosedError) as closed:
            await drain(ws)
        assert closed.value.rcvd is None
        async with kucoin(sim, BTC) as again:
            await again.recv()


async def test_lines_can_be_closed_and_reset() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim) as closed, binance(sim) as reset:
        sim.kucoin.faults.close(1001, "going away")
        with pytest.raises(ConnectionClosed) as told:
            await closed.recv()
        assert told.value.rcvd is not None
        assert (told.value.rcvd.code, told.value.rcvd.reason) == (1001, "going away")
        sim.binance.faults.abort()
        with pytest.raises(ConnectionClosedError):
            await reset.recv()
        await happens(lambda: not sim.kucoin.lines and not sim.binance.lines)


async def test_garbage_comes_instead_of_a_frame_and_the_line_goes_on() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim, BTC) as ws:
        sim.kucoin.faults.garbage()
        assert await next_odd(ws) == GARBAGE
        assert sim.kucoin.faults.pending == 0
        assert json.loads(await ws.recv())["topic"] == BTC


async def test_a_frame_can_be_truncated() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim, BTC) as ws:
        sim.kucoin.faults.truncate("BTC-USDT")
        odd = await next_odd(ws)
        with pytest.raises(json.JSONDecodeError):
            json.loads(odd)


async def test_a_frame_can_be_huge() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim, BTC) as ws:
        sim.kucoin.faults.huge(6_000_000)
        assert len(await next_odd(ws)) == 6_000_000
        assert json.loads(await ws.recv())["topic"] == BTC


async def test_a_frame_can_come_twice() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim, BTC) as ws:
        sim.kucoin.faults.duplicate()
        seen = await texts(ws, 100)
        assert len(seen) - len(set(seen)) == 1


async def test_an_older_frame_can_come_late() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim, BTC) as ws:
        seen = await texts(ws, 20)
        sim.kucoin.faults.late("BTC-USDT")
        seen += await texts(ws, 60)
        seqs = [int(json.loads(text)["data"]["sequence"]) for text in seen]
        assert len([at for at in range(1, len(seqs)) if seqs[at] < seqs[at - 1]]) == 1


@pytest.mark.parametrize("digits", ["0", "-1.5"])
async def test_a_price_can_be_false(digits: str) -> None:
    async with Simulator(**FEW) as sim, kucoin(sim, BTC) as ws, binance(sim, "btcusdt@aggTrade") as other:
        sim.kucoin.faults.price(digits, "BTC-USDT")
        sim.binance.faults.price(digits, "BTCUSDT")
        await until(ws, lambda told: told["data"]["price"] == digits)
        await until(other, lambda told: told["data"]["p"] == digits)


async def test_withheld_trades_are_a_hole_that_rest_can_fill() -> None:
    async with Simulator(**FEW) as sim, binance(sim, "btcusdt@aggTrade") as ws:
        before = (await until(ws, lambda told: "stream" in told))["data"]["a"]
        sim.binance.faults.withhold(3, "BTCUSDT", b"@aggTrade")
        missing: set[int] = set()
        while not missing:
            after = (await until(ws, lambda told: "stream" in told))["data"]["a"]
            missing, before = set(range(before + 1, after)), after
        _, rows = await get(f"{sim.binance.rest_url}/api/v3/aggTrades?symbol=BTCUSDT&fromId={min(missing)}&limit=3")
        assert {row["a"] for row in rows} == missing
        assert missing.isdisjoint(sim.binance.truth.trades("BTCUSDT"))


async def test_a_symbol_may_come_that_no_catalogue_has() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim, "/market/ticker:all") as ws:
        sim.kucoin.faults.unknown_symbol("BTC-USDT", "NEWCOIN-USDT")
        await until(ws, lambda told: told["subject"] == "NEWCOIN-USDT")


async def test_a_deaf_server_reads_no_client_message_until_it_hears_again() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim) as ws:
        sim.kucoin.faults.deaf = True
        await subscribe(ws, BTC)
        assert await silent(ws)
        sim.kucoin.faults.heal()
        await until(ws, lambda told: told.get("topic") == BTC)


async def test_connections_can_be_refused_and_the_port_comes_back_at_its_place() -> None:
    async with Simulator(**FEW) as sim, kucoin(sim, BTC) as ws:
        url = sim.kucoin.rest_url
        await sim.kucoin.port.close()
        with pytest.raises(ConnectionClosed):
            await drain(ws)
        with pytest.raises(OSError, match="Connect call failed"):
            await connect(url.replace("http", "ws"))
        await sim.kucoin.port.open()
        assert sim.kucoin.rest_url == url
        async with kucoin(sim, BTC) as again:
            await again.recv()


async def test_a_client_that_does_not_read_is_cut_off_and_no_memory_is_lost_to_it() -> None:
    async with Simulator(symbols=("BTC-USDT",), invented=0, rate=1.0) as sim, kucoin(sim, BTC) as ws:
        ws.transport.pause_reading()
        for _ in range(3):
            sim.kucoin.faults.huge(8_000_000)
        await happens(lambda: not sim.kucoin.lines)


async def test_one_exchange_is_not_touched_by_another_ones_faults() -> None:
    async with Simulator(**FEW) as sim, binance(sim, "btcusdt@bookTicker") as ws:
        sim.kucoin.faults.stall()
        sim.kucoin.faults.refuse(451)
        assert len(await texts(ws, 20)) == 20


async def test_faults_to_come_are_bounded() -> None:
    async with Simulator(**FEW) as sim:
        for _ in range(MAX_PENDING):
            sim.kucoin.faults.garbage()
        with pytest.raises(ValueError, match="at once"):
            sim.kucoin.faults.garbage()
