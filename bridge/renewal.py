"""A subscription asked for anew in time: the broker's answer proves the way, and what it forgot it has again."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from bridge.vitals import Vitals

RENEW_S = 60.0
RETAINED_IF_NEW = 1
"""MQTT 5's retain handling: retained messages come only where there was no such subscription."""


async def renewed(
    work: Coroutine[Any, Any, None],
    subscribe: Callable[[], Awaitable[object]],
    vitals: Vitals,
    who: str,
    answer_s: float,
) -> None:
    """Do `work`, and beside it `subscribe` in time, until one ends; raises what it raised.

    `answer_s`: how long the broker may take. `who` has no subscription afterwards and may rest.
    """
    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(_renew(subscribe, vitals, who, answer_s))]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        vitals.rest(who)


async def _renew(subscribe: Callable[[], Awaitable[object]], vitals: Vitals, who: str, answer_s: float) -> None:
    task = asyncio.current_task()
    while task is None or not task.cancelling():  # before Python 3.12 `wait_for` loses a cancellation now and then
        vitals.promise(who, RENEW_S)
        await asyncio.sleep(RENEW_S)
        vitals.promise(who, answer_s)
        await subscribe()
