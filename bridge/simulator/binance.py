"""A simulated Binance: spot streams with their rules. Source: Binance's documentation and recordings.

Offered: bookTicker, miniTicker, aggTrade, kline_1m, !miniTicker@arr; any other stream is accepted and silent, as an
unknown symbol's is. Candles go out every 2 s when changed; `x` comes after the end of a minute that had trades.
"""

from collections.abc import Mapping, Sequence
from time import monotonic, time_ns

from msgspec import Struct

from bridge.simulator import binance_frames as frames
from bridge.simulator.binance_control import answer
from bridge.simulator.binance_rest import BinanceRest
from bridge.simulator.line import Line
from bridge.simulator.port import Answer, Query
from bridge.simulator.truth import REMEMBERED
from bridge.simulator.values import Deal, Event, Listing, Quote, Source
from bridge.simulator.venue import MS, Venue

EVERY_MINI = "!miniTicker@arr"
_REFUSALS = {
    451: {"code": 0, "msg": "Service unavailable from a restricted location."},
    429: {"code": -1003, "msg": "Too many requests."},
}


class BinanceRules(Struct, frozen=True):
    """Binance's limits, as it states them; tests make the times shorter."""

    ping_every_s: float = 20.0
    pong_within_s: float = 60.0
    line_life_s: float = 86_400.0
    messages: int = 5
    messages_window_s: float = 1.0
    streams_per_line: int = 1024


class Binance(Venue):
    """Binance on a real socket."""

    name = "binance"

    def __init__(
        self,
        listings: Sequence[Listing],
        source: Source,
        *,
        rules: BinanceRules | None = None,
        remembered: int = REMEMBERED,
    ) -> None:
        super().__init__(listings, source, remembered=remembered)
        self.rules = rules or BinanceRules()
        self.rest = BinanceRest(self.listings, source)
        self._changed: dict[str, None] = {}
        self._open: dict[str, int] = {}
        self._unsaid: set[str] = set()

    @property
    def ws_url(self) -> str:
        """Where the streams are: `/stream` and `/ws` follow."""
        return f"ws://{self.port.host}:{self.port.number}"

    @property
    def routes(self) -> Mapping[tuple[str, str], Answer]:
        return self.rest.routes

    def denial(self, status: int) -> object:
        return _REFUSALS.get(status, {"code": -1000, "msg": f"HTTP {status}"})

    # --- the line -----------------------------------------------------------------------------------
    def greet(self, line: Line, path: str, query: Query) -> None:
        line.combined = path.startswith("/stream")
        told = query.get("streams", "") if line.combined else path.removeprefix("/ws").strip("/")
        if streams := [stream for stream in told.split("/") if stream]:
            self.join(line, streams[: self.rules.streams_per_line])

    def keep(self, line: Line, now_s: float) -> None:
        if now_s - line.born_s > self.rules.line_life_s:
            line.close(1000, "")
        elif self.faults.stalled:
            return
        elif line.pinged_s > line.ponged_s and now_s - line.pinged_s > self.rules.pong_within_s:
            line.close(1008, "Pong timeout")
        elif line.ponged_s >= line.pinged_s and now_s - line.pinged_s > self.rules.ping_every_s:
            line.pinged_s = now_s
            line.ping(str(time_ns() // MS).encode())

    def shut_down(self) -> None:
        """Announce the end to all lines by `serverShutdown`; `faults.close` then ends them."""
        data = f'{{"e":"serverShutdown","E":{time_ns() // MS}}}'
        for line in self.lines.values():
            line.send(frames.combined("!serverShutdown", data) if line.combined else data.encode())
            line.flush()

    def pinged(self, line: Line, payload: bytes) -> None:
        if self._patient(line):
            super().pinged(line, payload)

    def ponged(self, line: Line) -> None:
        if self._patient(line):
            super().ponged(line)

    def heard(self, line: Line, text: str) -> None:
        if self._patient(line):
            line.send(answer(self, line, text, self.rules.streams_per_line))

    def _patient(self, line: Line) -> bool:
        """Whether the client is within its messages a second, pings and pongs included; else the line is closed."""
        if not line.too_often(monotonic(), self.rules.messages, self.rules.messages_window_s):
            return True
        line.close(1008, "Too many requests")
        return False

    # --- what is told -------------------------------------------------------------------------------
    def shape(self, line: Line, topic: str, text: bytes) -> bytes:
        return text if line.combined else frames.raw(topic, text)

    def publish(self, event: Event) -> None:
        lower = event.native.lower()
        if isinstance(event, Quote):
            if (stream := f"{lower}@bookTicker") in self.subscribers:
                self.tell(stream, event.native, frames.combined(stream, frames.book_ticker(event)), event)
            return
        if (stream := f"{lower}@aggTrade") in self.subscribers:
            trade = frames.agg_trade(event, self.now_ns // MS)
            self.tell(stream, event.native, frames.combined(stream, trade), event)
        self._changed[event.native] = None
        self._chart(event)

    def second(self, now_s: int) -> None:
        self._say_minis(list(self._changed))
        self._changed.clear()
        for native, minute in list(self._open.items()):
            if minute < now_s // 60:
                self._say_kline(native, minute, closed=True)
            elif native in self._unsaid and now_s % 2 == 0:
                self._say_kline(native, minute, closed=False)

    def _chart(self, deal: Deal) -> None:
        minute, before = deal.time_ms // 60_000, self._open.get(deal.native)
        if before is not None and before < minute:
            self._say_kline(deal.native, before, closed=True)
        self._open[deal.native] = minute
        self._unsaid.add(deal.native)

    def _say_kline(self, native: str, minute: int, *, closed: bool) -> None:
        self._unsaid.discard(native)
        if closed:
            del self._open[native]
        stream = f"{native.lower()}@kline_1m"
        if stream in self.subscribers:
            for bar in self.source.bars(native, minute * 60, minute * 60 + 60, flat=False):
                data = frames.kline(bar, self.now_ns // MS, closed=closed)
                self.tell(stream, native, frames.combined(stream, data), bar)

    def _say_minis(self, natives: list[str]) -> None:
        every = EVERY_MINI in self.subscribers
        rows = []
        for native in natives:
            if native in self.faults.silent_symbols:
                continue
            stream = f"{native.lower()}@miniTicker"
            day = self.source.day(native) if every or stream in self.subscribers else None
            if day is not None:
                row = frames.mini_ticker(day, self.now_ns // MS)
                rows.append(row)
                if stream in self.subscribers:
                    self.tell(stream, native, frames.combined(stream, row))
        if every and rows:
            self.tell(EVERY_MINI, "", frames.combined(EVERY_MINI, f"[{','.join(rows)}]"))
