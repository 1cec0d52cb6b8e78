"""The only REST client: one queue per exchange, paced by its stated limits, urgent things first."""

import asyncio
import itertools
from enum import IntEnum
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp

from bridge.errors import FeedLost
from bridge.exchanges.base import HttpRequest, Limits
from bridge.line import refusal
from bridge.unreachable import words
from bridge.vitals import Vitals

MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_WAITING = 1000
SHARE = 0.5
"""Use at most this part of what the exchange allows: other programs of the same address need some, too."""


class Priority(IntEnum):
    """Fetches a line waits for, before fills, before backfills."""

    FETCH = 0
    FILL = 1
    BACKFILL = 2


class _Pace:
    """A token bucket in the exchange's own weight units."""

    def __init__(self, limits: Limits, now_s: float) -> None:
        self._rate = limits.rest_weight * SHARE / limits.rest_window_s
        self._most = max(limits.rest_weight * SHARE / 4, 50.0)
        self._tokens = self._most
        self._since_s = now_s

    def wait_s(self, weight: int, now_s: float) -> float:
        """Take `weight`; how long to wait before using it."""
        self._tokens = min(self._most, self._tokens + (now_s - self._since_s) * self._rate)
        self._since_s = now_s
        self._tokens -= weight
        return max(0.0, -self._tokens / self._rate)

    def pause(self, seconds: float) -> None:
        self._tokens = min(self._tokens, -seconds * self._rate)


class Moves(NamedTuple):
    """Where it promises to move while somebody asks, and under which name."""

    vitals: Vitals
    who: str


class _Place:
    """A place in the queue."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.given_up = False


class Rest:
    """The REST client of one exchange. Use as an async context manager."""

    def __init__(self, limits: Limits, timeout_s: float = 10.0, moves: Moves | None = None) -> None:
        self._limits = limits
        self._timeout_s = timeout_s
        self._moves = moves
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._queue: asyncio.PriorityQueue[tuple[int, int, _Place]] = asyncio.PriorityQueue(MAX_WAITING)
        self._order = itertools.count()
        self._busy = False

    async def __aenter__(self) -> Self:
        self._pace = _Pace(self._limits, asyncio.get_running_loop().time())
        self._session = aiohttp.ClientSession(timeout=self._timeout, auto_decompress=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def ask(self, request: HttpRequest, priority: Priority = Priority.FETCH) -> bytes:
        """The answer's body. Raises FeedRefused when the exchange says no, FeedLost for any other failure."""
        await self._turn(priority)
        try:
            delay = self._pace.wait_s(request.weight, asyncio.get_running_loop().time())
            if self._moves is not None:
                self._moves.vitals.promise(self._moves.who, delay + self._timeout_s)
            if delay:
                await asyncio.sleep(delay)
            return await self._send(request)
        finally:
            self._next()

    async def _turn(self, priority: Priority) -> None:
        if not self._busy:
            self._busy = True
            return
        place = _Place()
        try:
            self._queue.put_nowait((priority, next(self._order), place))
        except asyncio.QueueFull:
            raise FeedLost(f"more than {MAX_WAITING} REST requests wait") from None
        try:
            await place.ready.wait()
        except asyncio.CancelledError:
            place.given_up = True
            if place.ready.is_set():
                self._next()
            raise

    def _next(self) -> None:
        while not self._queue.empty():
            place = self._queue.get_nowait()[2]
            if not place.given_up:
                place.ready.set()
                return
        self._busy = False
        if self._moves is not None:
            self._moves.vitals.rest(self._moves.who)

    async def _send(self, request: HttpRequest) -> bytes:
        try:
            async with self._session.request(request.method, request.url, data=request.body or None) as answer:
                if answer.status != 200:
                    problem = refusal(answer.status, answer.headers.get("Retry-After"))
                    self._pace.pause(getattr(problem, "retry_after_s", None) or 0.0)
                    raise problem
                return await _body(answer.content)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise FeedLost(words(error, request.url)) from error


async def _body(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for part in content.iter_any():
        body += part
        if len(body) > MAX_ANSWER_BYTES:
            raise FeedLost(f"REST answer of more than {MAX_ANSWER_BYTES} bytes")
    return bytes(body)
