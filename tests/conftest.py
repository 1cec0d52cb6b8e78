"""What every test may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker import Broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A running private Mosquitto that anybody may use; its ports and persistence live as long as the test."""
    with Broker(tmp_path / "mosquitto") as one:
        yield one


@pytest.fixture
def guarded_broker(tmp_path: Path) -> Iterator[Broker]:
    """The same with our users and our access list."""
    with Broker(tmp_path / "mosquitto", with_users=True) as one:
        yield one
