"""The Docker engine that tests use, by testcontainers: what it has, and one part in a container.

Whoever has no engine or cannot get an image skips, and reads what is missing; CI fails instead.
"""

import gc
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Self

import docker
from docker.errors import DockerException, ImageNotFound, NotFound
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from tests.broker import wait_until
from tests.missing import missing

COMPOSE = Path(__file__).parents[1] / "compose.yaml"
"""The only place with the images' names. TICKBRIDGE_IMAGE_TELEGRAF and so on stand in for them."""
PARTS = ("influxdb", "telegraf", "mosquitto", "python")
PULL_S = 60
"""How long a pull may say nothing."""
START_S = 60.0
STOP_S = 20
LABEL = "tickbridge.test"
"""On every container: the test process that it belongs to."""


def image(name: str) -> str:
    """The image of this part."""
    variable = f"TICKBRIDGE_IMAGE_{name.upper()}"
    found = re.search(rf"\$\{{{variable}:-([^}}]+)\}}", COMPOSE.read_text(encoding="utf-8"))
    assert found, f"compose.yaml names no ${{{variable}}}"
    return os.environ.get(variable) or found[1]


# --- what is there, and what is missing ---------------------------------------------------------------
def require(*names: str) -> None:
    """Skips or fails unless an engine answers and has, or can pull, the images of these parts."""
    for problem in (_engine_problem(), *(_image_problem(image(name)) for name in names)):
        if problem:
            missing(problem)
    testcontainers_config.ryuk_disabled = True  # its reaper is one more image, and may not be had
    _remove_left_over()


def pull_ahead() -> None:
    """Get every image now, while no test's time runs."""
    for name in PARTS:
        _image_problem(image(name))


@cache
def _engine_problem() -> str | None:
    if sys.platform != "linux":
        return "containers on the host's network: only Linux has them"
    problem = None
    try:
        with _client() as client:
            client.ping()
    except DockerException as error:
        problem = f"no Docker engine answers: {str(error)[:200]}"
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()  # a client that cannot be made leaves its socket open
    return problem


@cache
def _image_problem(name: str) -> str | None:
    if _engine_problem():
        return None
    with _client() as client:
        try:
            client.images.get(name)
        except ImageNotFound:
            try:
                client.images.pull(name)
            except (DockerException, OSError) as error:
                return f"the image {name} is not there and cannot be pulled: {str(error)[:200]}"
    return None


@cache
def _remove_left_over() -> None:
    """Containers of test processes that died before they could clean up."""
    with _client() as client:
        for one in client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True):
            if not Path("/proc", one.labels[LABEL]).exists():
                with suppress(NotFound):  # another test process was quicker
                    one.remove(force=True, v=True)


@contextmanager
def _client() -> Iterator[docker.DockerClient]:
    """The engine's client, closed at the end: an open socket would be a warning, which is an error here."""
    client = docker.from_env(timeout=PULL_S)
    try:
        yield client
    finally:
        client.close()


# --- one part -----------------------------------------------------------------------------------------
class Part:
    """A container that can be stopped, killed and started again, with what it had on its disk."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        volumes: Mapping[Path, str] | None = None,
        user: str = "",
    ) -> None:
        require(name)
        self.name = name
        self._container = DockerContainer(image(name), command=list(command), env=dict(environment or {}))
        self._container.with_kwargs(network_mode="host", labels={LABEL: str(os.getpid())}, user=user)
        for host, inside in (volumes or {}).items():
            self._container.with_volume_mapping(host, inside, "rw")
        self._made = False

    @property
    def log(self) -> str:
        """Everything it said so far, over all its lives."""
        return self._container.get_wrapped_container().logs().decode(errors="replace") if self._made else ""

    @property
    def pid(self) -> int:
        """Its process as the host sees it, for measuring."""
        inside = self._container.get_wrapped_container()
        inside.reload()
        return int(inside.attrs["State"]["Pid"])

    @property
    def running(self) -> bool:
        if not self._made:
            return False
        self._container.reload()
        return self._container.status == "running"

    def start(self) -> None:
        """Start it, and wait until it is of use."""
        if self._made:
            self._container.get_wrapped_container().start()
        else:
            self._made = True
            self._container.start()
        wait_until(self._of_use, START_S, lambda: f"{self.name} does not get ready:\n{self.log}")

    def stop(self) -> None:
        """SIGTERM: it says goodbye and saves."""
        self._container.get_wrapped_container().stop(timeout=STOP_S)

    def kill9(self) -> None:
        """Gone without a word."""
        self._container.get_wrapped_container().kill("SIGKILL")
        self._container.get_wrapped_container().wait(timeout=STOP_S)

    def remove(self) -> None:
        """The end: the container and its disk are gone."""
        self._container.stop(force=True, delete_volume=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def _of_use(self) -> bool:
        if not self.running:
            raise RuntimeError(f"{self.name} ended at once:\n{self.log}")
        return self._answers()

    def _answers(self) -> bool:
        raise NotImplementedError
