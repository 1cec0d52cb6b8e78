"""The embedded history with its recorder's side: what is heard goes in, what the API asks comes out.

`append` and `commit` belong to the event loop's thread; the file is written by one thread of its own and read by
another. Rows travel from a layer to committed memory to a segment, and queries look in that order (see memory.py).
"""

import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from bridge.aside import asides, put_aside
from bridge.errors import Damaged, StoreError
from bridge.settings import History as Keep
from dashboard.history.base import StoreAway
from dashboard.history.embedded import Embedded, P, T
from dashboard.history.reader import Reader
from dashboard.history.restore import remember
from dashboard.history.schema import lock_file, open_reader
from dashboard.history.tidy import Tidy
from dashboard.history.writer import Writer

log = logging.getLogger(__name__)


class SqliteHistory(Embedded):
    """One file. Opening it raises StoreError, with the cure, if it cannot be used; then it is left as it is."""

    def __init__(self, path: Path, keep: Keep) -> None:
        self.damage: Damaged | None = None
        """Why the file cannot be used any more, nor ever will; then `on_damage` is called."""
        self.on_damage: Callable[[], None] = lambda: None
        self._lock = lock_file(path)
        with ExitStack() as undo:
            undo.callback(os.close, self._lock)
            self._writer = Writer(path)
            undo.callback(self._writer.close)
            looking = open_reader(path)
            undo.callback(looking.close)
            super().__init__(path, Reader(path, looking), keep)
            remember(self._reader, self._intake, self._committed)
            self._sizes = self._writer.sizes()
            undo.pop_all()
        self._tidy = Tidy(self._writer, self._committed, self._intake.bars.parts, keep)
        self._write_thread = ThreadPoolExecutor(1, "history-writer")
        self._commits = 0
        self._aside = asides_of(path)

    async def _in(self, thread: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await super()._in(thread, work, *args, **kwargs)
        except Damaged as error:
            if self.damage is None:
                self.damage = error
                self.on_damage()
            raise

    @classmethod
    def open(cls, path: Path, keep: Keep) -> Self:
        """The history; a damaged one is put aside before, and another one begun. Raises StoreError."""
        try:
            return cls(path, keep)
        except Damaged as error:
            replace(path, error)
        return cls(path, keep)

    # --- the recorder's side ------------------------------------------------------------------------
    def append(self, topic: str, payload: bytes) -> bool:
        """Take a message (topic without prefix); False if it is a repeat. Raises FrameError if it cannot be stored."""
        return self._intake.append(topic, payload)

    @property
    def waiting_rows(self) -> int:
        """Rows that are not on disk yet."""
        return self._intake.waiting_rows

    @property
    def waiting_bytes(self) -> int:
        """What they take in memory, about."""
        return self._intake.waiting_bytes

    async def commit(self) -> None:
        """Have on disk what was appended until now. Raises StoreError: then it waits for the next commit."""
        self._intake.seal()
        if self._intake.layers:
            await self._in(self._write_thread, self._commit)

    async def tidy(self) -> None:
        """Fold, merge and prune what is due. Raises StoreError; nothing is lost then."""
        await self._in(self._write_thread, self._tidy_now)

    async def listened(self) -> None:
        """Note that the broker has our session: what was published before is none of this file's. Raises StoreError."""
        await self._in(self._write_thread, self._writer.be_born, time.time_ns())

    def _commit(self) -> None:
        layers = list(self._intake.layers)
        self._writer.commit(layers)
        for layer in layers:
            self._committed.absorb(layer)
        del self._intake.layers[: len(layers)]
        self._commits += 1

    def _tidy_now(self) -> None:
        before = self._tidy.folds + self._tidy.pruned
        # a clock that is far ahead (a Pi has none of its own) must not prune everything: no later than the newest row
        self._tidy.run(min(time.time_ns(), self._intake.newest_ns), time.monotonic())
        if self._tidy.folds + self._tidy.pruned != before:
            self._sizes = self._writer.sizes()

    # --- the rest -----------------------------------------------------------------------------------
    def status(self) -> dict[str, Any]:
        intake = self._intake
        return {
            **super().status(),
            "segments": {kind: {"rows": rows, "bytes": size} for kind, (rows, size) in self._sizes.items()},
            "waiting": intake.waiting_rows,
            "stored": intake.stored,
            "repeats": intake.repeats,
            "commits": self._commits,
            "folds": self._tidy.folds,
            "pruned": self._tidy.pruned,
            "gaps_forgotten": intake.gaps.forgotten,
            **({"put_aside": self._aside} if self._aside else {}),
        }

    def close(self) -> None:
        """Close the file, after what is being written; what was not committed stays with the broker."""
        if self._closed:
            return
        self._closed = True
        self._write_thread.shutdown(cancel_futures=True)
        self._writer.close()
        super().close()
        os.close(self._lock)


def replace(path: Path, error: Damaged) -> None:
    """Put a damaged history aside: what it held is not claimed by the next, which is born anew. Raises StoreAway."""
    try:
        aside = put_aside(path)
    except StoreError as problem:  # a read-only disk: the next start may find another one
        raise StoreAway(str(problem)) from error
    log.error("%s", error)
    log.error("the history was damaged and is kept as %s, where it takes room: another one begins", aside)


def asides_of(path: Path) -> list[dict[str, Any]]:
    """Histories that were put aside, and the room that they take."""
    named = (path.with_name(name) for name in asides(path.parent) if name.startswith(path.name))
    return [{"file": one.name, "bytes": one.stat().st_size} for one in named]
