"""`sensors/` and `display/`: an exchange's chosen prices at a house's pace. Not retained: not all can see an expiry.

While a price is fresh it is told again and again; when it becomes stale that is told once, and then nothing.
"""

from collections.abc import Callable, Iterable
from functools import partial

from bridge import topics
from bridge.events import Symbol
from bridge.feed import Feed
from bridge.series import Series
from bridge.topics import PLAIN_TEXT, State

S = 1_000_000_000
EXPIRY_S = 30
REPEAT_NS = EXPIRY_S * S // 3
SLACK_NS = S // 2
"""`tend` comes once a second: a beat that is due before the next one is not put off."""


class Beat:
    """One symbol: when it was told, and what. `fresh`: whether what was told last says so."""

    __slots__ = ("body_ns", "ended", "fresh", "sent_ns", "series", "state")

    state: State

    def __init__(self) -> None:
        self.series: Series | None = None
        self.fresh = self.ended = False
        self.sent_ns = -(2**62)
        self.body_ns = 0

    def tell(self, series: Series) -> str | None:
        """Why the price is old. Asked at the moment of sending, which may be a reconnect between two beats."""
        stale = "no longer chosen" if self.ended else series.stale
        self.fresh = stale is None
        return stale


class Beats:
    """The chosen symbols of one feed on one family of topics. `interval_s`: how often a change is told at most."""

    def __init__(self, feed: Feed, put: Callable[[State], None], interval_s: float) -> None:
        self._feed = feed
        self._put = put
        self._interval_ns = min(int(interval_s * S), REPEAT_NS)
        self._beats: dict[Symbol, Beat] = {}

    def choose(self, symbols: Iterable[Symbol]) -> None:
        """These from now on; of one that is chosen no more a last word says so."""
        wanted = dict.fromkeys(symbols)
        for symbol in [symbol for symbol in self._beats if symbol not in wanted]:
            beat = self._beats.pop(symbol)
            beat.ended = True
            if beat.fresh:
                self._put(beat.state)
        for symbol in wanted:
            if symbol not in self._beats:
                self._beats[symbol] = self._begin(symbol)

    def stale_count(self) -> int:
        """How many of the chosen have no price that may be trusted."""
        return sum(not self._is_fresh(symbol) for symbol in self._beats)

    def __len__(self) -> int:
        return len(self._beats)

    def tend(self, mono_ns: int) -> None:
        """Once a second: what is due, and at once what has changed between fresh and stale."""
        for symbol, beat in self._beats.items():
            was_fresh = beat.fresh
            beat.fresh = self._is_fresh(symbol)
            if beat.fresh:
                beat.series = self._feed.series[symbol]
            if was_fresh != beat.fresh or (beat.fresh and self._is_due(beat, mono_ns)):
                beat.sent_ns = mono_ns
                beat.body_ns = beat.series.body_ns if beat.series else 0
                self._put(beat.state)

    def hurry(self) -> None:
        """Tell what is fresh with the next `tend`: somebody has just begun to listen."""
        for beat in self._beats.values():
            beat.sent_ns = -(2**62)

    def _is_due(self, beat: Beat, mono_ns: int) -> bool:
        changed = beat.series is not None and beat.series.body_ns != beat.body_ns
        return mono_ns - beat.sent_ns >= (self._interval_ns if changed else REPEAT_NS) - SLACK_NS

    def _is_fresh(self, symbol: Symbol) -> bool:
        series = self._feed.series.get(symbol)
        return series is not None and bool(series.body) and series.stale is None

    def _begin(self, symbol: Symbol) -> Beat:
        beat = Beat()
        beat.state = self._state(symbol, beat)
        return beat

    def _state(self, symbol: Symbol, beat: Beat) -> State:
        raise NotImplementedError


class Sensors(Beats):
    """`sensors/<exchange>/<SYMBOL>`: as `latest/`, with the change of 24 h."""

    def _state(self, symbol: Symbol, beat: Beat) -> State:
        topic = self._feed.names.sensor(self._feed.exchange, symbol)
        return State(topic, partial(self._render, symbol, beat), retain=False, expiry_s=EXPIRY_S)

    def _render(self, symbol: Symbol, beat: Beat, now_ns: int) -> bytes | None:
        series, feed = beat.series, self._feed
        if series is None:
            return None
        change = feed.changes.get(symbol)
        return topics.sensor(series.body, series.body_ns, now_ns, beat.tell(series), change, feed.synced())


class Display(Beats):
    """`display/<exchange>/<SYMBOL>`: the price as plain text, `?` when it is old."""

    def _state(self, symbol: Symbol, beat: Beat) -> State:
        topic = self._feed.names.display(self._feed.exchange, symbol)
        return State(topic, partial(self._render, beat), retain=False, expiry_s=EXPIRY_S, content_type=PLAIN_TEXT)

    def _render(self, beat: Beat, now_ns: int) -> bytes | None:
        series = beat.series
        if series is None or series.last is None:
            return None
        return topics.display(series.last.price if beat.tell(series) is None else None)
