"""Everything that can go wrong with an exchange, on demand.

Lasting faults are attributes, set and unset at will. Faults of one frame are asked for by a method and strike the
next data frame that they fit (of the given symbol's, if one is given); `pending` counts those still to come.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum

from bridge.simulator.frames import encode
from bridge.simulator.line import Line


class Struck(Enum):
    """What a fault did with a frame."""

    MISSED = "does not fit this frame"
    INSTEAD = "something else went out, or nothing"
    BESIDE = "something went out before it, and it goes out, too"


Strike = Callable[[Line, bytes], Struck]
MAX_PENDING = 1000
REMEMBERED = 1000
GARBAGE = b"\x00\xff not json \xfe"
_PRICE = re.compile(rb'"(price|p|c|b)":"[^"]*"')


class Faults:
    """The faults of one exchange."""

    def __init__(self, lines: Callable[[], Iterable[Line]]) -> None:
        self._lines = lines
        self._strikes: deque[tuple[str | None, Strike]] = deque()
        self._older: deque[tuple[str, bytes]] = deque(maxlen=REMEMBERED)
        self._deaf = False
        self.stalled = False
        """Lines stay open, but no data comes."""
        self.ignore_pings = False
        """Pings, of text or protocol, are not answered."""
        self.refuse_tokens = False
        """Every token is answered by error 401."""
        self.silent_symbols: set[str] = set()
        """These symbols (native names) are told no more."""
        self.rest_status: int | None = None
        """All of REST answers with this HTTP status."""
        self.rest_only = ""
        """REST faults strike only paths that contain this."""
        self.rest_garbage = self.rest_halves = 0
        """So many REST answers to come are nonsense, or break off in the middle."""
        self.rest_delay_s = 0.0
        """REST answers so late."""
        self.ws_status: int | None = None
        """The websocket handshake is answered with this HTTP status."""
        self.retry_after_s: int | None = None
        """The Retry-After header that goes with a refusal."""

    # --- faults of the line -------------------------------------------------------------------------
    def refuse(self, status: int, retry_after_s: int | None = None) -> None:
        """REST and websocket both answer with this HTTP status (451, 403, 429, 503)."""
        self.rest_status = self.ws_status = status
        self.retry_after_s = retry_after_s

    def freeze(self) -> None:
        """Nothing ever comes again from the lines that are open now, but they stay open. New lines are sound."""
        for line in self._lines():
            line.frozen = True

    def stall(self) -> None:
        """A silent stall of all lines, new ones included: no data, no answers to pings, but the connections stay."""
        self.stalled = self.ignore_pings = True

    def heal(self) -> None:
        """End all lasting faults, forget those to come."""
        self.stalled = self.ignore_pings = self.refuse_tokens = False
        self.rest_status = self.ws_status = self.retry_after_s = None
        self.rest_only, self.rest_garbage, self.rest_halves, self.rest_delay_s = "", 0, 0, 0.0
        self.silent_symbols.clear()
        self._strikes.clear()
        self.deaf = False

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close all lines properly."""
        for line in list(self._lines()):
            line.close(code, reason)

    def abort(self) -> None:
        """Reset all connections."""
        for line in list(self._lines()):
            line.abort()

    @property
    def deaf(self) -> bool:
        """Whether client messages are left unread."""
        return self._deaf

    @deaf.setter
    def deaf(self, value: bool) -> None:
        self._deaf = value
        for line in self._lines():
            line.listen(hears=not value)

    # --- faults of REST -----------------------------------------------------------------------------
    def strikes_rest(self, path: str) -> bool:
        """Whether REST faults are meant for this path."""
        return self.rest_only in path

    def damaged(self, body: bytes) -> bytes:
        """What becomes of a REST answer's body."""
        if self.rest_garbage:
            self.rest_garbage -= 1
            return GARBAGE
        if self.rest_halves:
            self.rest_halves -= 1
            return body[: len(body) // 2]
        return body

    # --- faults of one frame ------------------------------------------------------------------------
    @property
    def pending(self) -> int:
        """How many faults of one frame have not struck yet."""
        return len(self._strikes)

    def cut(self, at_byte: int, symbol: str | None = None) -> None:
        """The line ends after that many bytes of the frame on the wire."""
        self._ask(symbol, lambda line, frame: _cut(line, encode(frame)[:at_byte]))

    def garbage(self, data: bytes = GARBAGE) -> None:
        """A frame of nonsense instead."""
        self._ask(None, lambda line, frame: _send(line, data))

    def truncate(self, symbol: str | None = None) -> None:
        """Only the first half of the JSON text."""
        self._ask(symbol, lambda line, frame: _send(line, frame[: len(frame) // 2]))

    def huge(self, size: int = 6 * 1024 * 1024) -> None:
        """A frame of that many bytes instead."""
        self._ask(None, lambda line, frame: _send(line, b'{"x":"' + b"x" * (size - 8) + b'"}'))

    def duplicate(self, symbol: str | None = None) -> None:
        """The frame twice."""
        self._ask(symbol, lambda line, frame: _send(line, frame, Struck.BESIDE))

    def late(self, symbol: str) -> None:
        """The symbol's oldest remembered frame again, between two newer ones."""
        self._ask(symbol, lambda line, frame: self._send_late(line, symbol))

    def price(self, digits: str, symbol: str | None = None) -> None:
        """Another price, such as "0" or "-1"."""
        self._ask(symbol, lambda line, frame: _send_priced(line, frame, digits.encode()))

    def withhold(self, count: int, symbol: str, containing: bytes = b"") -> None:
        """A hole in the sequence: the symbol's next frames (that contain this) are never sent."""
        for _ in range(count):
            self._ask(symbol, lambda line, frame: Struck.INSTEAD if containing in frame else Struck.MISSED)

    def unknown_symbol(self, symbol: str, alias: str = "NOSUCH-USDT") -> None:
        """A frame of a symbol that no catalogue has, instead of the symbol's own."""
        names = ((symbol, alias), (symbol.lower(), alias.lower()))
        self._ask(symbol, lambda line, frame: _send_renamed(line, frame, names))

    def strike(self, line: Line, frame: bytes, symbol: str) -> bool:
        """Whether this frame must not be sent, because a fault has dealt with it."""
        if self.stalled or symbol in self.silent_symbols:
            return True
        struck = self._struck(line, frame, symbol) if self._strikes else Struck.MISSED
        if symbol and struck is not Struck.INSTEAD:
            self._older.append((symbol, frame))
        return struck is Struck.INSTEAD

    def _struck(self, line: Line, frame: bytes, symbol: str) -> Struck:
        for at, (wanted, strike) in enumerate(self._strikes):
            if wanted in (None, symbol):
                struck = strike(line, frame)
                if struck is not Struck.MISSED:
                    del self._strikes[at]
                    return struck
        return Struck.MISSED

    def _ask(self, symbol: str | None, strike: Strike) -> None:
        if len(self._strikes) >= MAX_PENDING:
            raise ValueError(f"more than {MAX_PENDING} faults at once")
        self._strikes.append((symbol, strike))

    def _send_late(self, line: Line, symbol: str) -> Struck:
        older = [text for name, text in self._older if name == symbol]
        return _send(line, older[0], Struck.BESIDE) if len(older) >= 2 else Struck.MISSED


def _send(line: Line, frame: bytes, struck: Struck = Struck.INSTEAD) -> Struck:
    line.send(frame)
    return struck


def _cut(line: Line, data: bytes) -> Struck:
    line.send_raw(data)
    line.end()
    return Struck.INSTEAD


def _send_priced(line: Line, frame: bytes, digits: bytes) -> Struck:
    changed, count = _PRICE.subn(rb'"\1":"' + digits + b'"', frame, count=1)
    return _send(line, changed) if count else Struck.MISSED


def _send_renamed(line: Line, frame: bytes, names: Iterable[tuple[str, str]]) -> Struck:
    for old, new in names:
        frame = frame.replace(old.encode(), new.encode())
    return _send(line, frame)
