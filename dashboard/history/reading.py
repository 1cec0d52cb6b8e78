"""The embedded history beside its recorder, or without one: only looks, and sees all that is committed.

The recorder's own process keeps in memory what stands in the file's journal; here it is read from there, and what came
to it whenever the file has changed. Every question is a few short reads, so the recorder's commits hardly wait for them
(30 s at most, see schema.BUSY_S).
"""

from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from bridge.settings import History as Keep
from dashboard.history.embedded import Embedded
from dashboard.history.reader import Reader
from dashboard.history.restore import catch_up
from dashboard.history.schema import open_beside

P = ParamSpec("P")
T = TypeVar("T")


class SqliteReading(Embedded):
    """Opening raises StoreError, with the cure, if there is no history or it cannot be read."""

    def __init__(self, path: Path, keep: Keep) -> None:
        reader = Reader(path, open_beside(path))
        self._version, self._shape = reader.version(), reader.shape()
        super().__init__(path, reader, keep)

    async def _ask(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await super()._ask(self._fresh, lambda: work(*args, **kwargs))

    def _fresh(self, work: Callable[[], T]) -> T:
        version = self._reader.version()
        if version != self._version:
            self._follow()
            self._version = version
        return work()

    def _follow(self) -> None:
        """New entries of the journal are added; after a fold, which empties it, all is read anew."""
        shape = self._reader.shape()
        if shape == self._shape:
            self._last = catch_up(self._reader, self._intake, self._committed, self._last)
        else:
            self._load()
            self._shape = shape
