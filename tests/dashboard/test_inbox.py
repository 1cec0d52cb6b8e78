"""What the broker sends faster than it can be taken in."""

from typing import Any

import pytest

from dashboard.broker import Inbox


async def test_a_flood_is_told_once_and_not_for_every_message(caplog: pytest.LogCaptureFixture) -> None:
    inbox = Inbox(2)
    message: Any = "a message"
    for _ in range(1000):
        inbox.put_nowait(message)
    assert (inbox.qsize(), inbox.overflown) == (2, True)
    assert len(caplog.records) == 1
