"""The bridge without its publisher: both exchanges' feeds against the simulator, what they publish in memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

from bridge.clock import Clock
from bridge.exchanges import EXCHANGES
from bridge.feed import Past
from bridge.fills import Backfills, Jobs
from bridge.gaps import Gaps
from bridge.outages import Outages
from bridge.outbox import Outbox
from bridge.pulse import Pulse
from bridge.settings import ExchangeSettings, Feed, Settings
from bridge.simulator import Simulator
from bridge.streams import Streams
from bridge.topics import Gap, State, Topics
from bridge.venue import Shared, Venue
from bridge.vitals import Vitals

BRISK = Feed(
    connect_timeout_s=3, proof_s=2.5, ping_s=1, pong_s=1, silence_s=4, backoff_first_s=0.1, backoff_most_s=0.5,
    unheard_symbol_s=2, first_candles_h=1, stall_s=30,
)  # fmt: skip
"""The same rules in a hurry, so that a test need not wait half a minute for a silence."""
SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT")


class Rig:
    """Venues by exchange; `messages(topic)` is what their streams told so far, `states` the newest of each topic."""

    def __init__(
        self, sim: Simulator, folder: Path, feed: Feed = BRISK, settings: dict[str, Any] | None = None, **exchange: Any
    ) -> None:
        self.sim = sim
        self.clock = Clock("trust")
        self.outbox = Outbox(256_000_000, 90)
        self.streams = Streams(self.outbox, lambda: None)
        self.streams.begin(self.clock.now_ns() // 1_000_000)
        self.gaps = Gaps("rig")
        self.gap_log: list[Gap] = []
        self.damaged: list[str] = []
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.states: dict[str, State] = {}
        self.status_log: list[tuple[float, str, str]] = []
        hosts = {
            "kucoin": {"rest_host": sim.kucoin.rest_url},
            "binance": {"rest_host": sim.binance.rest_url, "ws_host": sim.binance.ws_url},
        }
        self.settings = Settings.model_validate({"feed": feed, "data_dir": folder, **(settings or {})})
        self.past = Past()
        self.jobs = Jobs(Topics(), self._put, lambda topic: None, self.clock.monotonic_ns)
        self.backfills = Backfills()
        self.pulse = Pulse(self.clock.monotonic_ns, feed.stall_s)
        shared = Shared(
            settings=self.settings,
            names=Topics(),
            streams=self.streams,
            clock=self.clock,
            pulse=self.pulse,
            put=self._put,
            outages=lambda name: Outages(name, self.gaps, self.tell),
            gaps_open=lambda name: len([g for g in self.gap_log if g.exchange == name]),
            figures=dict,
            past=self.past,
            gaps=self.gaps,
            tell=self.tell,
            jobs=self.jobs,
            backfills=self.backfills,
            folder=folder,
            vitals=Vitals(self.clock.monotonic_ns, 30),
            damaged=self.damaged.append,
        )
        self.venues = {
            name: Venue(kind, ExchangeSettings(symbols=SYMBOLS, **hosts[name], **exchange), shared)
            for name, kind in EXCHANGES.items()
        }

    def tell(self, gap: Gap) -> None:
        self.gap_log.append(gap)

    def _put(self, state: State) -> None:
        self.states[state.topic] = state

    def state(self, topic: str) -> dict[str, Any]:
        """The newest state of a topic, rendered now; empty if there is none."""
        state = self.states.get(topic)
        rendered = None if state is None else state.render(self.clock.now_ns())
        return json.loads(rendered) if rendered else {}

    def state_of_job(self, name: str) -> str:
        """How far the first candles of an exchange are."""
        topic = next((topic for topic in self.states if topic.startswith("jobs/") and name in topic), "")
        return str(self.state(topic).get("state", ""))

    def messages(self, start: str = "") -> list[tuple[str, dict[str, Any]]]:
        self.drain()
        return [(topic, told) for topic, told in self.told if topic.startswith(start)]

    def drain(self) -> None:
        """Take what waits, as the publisher would."""
        self.told += ((entry[0], json.loads(entry[1])) for entry in self.outbox.take(10**9))

    def status(self, name: str) -> str:
        return self.venues[name].status().status

    async def until(self, condition: Callable[[], object], within_s: float = 20.0) -> None:
        """Wait for a condition; fails with the statuses seen."""
        deadline = monotonic() + within_s
        while not condition():
            assert monotonic() < deadline, f"not within {within_s} s; statuses: {self.status_log[-20:]}"
            await asyncio.sleep(0.02)

    async def online(self, name: str, within_s: float = 20.0) -> None:
        await self.until(lambda: self.status(name) == "online", within_s)

    async def tend(self) -> None:
        beats = 0
        while True:
            for name, venue in self.venues.items():
                venue.flush()
                if beats % 4 == 0:
                    venue.tend()
                told = (name, venue.status().status)
                last = next((seen[1:] for seen in reversed(self.status_log) if seen[1] == name), None)
                if told != last:
                    self.status_log.append((monotonic(), *told))
            self.drain()
            beats += 1
            await asyncio.sleep(0.05)


@asynccontextmanager
async def rigged(sim: Simulator, folder: Path, feed: Feed = BRISK, **exchange: Any) -> AsyncIterator[Rig]:
    """A running rig. What breaks inside is raised at its end."""
    rig = Rig(sim, folder, feed, **exchange)
    works = [rig.tend(), rig.pulse.run(), *(venue.run() for venue in rig.venues.values())]
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield rig
    finally:
        broken = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in broken:
            task.result()
