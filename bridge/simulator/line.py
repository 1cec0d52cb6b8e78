"""One websocket connection as the server sees it: it writes raw bytes, so that every fault is possible. Bounded."""

import asyncio
import logging
from collections import deque
from itertools import count

from aiohttp import web

from bridge.simulator.frames import PING, PONG, closing, encode

log = logging.getLogger(__name__)

MAX_UNREAD = 8 * 1024 * 1024
"""A client with more unread bytes than this is cut off, as exchanges do."""
_numbers = count(1)


class Line:
    """A client's connection: what it subscribed, when it was heard, and what still waits for the next flush."""

    def __init__(self, ws: web.WebSocketResponse, transport: asyncio.Transport, now_s: float) -> None:
        self.number = next(_numbers)
        self.topics: dict[str, None] = {}
        self.born_s = self.heard_s = self.ponged_s = self.pinged_s = now_s
        self.sent = 0
        self.combined = True
        self.frozen = False
        self.subscribed_s: float | None = None
        self._ws = ws
        self._transport = transport
        self._out: list[bytes] = []
        self._asked: deque[float] = deque(maxlen=256)

    @property
    def open(self) -> bool:
        """Whether anything can still be written."""
        return not self._transport.is_closing() and not self._ws.closed

    @property
    def unread(self) -> int:
        """How many bytes wait for the client to read."""
        return self._transport.get_write_buffer_size()

    def send(self, text: bytes) -> None:
        """Queue a text frame until the next flush."""
        self.sent += 1
        self._out.append(encode(text))

    def send_raw(self, data: bytes) -> None:
        """Queue bytes as they are."""
        self._out.append(data)

    def ping(self, payload: bytes) -> None:
        """Send a protocol ping at once."""
        self.send_raw(encode(payload, PING))
        self.flush()

    def pong(self, payload: bytes) -> None:
        """Answer a protocol ping at once."""
        self.send_raw(encode(payload, PONG))
        self.flush()

    def flush(self) -> None:
        """One write for all that is queued."""
        if not self._out:
            return
        data = b"".join(self._out)
        self._out.clear()
        if self.open and not self.frozen:
            self._transport.write(data)
            if self.unread > MAX_UNREAD:
                log.warning("line %s reads too slowly: cut off", self.number)
                self.abort()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """A close frame, then the end of the connection."""
        self.send_raw(closing(code, reason))
        self.end()

    def end(self) -> None:
        """Write what is queued, then end the connection without a word."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """The connection is gone, whatever was queued."""
        self._out.clear()
        self._transport.abort()

    def listen(self, *, hears: bool) -> None:
        """Stop or go on reading what the client sends."""
        if self.open:
            (self._transport.resume_reading if hears else self._transport.pause_reading)()

    def too_often(self, now_s: float, most: int, window_s: float) -> bool:
        """Count one client message; whether there were more than `most` in the window."""
        self._asked.append(now_s)
        while self._asked[0] < now_s - window_s:
            self._asked.popleft()
        return len(self._asked) > most
