"""The children together: started in order, watched, stopped in order, and their state told in children.json."""

import asyncio
import json
import logging
import signal
import time
from collections.abc import Coroutine, Iterable, Sequence
from pathlib import Path

from bridge.up.child import Child, Recipe, ending
from bridge.up.folder import write_whole
from bridge.up.lifesign import LifeSign, Sign

log = logging.getLogger(__name__)

STOP_S = 4.6
"""All children are gone within this, so that `up` itself ends within 5 s."""
RESERVE_S = 0.5
"""What is kept back for each child that is stopped later."""
READY_POLL_S = 0.05
SETTLE_S = 0.3
"""Who could not have its port, because another program answers there, is dead after so long."""


class Supervisor:
    """Children by name. `stop` is set when all of them must end; `code` is then the exit code of `up`."""

    def __init__(self, folder: Path) -> None:
        self.children: dict[str, Child] = {}
        self.stop = asyncio.Event()
        self.code = 0
        self._folder = folder
        self._state = folder / "children.json"
        self._keeping: dict[str, asyncio.Task[None]] = {}
        self._beside: list[asyncio.Task[None]] = []

    def start(self, recipe: Recipe, sign: Sign | None = None) -> Child:
        """Start a child and keep it running from now on. `sign`: what shows that one lives which does not say so."""
        sign = self._sign(recipe.name) if recipe.watched else sign
        child = self.children[recipe.name] = Child(recipe, self._tell, sign)
        self._keeping[child.name] = asyncio.create_task(self._keep(child, sign), name=f"keep {recipe.name}")
        return child

    def _sign(self, name: str) -> LifeSign | None:
        try:
            return LifeSign(self._folder, name)
        except OSError as error:
            log.warning("%s: nobody sees whether it hangs: %s", name, error)
            return None

    def also(self, work: Coroutine[None, None, None], name: str) -> None:
        """Run something beside the children for as long as they live."""
        self._beside.append(asyncio.create_task(work, name=name))

    async def drop(self, child: Child) -> None:
        """End a child, and forget it."""
        await child.stop(RESERVE_S)
        await self._keeping.pop(child.name)
        del self.children[child.name]

    async def listening(self, child: Child, host: str, ports: Sequence[int], within_s: float) -> bool:
        """Wait until the child answers on all its ports; False if it died or the time is over."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline and child.last_exit is None and not self.stop.is_set():
            if all([await answers(host, port) for port in ports]):
                await asyncio.sleep(SETTLE_S)
                return child.pid is not None and child.last_exit is None
            await asyncio.sleep(READY_POLL_S)
        return False

    async def stop_all(self, order: Iterable[str]) -> None:
        """Stop the children one after the other, all within STOP_S; a second Ctrl-C kills them at once."""
        self.stop.set()
        for task in self._beside:
            task.cancel()
        waiting = [self.children[name] for name in order if name in self.children]
        deadline = time.monotonic() + STOP_S
        for place, child in enumerate(waiting):
            later = len(waiting) - place - 1
            await child.stop(deadline - time.monotonic() - later * RESERVE_S)
        await asyncio.gather(*self._keeping.values())

    async def watch(self) -> int:
        """Wait until all must end; returns the exit code. A failure of our own is raised."""
        stopped = asyncio.create_task(self.stop.wait())
        ours = [*self._keeping.values(), *self._beside]
        try:
            await asyncio.wait([stopped, *ours], return_when=asyncio.FIRST_COMPLETED)
            for task in ours:
                if task.done():
                    task.result()
        finally:
            stopped.cancel()
        return self.code

    def kill_all(self) -> None:
        """At once, without a flush."""
        for child in self.children.values():
            child.signal(signal.SIGKILL)

    async def _keep(self, child: Child, sign: Sign | None) -> None:
        try:
            code = await child.keep()
        except OSError as error:
            log.error("%s cannot be started: %s", child.name, error)
            code = 1
        finally:
            if sign is not None:
                sign.close()
        if not child.stopping and not self.stop.is_set():
            log.error("%s ended (%s), and starting it again cannot cure that", child.name, ending(code))
            self.code = code
            self.stop.set()

    def _tell(self) -> None:
        """For the bridge's health. A disk that is full for the moment must not end the house."""
        told = {
            name: {
                "pid": child.pid,
                "restarts": child.restarts,
                "hangs": child.hangs,
                "last_exit": child.last_exit,
                "since_ns": child.since_ns,
            }
            for name, child in self.children.items()
        }
        try:
            write_whole(self._state, json.dumps(told) + "\n")
        except OSError as error:
            log.warning("%s cannot be written: %s", self._state, error.strerror)


async def answers(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True
