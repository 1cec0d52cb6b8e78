"""What Home Assistant is to know at this moment: the chosen symbols, their devices, and the heartbeat of `sensors/`."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from bridge import __version__, topics
from bridge.clock import Clock
from bridge.exchanges.base import Catalogue
from bridge.health import LineStatus, clocked
from bridge.homeassistant.changes import Wanted
from bridge.homeassistant.choice import Choice, Offer, Pair, choose, rows_a_day
from bridge.homeassistant.devices import bridge_device, encoded, exchange_device
from bridge.homeassistant.entities import price_keys
from bridge.homeassistant.ids import BRIDGE, Ids
from bridge.homeassistant.text import harmless
from bridge.sensors import EXPIRY_S, Display, Sensors
from bridge.settings import USUAL_ENTITIES, ExchangeSettings, Settings
from bridge.topics import LISTED, State, Topics

log = logging.getLogger(__name__)

S = 1_000_000_000
REPEAT_NS = EXPIRY_S * S // 3
SLACK_NS = S // 2
CATALOGUES_S = 60.0
"""So long patterns wait for the catalogues of whole markets, so that the same symbols are chosen at every start."""
UNKNOWN = topics.state({"status": "unknown"})
"""All that is ever retained on `sensors/`: a subscriber learns from it that it must wait for a live message."""


class Source(Protocol):
    """An exchange, as far as Home Assistant is concerned."""

    settings: ExchangeSettings
    catalogue: Catalogue | None
    sensors: Sensors
    display: Display

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    def status(self) -> LineStatus: ...
    def health(self) -> dict[str, Any]: ...


class Home:
    """`changed` is set when other configurations are wanted. `figures()`: what `health/bridge` tells."""

    def __init__(
        self, settings: Settings, names: Topics, sources: Sequence[Source], put: Callable[[State], None], clock: Clock
    ) -> None:
        self.settings = settings.homeassistant
        self.ids = Ids(settings.instance, settings.shard, settings.homeassistant.discovery_root)
        self.wanted = Wanted()
        self.changed = asyncio.Event()
        self.trouble = ""
        self.choice = Choice()
        self._display = settings.display
        self._names = names
        self._sources = sources
        self._put = put
        self._clock = clock
        self._since_ns = clock.monotonic_ns()
        self._stamp: object = None
        self._early: tuple[Pair, ...] = ()
        """Chosen before all catalogues were known: they stay, so that nothing is announced and then removed."""
        self._told: dict[str, tuple[str, int]] = {}
        self._bridge: Callable[[], dict[str, Any]] = dict

    def change(self, settings: Settings) -> None:
        """Other symbols are chosen; the exchanges' own are looked at by themselves."""
        old = self.settings, self._display
        self.settings = old[0].model_copy(update={"symbols": settings.homeassistant.symbols})
        self._display = old[1].model_copy(update={"symbols": settings.display.symbols})

    def tend(self, bridge: Callable[[], dict[str, Any]]) -> None:
        """Once a second. `bridge()`: what is told of the bridge itself."""
        mono_ns = self._clock.monotonic_ns()
        self._bridge = bridge
        self._refresh(mono_ns)
        for source in self._sources:
            source.sensors.tend(mono_ns)
            source.display.tend(mono_ns)
        if self.settings.enabled:
            for source in self._sources:
                self._beat(source.name, source.status().status, partial(self._render_exchange, source), mono_ns)
            self._beat(BRIDGE, "online", self._render_bridge, mono_ns)

    def hurry(self) -> None:
        """Somebody has begun to listen: the next `tend` tells everything."""
        self._told.clear()
        for source in self._sources:
            source.sensors.hurry()

    def stop(self) -> None:
        """The last word of a clean stop; it stays, for those who begin to listen later."""
        if self.settings.enabled:
            stopped = topics.state({"status": "stopped"})
            for name in (*(source.name for source in self._sources), BRIDGE):
                self._put(State(self._names.sensors(name), lambda now_ns: stopped))

    def sensor_topics(self) -> list[str]:
        """Where `unknown` is retained."""
        return [self._names.sensors(name) for name in (*(source.name for source in self._sources), BRIDGE)]

    def figures(self) -> dict[str, Any] | None:
        """None if it is switched off."""
        if not self.settings.enabled:
            return None
        left_out = [f"{exchange}:{symbol}" for exchange, symbol in self.choice.left_out]
        return {
            "entities": len(self.choice.taken),
            "rows_a_day": rows_a_day(len(self.choice.taken), self.settings.interval_s),
            "left_out": len(left_out),
            **({"left_out_symbols": left_out[:LISTED]} if left_out else {}),
            **({"trouble": self.trouble} if self.trouble else {}),
        }

    # --- what is wanted -----------------------------------------------------------------------------
    def _refresh(self, mono_ns: int) -> None:
        """Choose anew when an exchange's symbols, its catalogue or the patterns have changed."""
        settled = mono_ns - self._since_ns > CATALOGUES_S * S
        complete = all(source.catalogue or not source.settings.whole_market for source in self._sources)
        ready = settled or complete
        known = [(source.settings.symbols, source.catalogue) for source in self._sources]
        stamp = ready, self.settings.symbols, self._display.symbols, known
        if stamp == self._stamp:
            return
        self._stamp = stamp
        offers = {source.name: _offer(source) for source in self._sources}
        if self._display.enabled:
            shown = choose(self._display.symbols or ("*",), offers)
            for source in self._sources:
                source.display.choose(shown.of(source.name))
            _say_idle("display", shown.idle, ready=ready)
        if self.settings.enabled:
            waits = self.settings.symbols and not ready
            self._choose(
                Choice() if waits else choose(self.settings.symbols, offers, self.settings.entities, self._early)
            )
            if not complete:
                self._early = self.choice.taken
            self._describe(frozenset(offers) if waits else frozenset())
            _say_idle("homeassistant", self.choice.idle, ready=ready)

    def _choose(self, choice: Choice) -> None:
        if choice.left_out != self.choice.left_out or len(choice.taken) != len(self.choice.taken):
            _say_budget(choice, self.settings.entities, self.settings.interval_s)
        self.choice = choice
        for source in self._sources:
            source.sensors.choose(choice.of(source.name))

    def _describe(self, waiting: frozenset[str]) -> None:
        devices = {self.ids.topic(BRIDGE): encoded(bridge_device(self.ids, self._names, __version__))}
        held: dict[str, frozenset[str]] = {}
        unknown = set()
        for source in self._sources:
            topic = self.ids.topic(source.name)
            if source.catalogue is None or source.name in waiting:
                unknown.add(topic)
                continue
            symbols, by_symbol = self.choice.of(source.name), source.catalogue.by_symbol
            known = [by_symbol[symbol] for symbol in symbols if symbol in by_symbol]
            held[topic] = frozenset(key for one in symbols if one not in by_symbol for key in price_keys(one))
            config = exchange_device(self.ids, self._names, source.name, source.title, known, __version__)
            devices[topic] = encoded(config)
        self.wanted = Wanted(devices, frozenset(unknown), held)
        self.changed.set()

    # --- the heartbeat ------------------------------------------------------------------------------
    def _beat(self, name: str, status: str, render: Callable[[int], bytes], mono_ns: int) -> None:
        """At once when the status changes, and again every 10 s."""
        told, told_ns = self._told.get(name, ("", 0))
        if told != status or mono_ns - told_ns >= REPEAT_NS - SLACK_NS:
            self._told[name] = status, mono_ns
            self._put(State(self._names.sensors(name), render, retain=False, expiry_s=EXPIRY_S))

    def _render_exchange(self, source: Source, now_ns: int) -> bytes:
        health = source.health()
        # a reconnect sends it between two beats, too: what it says then is what was told
        self._told[source.name] = health["status"], self._told.get(source.name, ("", 0))[1]
        lag_ms = health.get("lag_ms")
        fields = {name: health[name] for name in ("status", "symbols", "stale_count", "gaps_open", "reconnects")}
        more = {
            "reason": harmless(health["reason"]),
            "chosen": len(source.sensors),
            "chosen_stale": source.sensors.stale_count(),
            "lag_p50_ms": lag_ms["p50"] if lag_ms else None,
        }
        return topics.state(clocked(fields | more, synced=self._clock.synced, now_ns=now_ns))

    def _render_bridge(self, now_ns: int) -> bytes:
        fields = {"status": "online", "version": __version__, "left_out": len(self.choice.left_out), **self._bridge()}
        return topics.state(clocked(fields, synced=self._clock.synced, now_ns=now_ns))


def _offer(source: Source) -> Offer:
    settings, catalogue = source.settings, source.catalogue
    if not settings.whole_market or catalogue is None:
        return Offer(settings.symbols)
    listed = frozenset(settings.symbols)
    trading = (one.symbol for one in catalogue.by_symbol.values() if one.status == "trading")
    return Offer(settings.symbols, tuple(sorted(symbol for symbol in trading if symbol not in listed)))


def _say_idle(section: str, idle: Sequence[str], *, ready: bool) -> None:
    if idle and ready:
        log.warning("%s.symbols: no subscribed symbol matches %s", section, ", ".join(idle[:LISTED]))


def _say_budget(choice: Choice, budget: int, interval_s: float) -> None:
    rows = rows_a_day(len(choice.taken), interval_s)
    if choice.left_out:
        first = ", ".join(f"{exchange}:{symbol}" for exchange, symbol in choice.left_out[:LISTED])
        every = rows_a_day(len(choice.taken) + len(choice.left_out), interval_s)
        log.warning(
            "Home Assistant is told of %d symbols (homeassistant.entities) of %d; left out: %s. Its recorder writes up"
            " to %d rows a day for these, and %d for all: choose by homeassistant.symbols",
            budget, budget + len(choice.left_out), first, rows, every,
        )  # fmt: skip
    elif len(choice.taken) > USUAL_ENTITIES:
        log.warning(
            "Home Assistant is told of %d symbols: up to %d rows a day in its recorder", len(choice.taken), rows
        )
    else:
        log.info("Home Assistant is told of %d symbols", len(choice.taken))
