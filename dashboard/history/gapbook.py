"""The newest state of every gap. Pure."""

from itertools import groupby

import msgspec
from msgspec import Struct

from bridge.errors import FrameError
from dashboard.history.base import END_OF_TIME_NS, Page, Span

MOST_GAPS = 20_000


class GapState(Struct):
    """What a gap's payload tells of its extent. `to_ns` None: it still runs; `symbols` None: all of the exchange's."""

    id: str
    from_ns: int
    time_ns: int
    to_ns: int | None = None
    symbols: list[str] | None = None
    symbol_count: int = 0

    @property
    def end_ns(self) -> int:
        return END_OF_TIME_NS if self.to_ns is None else self.to_ns

    def touches(self, symbol: str | None, from_ns: int, to_ns: int) -> bool:
        if self.from_ns >= to_ns or (self.to_ns is not None and self.to_ns <= from_ns):
            return False
        if symbol is None or self.symbols is None:
            return True
        # a long list is cut: then it may be any
        return symbol in self.symbols or self.symbol_count > len(self.symbols)


_decode = msgspec.json.Decoder(GapState).decode


class GapBook:
    """Gaps by exchange and id, the newest `MOST_GAPS`; `forgotten` counts the rest."""

    def __init__(self) -> None:
        self._gaps: dict[tuple[str, str], tuple[GapState, bytes]] = {}
        self.forgotten = 0

    @staticmethod
    def check(payload: bytes) -> None:
        """Raises FrameError if this is no gap's payload."""
        try:
            _decode(payload)
        except msgspec.DecodeError as error:
            raise FrameError(f"gap: {error}") from error

    def note(self, exchange: str, payload: bytes) -> None:
        """Take a gap's state, unless a newer one is known."""
        state = _decode(payload)
        known = self._gaps.get((exchange, state.id))
        if known is None or known[0].time_ns <= state.time_ns:
            self._gaps[exchange, state.id] = state, payload
        if len(self._gaps) > MOST_GAPS:
            del self._gaps[next(iter(self._gaps))]
            self.forgotten += 1

    def find(self, exchange: str | None, symbol: str | None, span: Span) -> Page:
        """Payloads with their exchange, by the gaps' end: what ends later still touches a span from `next_ns` on."""
        found = [
            (state.end_ns, state.from_ns, b'{"exchange":%b,%b' % (msgspec.json.encode(of), payload.lstrip()[1:]))
            for (of, _), (state, payload) in list(self._gaps.items())
            if exchange in (None, of) and state.touches(symbol, span.from_ns or 0, span.to_ns)
        ]
        found.sort()
        if span.from_ns is None:
            return Page([payload for _, _, payload in found[-span.limit :]])
        rows: list[bytes] = []
        last_ns: int | None = None
        for end_ns, group in groupby(found, lambda one: one[0]):
            payloads = [payload for _, _, payload in group]
            if rows and len(rows) + len(payloads) > span.limit:
                return Page(rows, last_ns)
            rows += payloads
            last_ns = end_ns
        return Page(rows)
