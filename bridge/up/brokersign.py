"""Mosquitto's sign of life: it tells nobody how it is, so it is asked by MQTT's own ping."""

import asyncio
import secrets
import time
from collections.abc import Mapping

import mqtt5

from bridge.up.lifesign import LOOK_S, Expected

ANSWER_S = 2.0
SILENT_S = 120.0
"""Longer than Mosquitto ever needs to save what waits for an absent store to a slow card."""
MOST_BYTES = 4096


class BrokerSign:
    """One connection of the guest's, which subscribes to nothing. Made anew when it breaks."""

    environment: Mapping[str, str] = {}

    def __init__(self, host: str, port: int, user: str, password: str) -> None:
        self._place = host, port
        self._user, self._password = user, password
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def lost(self) -> float:
        """Waits until the broker that starts now has not answered for too long; returns for how many seconds."""
        expected = Expected(time.monotonic(), SILENT_S)
        while True:
            await asyncio.sleep(LOOK_S)
            answered = await self._answers()
            now_s = time.monotonic()
            if answered:
                expected.heard(now_s)
            if (silent_s := expected.silent_s(now_s)) is not None:
                return silent_s

    def close(self) -> None:
        """Nobody is asked any more."""
        if self._line is not None:
            self._line[1].close()
            self._line = None

    async def _answers(self) -> bool:
        """Any answer will do: a refusal too, and a line that it cuts, as who has too many clients does."""
        told, lives = b"", True
        try:
            async with asyncio.timeout(ANSWER_S):
                told = await self._ask()
        except ConnectionResetError:
            pass  # cut before it was read
        except (OSError, TimeoutError):
            lives = False
        if not told:
            self.close()
        return lives

    async def _ask(self) -> bytes:
        if self._line is None:
            self._line = await asyncio.open_connection(*self._place)
            name, password = f"tickbridge-up-{secrets.token_hex(4)}", self._password.encode()
            asked = mqtt5.ConnectPacket(name, username=self._user, password=password, clean_start=True).write()
        else:
            asked = mqtt5.PingReqPacket().write()
        reader, writer = self._line
        writer.write(asked)
        return await reader.read(MOST_BYTES)
