"""A network cable to a local port that can be pulled and put back: what was under way arrives then, as with TCP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CHUNK = 65_536


class Cable:
    """Connect to `port` instead of the broker's."""

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._plugged = asyncio.Event()
        self._plugged.set()
        self._pumps: set[asyncio.Task[None]] = set()

    def pull(self) -> None:
        """Nothing passes in either direction; nobody is told."""
        self._plugged.clear()

    def plug(self) -> None:
        self._plugged.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Cable"]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for pump in self._pumps:
                pump.cancel()
            await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._plugged.wait()
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        for source, target in ((reader, far_writer), (far_reader, writer)):
            pump = asyncio.create_task(self._pump(source, target))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(CHUNK):
                await self._plugged.wait()
                target.write(data)
                await target.drain()
        await self._plugged.wait()
        target.close()
