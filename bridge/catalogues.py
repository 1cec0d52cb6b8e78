"""An exchange's instruments: fetched at start, kept on disk, so that a start without REST works with the last ones."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from bridge.aside import put_aside
from bridge.errors import FeedLost, FrameError, StoreError
from bridge.events import Instrument
from bridge.exchanges.base import Catalogue, Exchange, Hosts, Refused
from bridge.rest import Rest

log = logging.getLogger(__name__)


async def load(
    kind: type[Exchange], hosts: Hosts, rest: Rest, folder: Path, damaged: Callable[[str], None] = log.error
) -> tuple[Catalogue, list[Refused], FeedLost | FrameError | None]:
    """The catalogue, what of it cannot be used, and why it is only the last one kept (None: it is today's).

    Raises FeedLost or FrameError when there is neither.
    """
    path = folder / f"{kind.name}.json"
    try:
        answer = await rest.ask(kind.catalogue_request(hosts))
        instruments, refused = _read_all(kind, answer)
    except (FeedLost, FrameError) as problem:
        kept = await asyncio.to_thread(_read, path)
        if kept is None:
            raise
        try:
            instruments, refused = _read_all(kind, kept)
        except FrameError as error:
            damaged(await asyncio.to_thread(_put_aside, path, error))
            raise problem from error
        log.warning("%s: the catalogue of %s is used, because: %s", kind.name, path, problem)
        return Catalogue(instruments), refused, problem
    await asyncio.to_thread(_keep, path, answer)
    return Catalogue(instruments), refused, None


def _read_all(kind: type[Exchange], answer: bytes) -> tuple[list[Instrument], list[Refused]]:
    instruments, refused = kind.read_catalogue(answer)
    if not instruments:
        raise FrameError("the catalogue holds no instrument")
    return instruments, refused


def _put_aside(path: Path, error: FrameError) -> str:
    """What is to be said of it."""
    try:
        kept = f"is kept as {put_aside(path).name}"
    except StoreError as problem:
        kept = str(problem)
    return f"the last catalogue, {path.name}, was damaged ({str(error)[:100]}) and {kept}: another one is asked for"


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("%s cannot be read: %s", path, error)
        return None


def _keep(path: Path, answer: bytes) -> None:
    """Replace the kept answer whole, so that a power cut leaves the old one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(answer)
        part.replace(path)
    except OSError as error:
        log.warning("%s cannot be written, a start without the exchange would have no catalogue: %s", path, error)
