"""What every test may use."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import engine
from tests.broker import Broker
from tests.containers import Influx, Mosquitto, Telegraf


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first, so that nobody waits for it alone in the end.

    What has real parts is tried once more when it fails, and the summary says so (`rerun`): a machine that was busy
    with something else is no fault of ours; what fails twice is. Not so what runs alone: it has no such excuse.
    """
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    for item in items:
        real = item.get_closest_marker("real") or item.get_closest_marker("browser")
        if real and not item.get_closest_marker("alone") and not item.get_closest_marker("flaky"):
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_collection_finish(session: pytest.Session) -> None:
    """A pull may take minutes, and no test has so many."""
    modules = {item.module for item in session.items if isinstance(item, pytest.Function)}
    known = {getattr(value, "__module__", None) for module in modules for value in vars(module).values()}
    if known & {"tests.containers", "tests.compose"}:
        engine.pull_ahead()


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


@pytest.fixture(scope="module")
def influx() -> Iterator[Influx]:
    """A running InfluxDB 2 with `.url`, `.org` and an all-access `.token`, shared by a file's tests."""
    with Influx() as one:
        yield one


@pytest.fixture
def fresh_influx() -> Iterator[Influx]:
    """The same for one test, and nobody has set it up yet."""
    with Influx(fresh=True) as one:
        yield one


@pytest.fixture
def telegraf() -> Iterator[Callable[..., Telegraf]]:
    """Starts the project's own telegraf.conf with these environment variables, as often as a test likes."""
    with ExitStack() as stack:
        yield lambda *arguments, **more: stack.enter_context(Telegraf(*arguments, **more))


@pytest.fixture
def mosquitto_container(tmp_path: Path) -> Iterator[Mosquitto]:
    """Mosquitto of the image that compose uses, with our users and our access list."""
    with Mosquitto(tmp_path / "mosquitto", with_users=True) as one:
        yield one
