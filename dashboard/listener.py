"""Accepts connections, and counts them from their first packet on: also those that never finish a TLS handshake.

Whoever connects and stays silent could otherwise take every file that may be open, also those that the store needs.
"""

import asyncio
import ipaddress
import logging
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from dashboard.door.clients import key_of

MOST_CONNECTIONS = 200
"""Websockets and handshakes included. Most systems let a process have 1,024 files open, a Mac 256."""
MOST_OF_ONE = 40
"""Of one address; this machine's own and the trusted proxies', which speak for many, may have all."""
KEPT_FREE = 20
"""Of all, so many are for this machine alone: whoever looks whether the page is well must not be kept out."""
HANDSHAKE_S = 10.0
TELL_S = 60.0
AGAIN_S = 1.0
"""So long is waited where the system gives no more connections."""
log = logging.getLogger(__name__)

Address = tuple[str, int]


class Room:
    """Whether one more may come in. `proxies`: addresses and networks that have no limit of their own."""

    def __init__(self, proxies: Sequence[str] = ()) -> None:
        self._proxies = [ipaddress.ip_network(one, strict=False) for one in proxies]

    def problem(self, host: str, held: Iterable[Address]) -> str | None:
        """Why not: what is held by whom is given."""
        counts = Counter(key_of(one) for one, _ in held)
        address = _address(host)
        most = MOST_CONNECTIONS if address.is_loopback else MOST_CONNECTIONS - KEPT_FREE
        if counts.total() >= most:
            return f"more than {most} connections"
        key = key_of(host)
        is_one = not address.is_loopback and not any(address in network for network in self._proxies)
        return f"more than {MOST_OF_ONE} connections from {key}" if is_one and counts[key] >= MOST_OF_ONE else None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(host)
    return getattr(address, "ipv4_mapped", None) or address


class Listener:
    """`held`: who is connected by now; who is still shaking hands the listener knows itself."""

    def __init__(
        self,
        listening: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext | None,
        held: Callable[[], Iterable[Address]],
        room: Room,
    ) -> None:
        self._socket, self._protocol, self._context = listening, protocol, context
        self._held, self._room = held, room
        self._arriving: dict[Address, asyncio.Task[None]] = {}
        self._refused, self._told_s = 0, -TELL_S
        listening.setblocking(False)
        self._accepting = asyncio.create_task(self._accept())

    def close(self) -> None:
        """Accept no more, and give up who is shaking hands."""
        for task in (self._accepting, *self._arriving.values()):
            task.cancel()
        self._socket.close()

    async def wait_closed(self) -> None:
        await asyncio.wait((self._accepting, *self._arriving.values()))

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                line, address = await loop.sock_accept(self._socket)
            except OSError as error:
                self._tell(error.strerror or str(error))
                await asyncio.sleep(AGAIN_S)
                continue
            self._take(line, (str(address[0]), int(address[1])))

    def _take(self, line: socket.socket, address: Address) -> None:
        problem = self._room.problem(address[0], {*self._held(), *self._arriving})
        if problem is not None:
            line.close()
            self._tell(problem)
            return
        task = self._arriving[address] = asyncio.create_task(self._arrive(line))
        task.add_done_callback(lambda _: self._arriving.pop(address, None))

    async def _arrive(self, line: socket.socket) -> None:
        """Hand it over, with TLS after its handshake; one that fails is a stranger's trouble."""
        seconds = HANDSHAKE_S if self._context is not None else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol, line, ssl=self._context, ssl_handshake_timeout=seconds
            )
        except OSError as error:
            log.debug("the page: a connection came to nothing: %s", error)

    def _tell(self, problem: str) -> None:
        self._refused += 1
        now_s = time.monotonic()
        if now_s - self._told_s >= TELL_S:
            log.warning("the page: %s: further ones are closed (%d so far)", problem, self._refused)
            self._told_s = now_s
