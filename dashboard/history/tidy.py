"""Housekeeping of the file: folds what has gathered, merges small segments, prunes by age. For the writer's thread."""

import logging
from collections.abc import Callable

from bridge.errors import StoreError
from bridge.settings import History as Keep
from dashboard.history.memory import Committed, Layer
from dashboard.history.rows import KINDS
from dashboard.history.writer import Writer

FOLD_ROWS = {"prices": 100_000, "trades": 100_000, "candles": 50_000, "bars": 50_000, "gaps": 10_000, "errors": 10_000}
"""How many committed rows of a kind are held in memory at most before they are folded."""
FOLD_BYTES = 12 * 1024 * 1024
"""What all kinds may take there: the largest is folded beyond, so that memory does not grow with the pace."""
FOLD_AGE_S = 24 * 3600.0
MERGED = ("candles", "bars")
"""Kinds of which long spans are asked: their small segments are merged."""
FAN = 8
PRUNE_EVERY_S = 3600.0
DAY_NS = 86_400_000_000_000
log = logging.getLogger(__name__)


class Tidy:
    """`days` says per kind how long rows live (0: for ever); `parts` gives the bars that form now."""

    def __init__(
        self, writer: Writer, committed: Committed, parts: Callable[[], list[tuple[int, int, bytes]]], keep: Keep
    ) -> None:
        self._writer = writer
        self._committed = committed
        self._parts = parts
        self._days = days_of(keep)
        self._since: dict[str, float] = {}
        self._next_prune_s = 0.0
        self.folds = 0
        self.pruned = 0

    def run(self, now_ns: int, now_s: float) -> None:
        """Do what is due. `now_ns`: up to when rows may be pruned; `now_s`: monotonic. Raises StoreError."""
        for kind in KINDS:
            if self._due(kind, now_s):
                self._fold(kind)
        sizes = {kind: memory.bytes for kind, memory in self._committed.sizes()}
        if sum(sizes.values()) >= FOLD_BYTES:
            self._fold(max(sizes, key=sizes.__getitem__))
        if now_s >= self._next_prune_s:
            self._next_prune_s = now_s + PRUNE_EVERY_S
            self._prune(now_ns)

    def _due(self, kind: str, now_s: float) -> bool:
        memory = self._committed.kinds[kind]
        if not memory.rows:
            self._since.pop(kind, None)
            return False
        since_s = self._since.setdefault(kind, now_s)
        return memory.rows >= FOLD_ROWS[kind] or now_s - since_s >= FOLD_AGE_S

    def _fold(self, kind: str) -> None:
        """Bars that form now go along with the prices they are built of: a restart finds only the journal's."""
        beside = Layer()
        for series, minute_ns, payload in self._parts() if kind == "prices" else ():
            if series in self._writer.known:  # of any other, even the prices come again: they are not acknowledged
                beside.put("bars", series, minute_ns, payload)
        memory = self._committed.take(kind)
        try:
            self._writer.fold(kind, memory, self._committed.heard[kind], beside)
        except StoreError:
            self._committed.untake(kind)
            raise
        self._committed.absorb(beside)
        self._committed.folded(kind)
        self._since.pop(kind, None)
        self.folds += 1
        if kind in MERGED and self._writer.merge(kind, FAN):
            log.info("history: merged the segments of %s", kind)

    def _prune(self, now_ns: int) -> None:
        for kind, days in self._days.items():
            if days and (count := self._writer.prune(kind, now_ns - days * DAY_NS)):
                self.pruned += count
                log.info("history: pruned %d rows of %s older than %d days", count, kind, days)


def days_of(keep: Keep) -> dict[str, int]:
    """How long each kind lives; bars live as long as candles."""
    named = {kind: getattr(keep, f"{kind}_days") for kind in KINDS if kind != "bars"}
    return {**named, "bars": keep.candles_days}
