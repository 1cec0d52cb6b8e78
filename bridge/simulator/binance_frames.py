"""Binance's texts, spot streams and REST, as documented and recorded (fields and their order). Pure.

Streams are made in their combined form `{"stream":…,"data":…}`; the raw form is their data.
"""

from bridge.simulator.kucoin_frames import step
from bridge.simulator.values import Bar, Day, Deal, Listing, Quote

MINUTE_MS = 60_000
_ORDERS = ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"]


def combined(stream: str, data: str) -> bytes:
    """A combined stream's frame."""
    return f'{{"stream":"{stream}","data":{data}}}'.encode()


def raw(stream: str, frame: bytes) -> bytes:
    """The data of a combined frame, as a raw stream sends it."""
    return frame[len(stream.encode()) + 20 : -1]


def book_ticker(quote: Quote) -> str:
    """`<symbol>@bookTicker`: neither price nor time."""
    return (
        f'{{"u":{quote.seq},"s":"{quote.native}","b":"{quote.bid}","B":"{quote.bid_size}",'
        f'"a":"{quote.ask}","A":"{quote.ask_size}"}}'
    )


def agg_trade(deal: Deal, now_ms: int) -> str:
    """`<symbol>@aggTrade`; m: the buyer is the maker, so the taker sold."""
    maker = "true" if deal.side == "sell" else "false"
    return (
        f'{{"e":"aggTrade","E":{now_ms},"s":"{deal.native}","a":{deal.id},"p":"{deal.price}","q":"{deal.size}",'
        f'"f":{deal.first_id},"l":{deal.last_id},"T":{deal.time_ms},"m":{maker},"M":true}}'
    )


def mini_ticker(day: Day, now_ms: int) -> str:
    """`<symbol>@miniTicker`, and one row of `!miniTicker@arr`: neither bid and ask nor sequence."""
    return (
        f'{{"e":"24hrMiniTicker","E":{now_ms},"s":"{day.native}","c":"{day.last}","o":"{day.open}","h":"{day.high}",'
        f'"l":"{day.low}","v":"{day.volume}","q":"{day.turnover}"}}'
    )


def kline(bar: Bar, now_ms: int, *, closed: bool) -> str:
    """`<symbol>@kline_1m`; x: closed."""
    start = bar.open_s * 1000
    return (
        f'{{"e":"kline","E":{now_ms},"s":"{bar.native}","k":{{"t":{start},"T":{start + MINUTE_MS - 1},'
        f'"s":"{bar.native}","i":"1m","f":{bar.first_id},"L":{bar.last_id},"o":"{bar.open}","c":"{bar.close}",'
        f'"h":"{bar.high}","l":"{bar.low}","v":"{bar.volume}","n":{bar.count},"x":{"true" if closed else "false"},'
        f'"q":"{bar.turnover}","V":"{bar.taker_volume}","Q":"{bar.taker_turnover}","B":"0"}}}}'
    )


def kline_row(bar: Bar, minutes: int = 1) -> list[object]:
    """One row of `GET /api/v3/klines`."""
    start = bar.open_s * 1000
    end = start + minutes * MINUTE_MS - 1
    return [
        start, bar.open, bar.high, bar.low, bar.close, bar.volume, end, bar.turnover, bar.count, bar.taker_volume,
        bar.taker_turnover, "0",
    ]  # fmt: skip


def trade_row(deal: Deal) -> dict[str, object]:
    """One row of `GET /api/v3/aggTrades`."""
    return {
        "a": deal.id, "p": deal.price, "q": deal.size, "f": deal.first_id, "l": deal.last_id, "T": deal.time_ms,
        "m": deal.side == "sell", "M": True,
    }  # fmt: skip


def day_row(day: Day, quote: Quote, now_ms: int) -> dict[str, object]:
    """One row of `GET /api/v3/ticker/24hr`."""
    percent = f"{float(day.rate) * 100:.3f}"
    return {
        "symbol": day.native, "priceChange": day.change, "priceChangePercent": percent, "weightedAvgPrice": day.average,
        "prevClosePrice": day.open, "lastPrice": day.last, "lastQty": quote.size, "bidPrice": quote.bid,
        "bidQty": quote.bid_size, "askPrice": quote.ask, "askQty": quote.ask_size, "openPrice": day.open,
        "highPrice": day.high, "lowPrice": day.low, "volume": day.volume, "quoteVolume": day.turnover,
        "openTime": now_ms - 1440 * MINUTE_MS, "closeTime": now_ms, "firstId": -1, "lastId": -1, "count": day.count,
    }  # fmt: skip


def book_row(quote: Quote) -> dict[str, object]:
    """One row of `GET /api/v3/ticker/bookTicker`."""
    return {
        "symbol": quote.native, "bidPrice": quote.bid, "bidQty": quote.bid_size,
        "askPrice": quote.ask, "askQty": quote.ask_size,
    }  # fmt: skip


def symbol_row(listing: Listing) -> dict[str, object]:
    """One of `exchangeInfo`'s symbols, as recorded; of its filters those for price and size."""
    tick, lot = _padded_step(listing.price_decimals), _padded_step(listing.size_decimals)
    price_filter = {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "922327.00000000", "tickSize": tick}
    lot_filter = {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "92141578737.00000000", "stepSize": lot}
    return {
        "symbol": listing.native, "status": "TRADING", "baseAsset": listing.base, "baseAssetPrecision": 8,
        "quoteAsset": listing.quote, "quotePrecision": 8, "quoteAssetPrecision": 8, "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8, "orderTypes": _ORDERS, "icebergAllowed": True, "ocoAllowed": True,
        "quoteOrderQtyMarketAllowed": True, "isSpotTradingAllowed": True, "isMarginTradingAllowed": False,
        "filters": [price_filter, lot_filter], "permissions": ["SPOT"],
    }  # fmt: skip


def _padded_step(decimals: int) -> str:
    return f"{step(decimals)}.00000000" if decimals == 0 else step(decimals) + "0" * (8 - decimals)
