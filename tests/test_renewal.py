"""A subscription is renewed beside the work, and neither outlives the other."""

import asyncio
import time

import pytest

from bridge import renewal
from bridge.renewal import renewed
from bridge.vitals import Vitals


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_broker_that_does_not_answer_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "RENEW_S", 0.01)
    asked = 0

    async def subscribe() -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise OSError("no answer")

    with pytest.raises(OSError, match="no answer"):
        await renewed(forever(), subscribe, Vitals(time.monotonic_ns, 1), "who", 1)
    assert asked == 3


async def test_who_lost_the_connection_rests_and_its_error_is_raised() -> None:
    vitals = Vitals(time.monotonic_ns, 0)

    async def lost() -> None:
        await asyncio.sleep(0)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await renewed(lost(), forever, vitals, "who", 1)
    assert not vitals._due_ns


async def test_a_cancellation_that_comes_with_the_answer_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "RENEW_S", 0.01)
    asked = asyncio.Event()

    async def subscribe() -> None:
        try:
            asked.set()
            await forever()
        except asyncio.CancelledError:
            monkeypatch.setattr(renewal, "RENEW_S", 3600)  # lost, as `wait_for` does it

    task = asyncio.create_task(renewed(forever(), subscribe, Vitals(time.monotonic_ns, 1), "who", 1))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
