"""Puts the bridge together and runs it: exchanges, publisher, ledger, requests, clock; every task supervised."""

import asyncio
import logging
import signal
from collections.abc import Callable

import uvloop

from bridge.bridge import Bridge
from bridge.errors import TickbridgeError
from bridge.settings import Settings
from bridge.watchdog import Watchdog

log = logging.getLogger(__name__)

OK, DIED = 0, 3


def run(settings: Settings, reload: Callable[[], Settings] | None = None) -> int:
    """Run the bridge until SIGINT or SIGTERM; the exit code. SIGHUP: read the settings' symbols anew by `reload`.

    Raises StoreError when the ledger cannot be used.
    """
    return uvloop.run(_main(settings, reload))


async def _main(settings: Settings, reload: Callable[[], Settings] | None) -> int:
    bridge = await Bridge.open(settings)
    with Watchdog(bridge.vitals) as watchdog:
        return await _live(bridge, watchdog, reload)


async def _live(bridge: Bridge, watchdog: Watchdog, reload: Callable[[], Settings] | None) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    if reload is not None:
        loop.add_signal_handler(signal.SIGHUP, _reload, bridge, reload, watchdog)
    tasks = [loop.create_task(work, name=name) for name, work in bridge.tasks().items()]
    waiting = loop.create_task(stop.wait())
    try:
        await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        return _verdict(tasks)
    finally:
        watchdog.stopping()
        waiting.cancel()
        await bridge.close(tasks)


def _verdict(tasks: list[asyncio.Task[None]]) -> int:
    """OK when we were told to stop; else say which task ended that should not have."""
    ended = [task for task in tasks if task.done()]
    for task in ended:
        error = None if task.cancelled() else task.exception()
        log.critical("%s ended: %s", task.get_name(), error or "without an error", exc_info=error)
    return DIED if ended else OK


def _reload(bridge: Bridge, reload: Callable[[], Settings], watchdog: Watchdog) -> None:
    watchdog.reloading()
    try:
        bridge.change(reload())
    except TickbridgeError as error:
        log.error("the settings were not read anew: %s", error)
    finally:
        watchdog.reloaded()
