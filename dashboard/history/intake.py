"""What the recorder hears, before it is on disk: known topics, what is a repeat, bars, gaps, the newest ticks.

Belongs to the event loop's thread; other threads may look, and the writer takes layers off the bottom.
"""

from bridge.errors import FrameError
from bridge.topics import Topics
from dashboard.history.bars import Bars
from dashboard.history.candles import check_candle, check_number
from dashboard.history.gapbook import GapBook
from dashboard.history.heard import Heard
from dashboard.history.instruments import read_instruments
from dashboard.history.memory import Layer
from dashboard.history.rows import KINDS, Instruments, Mark, Publication, Row, Series, one_line, read_mark, series_of

MOST_SERIES = 200_000
MOST_INSTRUMENTS = 100_000
CATALOGUE = "catalogue"


class Intake:
    """`append` takes a message; `seal` ends a layer, so that what was appended until now can be committed."""

    def __init__(self) -> None:
        self._topics = Topics()
        self.series: dict[str, Series] = {}
        self.heard: dict[str, Heard] = {kind: Heard() for kind in KINDS}
        self.layers: list[Layer] = []
        self.top = Layer()
        self.bars = Bars()
        self.gaps = GapBook()
        self.instruments: Instruments = {}
        self.newest: dict[int, tuple[int, int, int, bytes]] = {}
        """Run, n, time and payload by series: what was told later wins over a later time, which may be a wrong one."""
        self.newest_ns = 0
        self.stored = 0
        self.repeats = 0

    def append(self, topic: str, payload: bytes) -> bool:
        """Take a message (topic without prefix); False if it is a repeat. Raises FrameError if it cannot be stored."""
        if topic.partition("/")[0] == CATALOGUE:
            return self._note_instruments(topic, payload)
        mark = read_mark(payload)
        payload = one_line(payload)
        series = self.series.get(topic) or self._candidate(topic)
        publication = _checked(series, mark, payload)
        self._meet(series, topic)
        if not self.heard[series.kind].add(series.number, *publication):
            self.repeats += 1
            return False
        self.top.add(series, mark.time_ns, payload, publication)
        self.stored += 1
        if (bar := self.note(series, mark, payload)) is not None:
            self.top.put("bars", *bar)
        return True

    def note(self, series: Series, mark: Mark, payload: bytes) -> tuple[int, int, bytes] | None:
        """Remember what a row tells beyond itself; the bar (series, minute, payload) that it completes, if any."""
        self.newest_ns = max(self.newest_ns, mark.time_ns)
        if series.kind == "gaps":
            self.gaps.note(series.exchange, payload)
        elif series.kind == "prices":
            place = mark.run or 0, mark.n or 0, mark.time_ns
            known = self.newest.get(series.number)
            if known is None or known[:3] <= place:
                self.newest[series.number] = *place, payload
            if mark.price:
                bar = self._bar_series(series).number
                done = self.bars.add(bar, mark.time_ns, bytes(mark.price))
                return None if done is None else (bar, *done)
        return None

    def _note_instruments(self, topic: str, payload: bytes) -> bool:
        """What a catalogue tells anew; what it does not name any more stays as it was told last."""
        exchange = topic.split("/")[1]
        told = {(exchange, symbol): one for symbol, one in read_instruments(payload)}
        changed = {key: one for key, one in told.items() if self.instruments.get(key) != one}
        if len(self.instruments | changed) > MOST_INSTRUMENTS:
            raise FrameError(f"{topic[:100]!r} brings more than the {MOST_INSTRUMENTS} instruments that are kept")
        self.instruments.update(changed)
        self.top.instruments.update(changed)
        return bool(changed)

    def seal(self) -> None:
        """End the top layer, bars of the minutes that are over included."""
        for series, minute_ns, payload in self.bars.close():
            self.top.put("bars", series, minute_ns, payload)
        if self.top.rows or self.top.instruments:
            # appended before it is replaced: who looks at both may see it twice, but never not at all
            self.layers.append(self.top)
            self.top = Layer()

    def waiting(self, kind: str, series: int) -> list[Row]:
        """Rows of one series that are not committed, in the order of their arrival."""
        top = self.top
        return [row for layer in [*self.layers, top] for row in layer.of(kind, series)]

    @property
    def waiting_bytes(self) -> int:
        return self.top.bytes + sum(layer.bytes for layer in list(self.layers))

    @property
    def waiting_rows(self) -> int:
        return self.top.rows + sum(layer.rows for layer in list(self.layers))

    def _bar_series(self, price: Series) -> Series:
        topic = f"bars/{price.exchange}/{price.symbol}/1m"
        known = self.series.get(topic)
        return known or self._meet(series_of(len(self.series) + 1, topic), topic)

    def _candidate(self, topic: str) -> Series:
        """What a topic would be that is heard for the first time. There is room for a price's bars beside it."""
        if self._topics.parts(topic) is None:
            raise FrameError(f"{topic[:100]!r} is no topic of a stream")
        if len(self.series) + 2 > MOST_SERIES:
            raise FrameError(f"{topic[:100]!r} is one more than the {MOST_SERIES} series that are kept apart")
        return series_of(len(self.series) + 1, topic)

    def _meet(self, series: Series, topic: str) -> Series:
        """A topic that is new gets its number for good."""
        if topic not in self.series:
            self.series[topic] = series
            self.top.topics.append((series.number, topic))
        return series


def _checked(series: Series, mark: Mark, payload: bytes) -> Publication:
    """What was published. Raises FrameError for what cannot be shown or audited later: it must not be stored."""
    publication = mark.publication()
    if publication is None:
        raise FrameError("it has neither run and n nor fill and fill_n: nobody could tell whether it was lost")
    if series.kind == "candles":
        check_candle(payload)
    elif series.kind == "gaps":
        GapBook.check(payload)
    elif mark.price:
        try:
            check_number(mark.price)
        except ValueError as error:
            raise FrameError(f"price: {error}") from error
    return publication
