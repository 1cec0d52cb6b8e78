"""The REST side of both exchanges: pages, orders, limits, errors."""

from typing import Any

import pytest

from bridge.simulator import Simulator
from bridge.simulator.history import MINUTE_S
from tests.simulator.clients import get

pytestmark = pytest.mark.real
QUIET: dict[str, Any] = {"invented": 5, "rate": 0.0}
UNTIL_S = 1_700_000_000 // 60 * 60


async def test_kucoin_candles_come_newest_first_and_1500_at_most() -> None:
    async with Simulator(**QUIET) as sim:
        span = f"startAt={UNTIL_S - 2000 * MINUTE_S}&endAt={UNTIL_S}"
        _, told = await get(f"{sim.kucoin.rest_url}/api/v1/market/candles?symbol=BTC-USDT&type=1min&{span}")
        opens = [int(row[0]) for row in told["data"]]
        assert opens == list(range(UNTIL_S - 60, UNTIL_S - 60 - 1500 * 60, -60))
        _, open_, close, high, low, _, _ = map(float, told["data"][0])
        assert low <= min(open_, close) <= max(open_, close) <= high


async def test_binance_candles_come_oldest_first_and_1000_at_most() -> None:
    async with Simulator(**QUIET) as sim:
        base = f"{sim.binance.rest_url}/api/v3/klines?symbol=BTCUSDT&interval=1m"
        since_ms = (UNTIL_S - 2000 * MINUTE_S) * 1000
        _, rows = await get(f"{base}&startTime={since_ms}&endTime={UNTIL_S * 1000 - 1}&limit=5000")
        assert [row[0] for row in rows] == list(range(since_ms, since_ms + 1000 * 60_000, 60_000))
        assert (rows[0][6], len(rows[0])) == (since_ms + 59_999, 12)
        assert len((await get(base))[1]) in (500, 501)


@pytest.mark.parametrize("path", ["ticker/price", "ticker/bookTicker", "ticker/24hr"])
async def test_binance_tickers_take_one_symbol_or_a_list_or_none(path: str) -> None:
    async with Simulator(**QUIET) as sim:
        base = f"{sim.binance.rest_url}/api/v3/{path}"
        assert (await get(f"{base}?symbol=BTCUSDT"))[1]["symbol"] == "BTCUSDT"
        _, rows = await get(f'{base}?symbols=["ETHBTC","BTCUSDT"]')
        assert [row["symbol"] for row in rows] == ["ETHBTC", "BTCUSDT"]
        assert len((await get(base))[1]) == len(sim.binance.listings)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("klines?symbol=NOSUCH&interval=1m", -1121),
        ("klines?interval=1m", -1102),
        ("klines?symbol=BTCUSDT&interval=7m", -1120),
        ("klines?symbol=BTCUSDT&interval=1m&startTime=soon", -1100),
        ("ticker/price?symbols=[", -1100),
        ('ticker/price?symbols=["NOSUCH"]', -1121),
    ],
)
async def test_binance_refuses_a_wrong_parameter_with_its_code(query: str, code: int) -> None:
    async with Simulator(**QUIET) as sim:
        status, told = await get(f"{sim.binance.rest_url}/api/v3/{query}")
        assert (status, told["code"]) == (400, code)


async def test_kucoin_refuses_a_wrong_parameter_with_its_code() -> None:
    async with Simulator(**QUIET) as sim:
        base = f"{sim.kucoin.rest_url}/api/v1/market"
        for query in ("candles?symbol=NOSUCH-X&type=1min", "candles?symbol=BTC-USDT&type=no", "histories"):
            assert (await get(f"{base}/{query}"))[1]["code"] == "400100"


async def test_catalogues_list_every_market_with_its_steps() -> None:
    async with Simulator(**QUIET) as sim:
        _, told = await get(f"{sim.kucoin.rest_url}/api/v2/symbols")
        by_symbol = {row["symbol"]: row for row in told["data"]}
        assert by_symbol.keys() == sim.kucoin.listings.keys()
        assert by_symbol["MOG-USDT"]["priceIncrement"] == "0.0000000001"
        assert (by_symbol["BCHSV-USDT"]["name"], by_symbol["BCHSV-USDT"]["baseCurrency"]) == ("BSV-USDT", "BSV")
        _, told = await get(f"{sim.binance.rest_url}/api/v3/exchangeInfo?permissions=SPOT&showPermissionSets=false")
        assert {row["symbol"] for row in told["symbols"]} == sim.binance.listings.keys()


async def test_kucoin_tells_its_newest_ticker_and_all_tickers() -> None:
    async with Simulator(**QUIET) as sim:
        base = f"{sim.kucoin.rest_url}/api/v1/market"
        _, one = await get(f"{base}/orderbook/level1?symbol=BTC-USDT")
        _, every = await get(f"{base}/allTickers")
        (row,) = [row for row in every["data"]["ticker"] if row["symbol"] == "BTC-USDT"]
        assert (row["buy"], row["sell"], row["last"]) == tuple(one["data"][k] for k in ("bestBid", "bestAsk", "price"))
        assert len(every["data"]["ticker"]) == len(sim.kucoin.listings)


async def test_an_unknown_path_is_404() -> None:
    async with Simulator(**QUIET) as sim:
        assert (await get(f"{sim.kucoin.rest_url}/api/v9/nothing"))[0] == 404
        assert (await get(f"{sim.binance.rest_url}/api/v9/nothing"))[0] == 404


@pytest.mark.parametrize(("exchange", "hour", "minute"), [("binance", "1h", "1m"), ("kucoin", "1hour", "1min")])
async def test_a_longer_candle_holds_its_minutes(exchange: str, hour: str, minute: str) -> None:
    async with Simulator(**QUIET) as sim:
        since_s = UNTIL_S // 3600 * 3600

        async def rows(interval: str) -> list[list[str]]:
            if exchange == "binance":
                span = f"startTime={since_s * 1000}&endTime={since_s * 1000 + 3_599_999}"
                url = f"{sim.binance.rest_url}/api/v3/klines?symbol=BTCUSDT&interval={interval}&{span}"
                return [row[1:6] for row in (await get(url))[1]]
            span = f"startAt={since_s}&endAt={since_s + 3600}"
            url = f"{sim.kucoin.rest_url}/api/v1/market/candles?symbol=BTC-USDT&type={interval}&{span}"
            told = reversed((await get(url))[1]["data"])
            return [[row[1], row[3], row[4], row[2], row[5]] for row in told]

        (one,), many = await rows(hour), await rows(minute)
        assert len(many) == 60
        assert (one[0], one[3]) == (many[0][0], many[-1][3])
        assert float(one[1]) == max(float(row[1]) for row in many)
        assert float(one[2]) == min(float(row[2]) for row in many)
        assert float(one[4]) == pytest.approx(sum(float(row[4]) for row in many))


async def test_rest_faults_strike_only_the_paths_they_are_meant_for() -> None:
    async with Simulator(**QUIET) as sim:
        faults = sim.binance.faults
        faults.rest_only, faults.rest_status = "aggTrades", 429
        base = f"{sim.binance.rest_url}/api/v3"
        assert (await get(f"{base}/aggTrades?symbol=BTCUSDT"))[0] == 429
        assert (await get(f"{base}/ticker/price?symbol=BTCUSDT"))[0] == 200
        faults.rest_status, faults.rest_garbage = None, 1
        with pytest.raises(ValueError, match="decode"):
            await get(f"{base}/aggTrades?symbol=BTCUSDT")
        assert (await get(f"{base}/aggTrades?symbol=BTCUSDT"))[0] == 200


async def test_binance_refuses_more_than_an_hour_of_trades_at_once() -> None:
    async with Simulator(**QUIET) as sim:
        span = "startTime=1000&endTime=3602000"
        status, told = await get(f"{sim.binance.rest_url}/api/v3/aggTrades?symbol=BTCUSDT&{span}")
        assert (status, told["code"]) == (400, -1127)
