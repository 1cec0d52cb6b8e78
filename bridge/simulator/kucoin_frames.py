"""KuCoin's texts, classic websocket and REST, as documented and recorded (fields and their order). Pure.

Left out of the recorded snapshot are its changes over 1, 4 and 24 hours, which older recordings do not have either.
"""

from msgspec.json import encode

from bridge.simulator.values import Bar, Day, Deal, Listing, Quote

FIRST_TRADE_ID = 11_000_000_000_000_000
MS = 1_000_000


def ticker(quote: Quote, topic: str, subject: str) -> bytes:
    """`/market/ticker:…`; `time` is the last trade's, in ms."""
    return (
        f'{{"topic":"{topic}","type":"message","subject":"{subject}","data":{{"bestAsk":"{quote.ask}",'
        f'"bestAskSize":"{quote.ask_size}","bestBid":"{quote.bid}","bestBidSize":"{quote.bid_size}",'
        f'"price":"{quote.price}","sequence":"{quote.seq}","size":"{quote.size}","time":{quote.time_ms}}}}}'
    ).encode()


def match(deal: Deal, topic: str) -> bytes:
    """`/market/match:…`; `time` is text, in ns."""
    number, order = trade_id(deal), f"{deal.time_ms // 1000:08x}{deal.id:016x}"
    return (
        f'{{"topic":"{topic}","type":"message","subject":"trade.l3match","data":{{"makerOrderId":"{order}",'
        f'"price":"{deal.price}","sequence":"{number}","side":"{deal.side}","size":"{deal.size}",'
        f'"symbol":"{deal.native}","takerOrderId":"{order[::-1]}","time":"{deal.time_ms * MS}",'
        f'"tradeId":"{number}","type":"match"}}}}'
    ).encode()


def candles(bar: Bar, topic: str, subject: str, now_ns: int) -> bytes:
    """`/market/candles:…_1min`; subject `trade.candles.add` for a minute's first, else `trade.candles.update`."""
    row = '","'.join(candle_row(bar))
    return (
        f'{{"topic":"{topic}","type":"message","subject":"{subject}","data":{{"symbol":"{bar.native}",'
        f'"candles":["{row}"],"time":{now_ns}}}}}'
    ).encode()


def snapshot(listing: Listing, quote: Quote, day: Day, topic: str, now_ms: int) -> bytes:
    """`/market/snapshot:…`: JSON numbers, doubly nested."""
    return (
        f'{{"topic":"{topic}","type":"message","subject":"trade.snapshot","data":{{"sequence":"{quote.seq}","data":{{'
        f'"askSize":{quote.ask_size},"averagePrice":{day.average},"baseCurrency":"{listing.base}",'
        f'"bidSize":{quote.bid_size},"board":1,"buy":{quote.bid},"changePrice":{day.change},"changeRate":{day.rate},'
        f'"close":{day.last},"datetime":{now_ms},"high":{day.high},"lastSize":{quote.size},'
        f'"lastTradedPrice":{day.last},"low":{day.low},"makerCoefficient":1.0000,"makerFeeRate":0.001,'
        f'"marginTrade":false,"mark":0,"market":"{board(listing)}","markets":["{board(listing)}"],"open":{day.open},'
        f'"quoteCurrency":"{listing.quote}","sell":{quote.ask},"sequence":"{quote.seq}","siteTypes":["global"],'
        f'"sort":100,"symbol":"{listing.native}","symbolCode":"{listing.native}","takerCoefficient":1.0000,'
        f'"takerFeeRate":0.001,"trading":true,"vol":{day.volume},"volValue":{day.turnover}}}}}}}'
    ).encode()


def error(request_id: object, code: int, reason: str) -> bytes:
    """The answer to what KuCoin does not accept."""
    return encode({"id": str(request_id), "type": "error", "code": code, "data": reason})


def trade_id(deal: Deal) -> int:
    """KuCoin's numbers of trades grow, but not one by one."""
    return FIRST_TRADE_ID + 3 * deal.id


def candle_row(bar: Bar) -> tuple[str, ...]:
    """KuCoin's order: start (s), open, close, high, low, volume, turnover."""
    return str(bar.open_s), bar.open, bar.close, bar.high, bar.low, bar.volume, bar.turnover


def symbol_row(listing: Listing) -> dict[str, object]:
    """One row of `GET /api/v2/symbols`."""
    price_step, size_step = step(listing.price_decimals), step(listing.size_decimals)
    return {
        "symbol": listing.native, "name": listing.name, "baseCurrency": listing.base,
        "quoteCurrency": listing.quote, "feeCurrency": listing.quote, "market": board(listing),
        "baseMinSize": size_step, "quoteMinSize": "0.1", "baseMaxSize": "10000000000", "quoteMaxSize": "99999999",
        "baseIncrement": size_step, "quoteIncrement": price_step, "priceIncrement": price_step,
        "priceLimitRate": "0.1", "minFunds": "0.1", "isMarginEnabled": False, "enableTrading": True,
        "feeCategory": 1, "makerFeeCoefficient": "1.00", "takerFeeCoefficient": "1.00", "st": False,
        "callauctionIsEnabled": False, "callauctionPriceFloor": None, "callauctionPriceCeiling": None,
        "callauctionFirstStageStartTime": None, "callauctionSecondStageStartTime": None,
        "callauctionThirdStageStartTime": None, "tradingStartTime": None,
    }  # fmt: skip


def ticker_row(listing: Listing, quote: Quote, day: Day) -> dict[str, object]:
    """One row of `GET /api/v1/market/allTickers`."""
    return {
        "symbol": listing.native, "symbolName": listing.name, "buy": quote.bid, "bestBidSize": quote.bid_size,
        "sell": quote.ask, "bestAskSize": quote.ask_size, "changeRate": day.rate, "changePrice": day.change,
        "high": day.high, "low": day.low, "vol": day.volume, "volValue": day.turnover, "last": day.last,
        "averagePrice": day.average, "takerFeeRate": "0.001", "makerFeeRate": "0.001", "takerCoefficient": "1",
        "makerCoefficient": "1",
    }  # fmt: skip


def level1(quote: Quote) -> dict[str, object]:
    """`GET /api/v1/market/orderbook/level1`."""
    return {
        "time": quote.time_ms, "sequence": str(quote.seq), "price": quote.price, "size": quote.size,
        "bestBid": quote.bid, "bestBidSize": quote.bid_size, "bestAsk": quote.ask, "bestAskSize": quote.ask_size,
    }  # fmt: skip


def step(decimals: int) -> str:
    """The smallest step with so many decimals."""
    return "1" if decimals == 0 else f"0.{'0' * (decimals - 1)}1"


def board(listing: Listing) -> str:
    """The trading market that KuCoin files a symbol under."""
    return {"USDT": "USDS", "USDC": "USDS", "BTC": "BTC"}.get(listing.quote, "ALTS")
