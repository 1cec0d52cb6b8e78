"""One websocket connection: frames come in by a plain call, as soon as they leave the socket.

The websocket library stands behind these few lines. It is picows, because at a Pi's pace the wake-up costs more
than the work (benchmarks/receive.py tells how much).
"""

import asyncio
import ssl
from collections.abc import Callable

import picows
from picows import WSFrame, WSListener, WSMsgType, WSTransport

from bridge.errors import FeedLost, FeedRefused
from bridge.unreachable import words

REFUSALS = {401: "unauthorized", 403: "forbidden", 418: "banned", 429: "too many requests", 451: "not served here"}
"""HTTP answers by which an exchange says that it does not want us, rather than that it is broken."""


RETRY_AFTER_MOST_S = 3600.0
"""Longer than this no answer may silence a feed."""


class Line(WSListener):
    """An open line. `on_frame` gets each whole message, text or binary, `on_pong` each answer to our ping."""

    def __init__(self, on_frame: Callable[[bytes], None], on_pong: Callable[[], None], max_bytes: int) -> None:
        self._on_frame = on_frame
        self._on_pong = on_pong
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._transport: WSTransport | None = None
        self.gone = asyncio.Event()
        self.reason = "the connection was closed without a word"
        self.failure: BaseException | None = None

    # --- called by picows ---------------------------------------------------------------------------
    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        if self.gone.is_set():  # given up while it was dialled
            transport.disconnect(graceful=False)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        try:
            kind = frame.msg_type
            if kind is WSMsgType.TEXT or kind is WSMsgType.BINARY:
                if frame.fin:
                    self._on_frame(frame.get_payload_as_bytes())
                else:
                    self._parts = [frame.get_payload_as_bytes()]
            elif kind is WSMsgType.CONTINUATION:
                self._continued(frame)
            elif kind is WSMsgType.PONG:
                self._on_pong()
            elif kind is WSMsgType.CLOSE:
                self._closed_by_peer(transport, frame)
        except Exception as error:
            self.failure = error
            self.abort("our own failure")

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.gone.set()

    # --- called by the session ----------------------------------------------------------------------
    def send(self, text: str) -> None:
        """Send one text message; a line that is gone swallows it, its session knows by `gone`."""
        if self._transport is not None and not self.gone.is_set():
            self._transport.send(WSMsgType.TEXT, text.encode())

    def ping(self) -> None:
        """Send a websocket ping frame."""
        if self._transport is not None and not self.gone.is_set():
            self._transport.send_ping()

    def abort(self, reason: str) -> None:
        """Cut the line at once; what waits in the socket's buffer is not read."""
        self.reason = reason
        if self._transport is not None:
            self._transport.disconnect(graceful=False)
        self._on_frame = _ignored
        self.gone.set()

    async def close(self, timeout_s: float) -> None:
        """Say goodbye and close, within the time limit."""
        self._on_frame = _ignored
        if self._transport is None or self.gone.is_set():
            return
        self._transport.send_close(picows.WSCloseCode.OK)
        self._transport.disconnect()
        try:
            async with asyncio.timeout(timeout_s):
                await self.gone.wait()
        except TimeoutError:
            self._transport.disconnect(graceful=False)

    def _continued(self, frame: WSFrame) -> None:
        self._parts.append(frame.get_payload_as_bytes())
        if sum(map(len, self._parts)) > self._max_bytes:
            self.abort(f"a message of more than {self._max_bytes} bytes")
        elif frame.fin:
            parts, self._parts = self._parts, []
            self._on_frame(b"".join(parts))

    def _closed_by_peer(self, transport: WSTransport, frame: WSFrame) -> None:
        code, reason = frame.get_close_code(), frame.get_close_message()
        told = (reason or b"").decode("utf-8", "replace")[:200]
        self.reason = f"closed by the exchange: {getattr(code, 'value', code)} {told}".rstrip()
        transport.send_close(code, reason)
        transport.disconnect()


async def open_line(url: str, line: Line, timeout_s: float, max_bytes: int) -> None:
    """Connect `line` to `url`. Raises FeedRefused for an HTTP refusal, FeedLost for everything else."""
    context = ssl.create_default_context() if url.startswith("wss:") else None
    try:
        async with asyncio.timeout(timeout_s):
            await picows.ws_connect(
                lambda: line, url, ssl_context=context, websocket_handshake_timeout=timeout_s, max_frame_size=max_bytes
            )
    except TimeoutError:
        raise FeedLost(f"no connection within {timeout_s:.0f} s") from None
    except picows.WSInvalidStatusError as error:
        raise _status_error(error) from error
    except (OSError, picows.WSError, ValueError) as error:  # ValueError: an address that is none
        raise FeedLost(words(error, url)) from error


def refusal(status: int, retry_after: str | None = None) -> FeedLost:
    """What an HTTP status of an exchange means for its feed. `retry_after` is the header's value, in seconds."""
    told = retry_after is not None and retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 10
    wait_s = min(float(retry_after or 0), RETRY_AFTER_MOST_S) if told else None
    if status in REFUSALS:
        return FeedRefused(f"HTTP {status}: {REFUSALS[status]}", retry_after_s=wait_s)
    return FeedLost(f"HTTP {status}")


def _status_error(error: picows.WSInvalidStatusError) -> FeedLost:
    response = error.response
    if response is None:
        return FeedLost(f"no connection: {error}"[:300])
    return refusal(int(response.status), response.headers.get("Retry-After"))


def _ignored(frame: bytes) -> None:
    """What arrives on a line that was given up must not be stamped as new."""
