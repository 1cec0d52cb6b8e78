"""Captures replay digit by digit, their exchange times shifted by one whole number of minutes."""

import gzip
import json
import re
from pathlib import Path
from time import time_ns
from typing import Any

import pytest

from bridge.errors import SettingsError
from bridge.simulator import Simulator
from bridge.simulator.recording import Recording
from tests.captures import capture
from tests.simulator.clients import binance, get, kucoin, texts

KUCOIN = "kucoin/full_classic.cryptofeed-2021-04-23.jsonl"
CANDLES = "kucoin/candle.cryptofeed-2021-04-25.jsonl"
BINANCE = "binance/full.cryptofeed-2021-04-17.jsonl"
NOW_NS = 1_795_248_030_123_456_789
MINUTE_NS = 60_000_000_000
TICKER = (
    '{"data":{"sequence":"1612698595285","bestAsk":"0.3532","size":"4","bestBidSize":"2323.3213","price":"0.35209",'
    '"time":1619136125930,"bestAskSize":"1.56988925","bestBid":"0.35209"},"subject":"trade.ticker",'
    '"topic":"/market/ticker:WEST-USDT","type":"message"}'
)
KLINE = (
    '{"stream":"swrvbusd@kline_1m","data":{"e":"kline","E":1618677373907,"s":"SWRVBUSD","k":{"t":1618677360000,'
    '"T":1618677419999,"s":"SWRVBUSD","i":"1m","f":1135631,"L":1135631,"o":"2.27700000","c":"2.27700000",'
    '"h":"2.27700000","l":"2.27700000","v":"9.82600000","n":1,"x":false,"q":"22.37380200","V":"0.00000000",'
    '"Q":"0.00000000","B":"0"}}}'
)


def written(folder: Path, *frames: str, **more: Any) -> Path:
    path = folder / "capture.jsonl"
    path.write_text("".join(json.dumps({"data": frame} | more) + "\n" for frame in frames))
    return path


def recorded(name: str, topic: str) -> list[str]:
    """The texts of a capture's data frames whose topic (or stream) has this in it, as they were recorded."""
    lines = (json.loads(line) for line in capture(name).read_text().splitlines())
    return [one["data"] for one in lines if one.get("t", "recv") == "recv" and topic in one["data"]]


def test_only_known_times_are_shifted_and_all_by_the_same(tmp_path: Path) -> None:
    recording = Recording("kucoin", written(tmp_path, TICKER), NOW_NS)
    shift_ms = recording.shift_ns // 1_000_000
    assert recording.shift_ns % MINUTE_NS == 0
    assert recording.frames[0].text.decode() == TICKER.replace("1619136125930", str(1619136125930 + shift_ms))


def test_a_candles_start_stays_a_whole_minute(tmp_path: Path) -> None:
    recording = Recording("binance", written(tmp_path, KLINE), NOW_NS)
    kline = json.loads(recording.frames[0].text)["data"]["k"]
    assert (kline["t"] % 60_000, kline["T"] - kline["t"]) == (0, 59_999)
    assert (kline["f"], kline["L"], kline["o"]) == (1135631, 1135631, "2.27700000")


@pytest.mark.parametrize(("exchange", "name"), [("kucoin", KUCOIN), ("kucoin", CANDLES), ("binance", BINANCE)])
def test_shifted_back_every_frame_is_the_recorded_text(exchange: str, name: str) -> None:
    recording = Recording(exchange, capture(name), NOW_NS)
    wanted = recorded(name, '"topic"' if exchange == "kucoin" else '"stream"')
    assert len(wanted) > 5
    assert [recording.shifted(frame.text.decode(), -recording.shift_ns) for frame in recording.frames] == wanted


@pytest.mark.parametrize(("exchange", "name"), [("kucoin", KUCOIN), ("kucoin", CANDLES), ("binance", BINANCE)])
def test_no_time_of_the_past_is_left_and_none_lies_ahead(exchange: str, name: str) -> None:
    recording = Recording(exchange, capture(name), NOW_NS)
    olds = recorded(name, '"topic"' if exchange == "kucoin" else '"stream"')
    for frame, old in zip(recording.frames, olds, strict=True):
        assert len(frame.text) == len(old)
        for field in re.findall(r'"(?:time|E)":"?(\d+)', frame.text.decode()):
            assert NOW_NS - 20 * MINUTE_NS < int(field) * 10 ** (19 - len(field)) < NOW_NS


def test_gzipped_captures_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, TICKER, ts=1619136125.99)
    packed = tmp_path / "capture.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert [frame.text for frame in Recording("kucoin", packed, NOW_NS).frames] == [
        frame.text for frame in Recording("kucoin", path, NOW_NS).frames
    ]


def test_control_frames_and_what_was_sent_are_not_played(tmp_path: Path) -> None:
    path = written(tmp_path, '{"id":"1","type":"welcome"}', '{"id":"1","type":"ack"}', TICKER)
    path.write_text(path.read_text() + json.dumps({"t": "send", "data": TICKER}) + "\n")
    assert len(Recording("kucoin", path, NOW_NS).frames) == 1


def test_a_capture_without_a_frame_of_the_exchange_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="holds no binance frame"):
        Recording("binance", written(tmp_path, TICKER), NOW_NS)
    with pytest.raises(SettingsError, match="No such file"):
        Recording("binance", tmp_path / "missing.jsonl", NOW_NS)


def test_the_catalogue_comes_from_the_recorded_rest_answers() -> None:
    recording = Recording("kucoin", capture(KUCOIN), NOW_NS)
    assert len(recording.rows) == len(recording.listings) == 10
    assert Recording("binance", capture(BINANCE), NOW_NS).listings[0].name == "BUSD-TRY"


@pytest.mark.real
async def test_kucoins_capture_is_played_to_a_client_digit_by_digit() -> None:
    async with Simulator(kucoin_replay=capture(KUCOIN), full_pace=True, settle_s=0.3) as sim:
        names = ",".join(sim.kucoin.listings)
        async with kucoin(sim, f"/market/ticker:{names}", f"/market/match:{names}") as ws:
            wanted = recorded(KUCOIN, '"topic"')
            seen = await texts(ws, len(wanted))
            assert sim.kucoin.player is not None
            recording = sim.kucoin.player.recording
            assert [recording.shifted(text, -recording.shift_ns) for text in seen] == wanted
            assert sim.kucoin.player.finished == 1


@pytest.mark.real
async def test_binances_capture_is_played_to_who_has_subscribed_what() -> None:
    async with Simulator(binance_replay=capture(BINANCE), full_pace=True, settle_s=0.3) as sim:
        streams = [f"{native.lower()}@bookTicker" for native in sim.binance.listings]
        async with binance(sim, *streams) as ws, binance(sim, "veteth@aggTrade", path="/ws") as raw:
            books, trades = recorded(BINANCE, "@bookTicker"), recorded(BINANCE, "veteth@aggTrade")
            assert await texts(ws, len(books)) == books
            for text, old in zip(await texts(raw, len(trades)), trades, strict=True):
                told, wanted = json.loads(text), json.loads(old)["data"]
                assert {k: told[k] for k in "asplqf"} == {k: wanted[k] for k in "asplqf"}


@pytest.mark.real
async def test_at_recorded_pace_frames_come_when_they_came(tmp_path: Path) -> None:
    path = tmp_path / "capture.jsonl"
    path.write_text("".join(json.dumps({"ts": 1619136125.0 + at, "data": TICKER}) + "\n" for at in (0, 0.1, 0.8)))
    async with Simulator(kucoin_replay=path, settle_s=0.1) as sim, kucoin(sim, "/market/ticker:WEST-USDT") as ws:
        times = []
        for _ in range(3):
            await ws.recv()
            times.append(time_ns() / 1e9)
        assert 0.5 < times[2] - times[0] < 3


@pytest.mark.real
async def test_rest_answers_a_replay_from_the_recording_and_invents_nothing() -> None:
    async with Simulator(kucoin_replay=capture(KUCOIN), binance_replay=capture(BINANCE)) as sim:
        assert (await get(f'{sim.binance.rest_url}/api/v3/ticker/price?symbols=["VETETH"]'))[1] == []
        assert (await get(f"{sim.binance.rest_url}/api/v3/klines?symbol=VETETH&interval=1m"))[1] == []
        _, rows = await get(f"{sim.binance.rest_url}/api/v3/aggTrades?symbol=VETETH&fromId=0")
        assert [row["p"] for row in rows] == [json.loads(t)["data"]["p"] for t in recorded(BINANCE, "veteth@aggTrade")]
        _, told = await get(f"{sim.kucoin.rest_url}/api/v1/market/orderbook/level1?symbol=WEST-USDT")
        last = json.loads(recorded(KUCOIN, "/market/ticker:WEST-USDT")[-1])["data"]
        assert {k: told["data"][k] for k in ("sequence", "price", "bestBid")} == {
            k: last[k] for k in ("sequence", "price", "bestBid")
        }
