"""The history that Telegraf writes into InfluxDB 2: it is only read here, and it may come and go.

`run` watches over it until cancelled: what is wrong stands in `status()`, and passes by itself once it is cured.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from bridge.errors import StoreError
from bridge.settings import Settings
from dashboard.history.base import History, Numbered, Page, Sequence, Span, Stored
from dashboard.history.influx.audit import Audit
from dashboard.history.influx.charts import Charts
from dashboard.history.influx.client import Client
from dashboard.history.influx.listening import Listening
from dashboard.history.influx.listing import Errors, Gaps, Listing
from dashboard.history.influx.reads import Reads
from dashboard.history.influx.series import Series
from dashboard.history.tidy import days_of

WATCH_S = 10.0
"""How often symbols are looked at, and whether InfluxDB is there."""
REFRESH_S = 1.0
"""How often a question for an unknown symbol may have it look again."""
BACKOFF_FIRST_S = 1.0
BACKOFF_MOST_S = 30.0
NOT_YET = "InfluxDB was not asked yet"
log = logging.getLogger(__name__)


class InfluxHistory(History):
    """One InfluxDB. Nothing is asked of it before `run` or a first question; trouble raises StoreError each time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = Client(settings.influx)
        reads = Reads(self._client)
        self._reads = reads
        self._charts = Charts(self._client, reads)
        self._audit = Audit(self._client, reads)
        self._listing = Listing(self._client)
        self._listening = Listening(self._client)
        self._gaps = Gaps(self._client)
        self._errors = Errors(self._client, reads)
        self._symbols: list[Stored] = []
        self._problem: str | None = NOT_YET
        self._looked_s = -REFRESH_S

    # --- watching -----------------------------------------------------------------------------------
    async def run(self) -> None:
        """Look after the store until cancelled: its symbols, and what is wrong with it."""
        pause_s = BACKOFF_FIRST_S
        try:
            while True:
                try:
                    await self.look()
                    pause_s = WATCH_S
                except StoreError:
                    pause_s = BACKOFF_FIRST_S if pause_s == WATCH_S else min(2 * pause_s, BACKOFF_MOST_S)
                await asyncio.sleep(pause_s)
        finally:
            await self.aclose()

    async def look(self) -> None:
        """Whether InfluxDB can answer, and which symbols it has. Raises StoreError, which `status()` then tells."""
        self._looked_s = time.monotonic()
        try:
            await self._client.check()
            await self._listing.complain()
            self._symbols = await self._listing.symbols()
        except StoreError as error:
            if self._problem != str(error):
                log.error("history: %s", error)
            self._problem = str(error)
            raise
        if self._problem is not None:
            log.info("history: InfluxDB at %s answers", self._settings.influx.url)
        self._problem = None

    # --- the contract -------------------------------------------------------------------------------
    async def rows(self, kind: str, exchange: str, symbol: str, span: Span) -> Page:
        if kind in ("gaps", "errors"):
            return await self._reads.page(Series(kind, {"exchange": exchange, "shard": symbol}, ("payload",)), span)
        return await self._reads.page(Series(kind, {"exchange": exchange, "symbol": symbol}), span)

    async def candles(self, exchange: str, symbol: str, interval: str, span: Span) -> Page:
        return await self._charts.candles(exchange, symbol, interval, span)

    async def latest(self) -> list[tuple[str, str, bytes]]:
        """By time; at most some seconds old."""
        return await self._listing.latest()

    async def gaps(self, exchange: str | None, symbol: str | None, span: Span) -> Page:
        return await self._gaps.find(exchange, symbol, span)

    def symbols(self) -> list[Stored]:
        """As of the last look."""
        return self._symbols

    async def refresh(self) -> list[Stored]:
        """Look now, unless somebody just did."""
        if time.monotonic() - self._looked_s > REFRESH_S:
            await self.look()
        return self._symbols

    def status(self) -> dict[str, Any]:
        """`problem`: what is wrong and what cures it, absent while all is well."""
        told = {
            "url": self._settings.influx.url,
            "symbols": len(self._symbols),
            "days": days_of(self._settings.history),
        }
        return told if self._problem is None else {**told, "problem": self._problem}

    async def holds(self) -> Mapping[str, int]:
        if self._problem is not None:
            # an audit asks this first, and InfluxDB 1 would seem to refuse the token
            await self._client.check()
        return await self._listening.holds()

    async def heard_since(self) -> Mapping[str, int]:
        return await self._listening.heard_since()

    async def numbered(self, kind: str, run: int, span: Span, exchange: str | None = None) -> list[Numbered]:
        return await self._audit.numbered(kind, run, span, exchange)

    async def fill_numbered(self, kind: str, fill: str, span: Span) -> list[Numbered]:
        return await self._audit.fill_numbered(kind, fill, span)

    async def numbers(self, sequence: Sequence, least: int, greatest: int, span: Span) -> list[tuple[int, int]]:
        return await self._audit.numbers(sequence, least, greatest, span)

    async def edges(self, topic: str, run: int, span: Span) -> tuple[int | None, int | None]:
        return await self._audit.edges(topic, run, span)

    async def errors(self, exchange: str | None, kind: str | None, symbol: str | None, span: Span) -> Page:
        return await self._errors.find(exchange, kind, symbol, span)

    async def catalogue(self) -> list[tuple[str, bytes]]:
        return await self._listing.catalogue()

    async def aclose(self) -> None:
        await self._client.close()
