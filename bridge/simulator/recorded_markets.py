"""Which markets a capture speaks of: from the REST answers recorded beside it, where they are."""

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from bridge.simulator.values import Listing

_OFFERED = ("/market/ticker:", "/market/match:", "/market/candles:", "/market/snapshot:")
_CATALOGUE = {"kucoin": "/symbols", "binance": "/exchangeInfo"}
_QUOTES = ("USDT", "USDC", "BUSD", "BTC", "ETH", "BNB", "TRY", "RUB", "EUR")


def native_of(exchange: str, topic: str, told: dict[str, Any]) -> str:
    """The symbol of a recorded frame by the exchange's own name, empty if it has none."""
    if exchange == "binance":
        return "" if topic.startswith("!") else topic.partition("@")[0].upper()
    if not topic.startswith(_OFFERED):
        return ""
    name = topic.partition(":")[2].partition("_")[0]
    return str(told.get("subject", "")) if name == "all" else name


def listings_of(exchange: str, natives: Iterable[str], folder: Path) -> tuple[list[Listing], list[object]]:
    """The markets of these natives, and their catalogue rows as recorded (none if the folder has no recording).

    A market that no recording lists is left out, unless its name tells base and quote beyond doubt.
    """
    recorded = {row["symbol"]: row for row in _rows(exchange, folder)}
    listings: list[Listing] = []
    rows: list[object] = []
    for native in natives:
        row = recorded.get(native)
        if row is not None:
            base, quote = (
                (row["baseCurrency"], row["quoteCurrency"])
                if exchange == "kucoin"
                else (row["baseAsset"], row["quoteAsset"])
            )
        elif (split := _split(exchange, native)) is not None:
            base, quote = split
        else:
            continue
        listings.append(Listing(native, f"{base}-{quote}", base, quote, 0, 0, 1, 0.0))
        if row is not None:
            rows.append(row)
    return listings, rows if len(rows) == len(listings) else []


def _rows(exchange: str, folder: Path) -> list[dict[str, Any]]:
    for path in sorted(folder.glob("rest_http*.jsonl*")):
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for line in map(msgspec.json.decode, text.splitlines()):
            if line.get("url", "").partition("?")[0].endswith(_CATALOGUE[exchange]):
                told = msgspec.json.decode(line["data"])
                found: list[dict[str, Any]] = told["data"] if exchange == "kucoin" else told["symbols"]
                return found
    return []


def _split(exchange: str, native: str) -> tuple[str, str] | None:
    if exchange == "kucoin":
        base, _, quote = native.partition("-")
        return (base, quote) if base and quote else None
    quote = next((one for one in _QUOTES if native.endswith(one) and "_" not in native), "")
    return (native.removesuffix(quote), quote) if quote and native != quote else None
