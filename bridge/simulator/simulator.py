"""The simulator: both exchanges on real sockets, driven by one clock.

async with Simulator(seed=7) as sim:
    ... sim.kucoin.rest_url, sim.binance.rest_url, sim.binance.ws_url, sim.kucoin.faults, sim.kucoin.truth
"""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from time import time_ns
from types import TracebackType
from typing import Self

from msgspec import Struct

from bridge.simulator import listings
from bridge.simulator.binance import Binance, BinanceRules
from bridge.simulator.kucoin import KuCoin, KuCoinRules
from bridge.simulator.market import Market
from bridge.simulator.player import SETTLE_S, Player
from bridge.simulator.recording import Recording
from bridge.simulator.truth import REMEMBERED
from bridge.simulator.values import Listing, padded, trimmed

RATE = 60.0
BEAT_S = 0.05
LATE_S = 1.0


class Options(Struct, frozen=True, kw_only=True):
    """What a simulator is made of. `rate` is quote updates a second of each exchange, all symbols together."""

    symbols: tuple[str, ...] | None = None
    invented: int = listings.INVENTED
    rate: float = RATE
    seed: int = 1
    beat_s: float = BEAT_S
    remembered: int = REMEMBERED
    host: str = "127.0.0.1"
    kucoin_port: int = 0
    binance_port: int = 0
    kucoin_replay: Path | None = None
    binance_replay: Path | None = None
    full_pace: bool = False
    laps: int = 1
    settle_s: float = SETTLE_S
    kucoin_rules: KuCoinRules = KuCoinRules()
    binance_rules: BinanceRules = BinanceRules()


class Simulator:
    """KuCoin and Binance, invented or replayed. Use `async with`; what breaks inside is raised at its end."""

    def __init__(self, options: Options | None = None, **changes: object) -> None:
        """Options may be given as one value, or one by one by their names. Raises SettingsError for a bad capture."""
        self.options = options or Options(**changes)  # type: ignore[arg-type] # each by its name in Options
        now_ns = time_ns()
        self._markets: dict[str, Market] = {}
        self.kucoin = self._kucoin(now_ns)
        self.binance = self._binance(now_ns)
        self.venues = (self.kucoin, self.binance)
        self.faults = {venue.name: venue.faults for venue in self.venues}
        self._driver: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        ports = (self.options.kucoin_port, self.options.binance_port)
        try:
            for venue, port in zip(self.venues, ports, strict=True):
                await venue.port.start(self.options.host, port)
        except BaseException:
            await self._stop()
            raise
        self._driver = asyncio.create_task(self.drive(), name="simulator")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._driver is None:
            return
        broken = self._driver.done()
        self._driver.cancel()
        await asyncio.wait([self._driver])
        await self._stop()
        if broken and not self._driver.cancelled():
            self._driver.result()

    async def run(self) -> None:
        """Wait for ever. Raises what breaks the simulator."""
        if self._driver is not None:
            await asyncio.shield(self._driver)

    async def drive(self) -> None:
        """Beat by beat: advance the markets to now and tell what has happened."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            now_ns = time_ns()
            for venue in self.venues:
                market = self._markets.get(venue.name)
                venue.beat(now_ns, market.advance(now_ns) if market else ())
            due_s = max(due_s + self.options.beat_s, loop.time() - LATE_S)
            await asyncio.sleep(max(0.0, due_s - loop.time()))

    async def _stop(self) -> None:
        for venue in self.venues:
            await venue.port.stop()

    def _kucoin(self, now_ns: int) -> KuCoin:
        made = self.options
        if made.kucoin_replay is not None:
            recording = Recording("kucoin", made.kucoin_replay, now_ns)
            venue = KuCoin(recording.listings, recording, rules=made.kucoin_rules, remembered=made.remembered)
            venue.rest.rows = recording.rows or None
            venue.player = self._player(recording)
            return venue
        known = listings.kucoin(made.symbols, made.invented, made.seed)
        market = self._market("kucoin", known, now_ns)
        return KuCoin(known, market, rules=made.kucoin_rules, remembered=made.remembered)

    def _binance(self, now_ns: int) -> Binance:
        made = self.options
        if made.binance_replay is not None:
            recording = Recording("binance", made.binance_replay, now_ns)
            venue = Binance(recording.listings, recording, rules=made.binance_rules, remembered=made.remembered)
            venue.rest.rows = recording.rows or None
            venue.player = self._player(recording)
            return venue
        known = listings.binance(made.symbols, made.invented, made.seed)
        market = self._market("binance", known, now_ns)
        return Binance(known, market, rules=made.binance_rules, remembered=made.remembered)

    def _market(self, name: str, known: Iterable[Listing], now_ns: int) -> Market:
        made, text = self.options, trimmed if name == "kucoin" else padded
        seed = made.seed * 2 + (name == "binance")
        market = Market(list(known), text, seed=seed, path_seed=made.seed, start_ns=now_ns, rate=made.rate)
        self._markets[name] = market
        return market

    def _player(self, recording: Recording) -> Player:
        made = self.options
        return Player(recording, full_pace=made.full_pace, laps=made.laps, settle_s=made.settle_s)
