"""The gaps that are known, by id: kept, found again, listed, and handed to the ledger when they change. Pure.

Holds no rules of when gaps begin, join or end: those are gaps.py's.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from msgspec import Struct, structs

from bridge.events import Symbol
from bridge.lost import Lost, LostRanges, from_told
from bridge.topics import Gap

MAX_GAPS = 10_000
"""Gaps kept in memory; beyond, the oldest that is over is forgotten here (the ledger has it) and counted."""
MERGE_NS = 60_000_000_000
"""Holes and lost messages no further apart than this make one gap."""
MERGED = frozenset({"sequence", "outbox full", "refused", "lost"})
"""Causes that come piecemeal. Two outages of a line are never one gap: between them data flowed."""
UNSETTLED = frozenset({"open", "filling"})
FILLABLE = frozenset({"trades", "candles"})
"""What an exchange tells again when it is asked."""

Key = tuple[str, str, str, tuple[Symbol, ...]]


class Kind(NamedTuple):
    """What gaps must have in common to become one. `symbols` None: all of the exchange's."""

    exchange: str
    channel: str
    cause: str
    symbols: frozenset[Symbol] | None

    @property
    def key(self) -> Key:
        """Holes are told apart by symbol; lost messages are gathered over all of them."""
        symbols = sorted(self.symbols) if self.cause == "sequence" and self.symbols else ()
        return self.exchange, self.channel, self.cause, tuple(symbols)

    def is_within(self, gap: Gap) -> bool:
        """Whether this gap says the same already."""
        if (gap.exchange, gap.channel, gap.cause) != self[:3]:
            return False
        return gap.symbols is None or (self.symbols is not None and self.symbols.issubset(gap.symbols))


class Held(Struct):
    """A gap, what is lost in it, how far it reached when it last ended, and how many outages keep it open.

    `brought`: the topics whose lost messages a fill brought again in full, and by which job.
    """

    gap: Gap
    lost: LostRanges
    until_ns: int
    holders: int = 0
    brought: dict[str, str] = {}

    @property
    def is_running(self) -> bool:
        return self.gap.to_ns is None

    def snapshot(self) -> Gap:
        """As it is now, for others."""
        told = [one.told() for one in self.lost]
        for one in told:
            if (job := self.brought.get(one["topic"])) is not None:
                one["filled"] = job
        return structs.replace(self.gap, lost=told or None)


class GapBook:
    """Every gap by its id, `<name>-<k>`: `name` must be new for every start. `known` are the ledger's."""

    def __init__(self, name: str, known: Iterable[Gap] = ()) -> None:
        self.forgotten = 0
        self._name = name
        self._count = 0
        self._gaps: dict[str, Held] = {}
        self._running: dict[str, Held] = {}
        self._newest: dict[Key, Held] = {}
        self._unsaved: dict[str, Held] = {}
        self._unfilled: dict[str, Held] = {}
        for gap in known:
            self._load(gap)

    def running(self, cause: str | None = None) -> list[Gap]:
        """The gaps that have no end yet."""
        return [held.snapshot() for held in self._running.values() if cause in (None, held.gap.cause)]

    def get(self, gap_id: str) -> Gap | None:
        """One gap, with everything that is lost in it."""
        held = self._gaps.get(gap_id)
        return None if held is None else held.snapshot()

    def select(
        self,
        exchange: str | None = None,
        state: str | None = None,
        from_ns: int | None = None,
        to_ns: int | None = None,
    ) -> Iterator[Gap]:
        """The gaps that touch [from_ns, to_ns), as they were entered. None: any."""
        for held in self._gaps.values():
            gap = held.gap
            if exchange not in (None, gap.exchange) or state not in (None, gap.state):
                continue
            if (to_ns is None or gap.from_ns < to_ns) and (from_ns is None or gap.to_ns is None or gap.to_ns > from_ns):
                yield held.snapshot()

    def open_count(self, exchange: str) -> int:
        """How many gaps of an exchange are neither filled nor given up: `gaps_open` in its health."""
        return sum(held.gap.exchange == exchange and held.gap.state in UNSETTLED for held in self._gaps.values())

    def unfilled(self, exchange: str) -> list[Gap]:
        """The gaps of an exchange that are over and that a fill may close, as they were entered."""
        return [held.snapshot() for held in self._unfilled.values() if held.gap.exchange == exchange]

    # --- for the ledger -----------------------------------------------------------------------------
    def unsaved(self) -> list[Gap]:
        """What changed since the last call."""
        changed, self._unsaved = self._unsaved, {}
        return [held.snapshot() for held in changed.values()]

    def unsave(self, gaps: Iterable[Gap]) -> None:
        """The ledger could not take these: they are handed out again."""
        for gap in gaps:
            if (held := self._gaps.get(gap.id)) is not None:
                self._unsaved[gap.id] = held

    # --- for the rules ------------------------------------------------------------------------------
    def _enter(self, kind: Kind, from_ns: int) -> Held:
        """A new gap."""
        self._count += 1
        while (gap_id := f"{self._name}-{self._count}") in self._gaps:
            self._count += 1
        symbols = None if kind.symbols is None else sorted(kind.symbols)
        gap = Gap(gap_id, kind.exchange, kind.channel, from_ns, kind.cause, "open", symbols=symbols)
        held = self._gaps[gap_id] = self._newest[kind.key] = Held(gap, LostRanges(), from_ns)
        if len(self._gaps) > MAX_GAPS:
            self._forget()
        return held

    def _covering(self, kind: Kind) -> Held | None:
        """A running gap that says the same already."""
        return next((held for held in self._running.values() if kind.is_within(held.gap)), None)

    def _recent(self, kind: Kind, from_ns: int, to_ns: int) -> Held | None:
        """A gap of the same kind that is over, and so near that both are one."""
        held = self._newest.get(kind.key) if kind.cause in MERGED else None
        if held is None or held.is_running or held.gap.state == "filled":
            return None
        if held.gap.channel in FILLABLE and held.gap.state not in UNSETTLED:
            return None  # what a fill has settled stays so: else its next fill would settle all of it
        near = from_ns <= held.until_ns + MERGE_NS and to_ns >= held.gap.from_ns - MERGE_NS
        return held if near else None

    def _unknown(self, lost: Lost) -> list[Lost]:
        """What of it stands in no gap yet."""
        pieces = [lost]
        for held in self._gaps.values():
            if held.lost.count:
                pieces = [rest for piece in pieces for rest in held.lost.missing(piece)]
        return pieces

    def _changed(self, held: Held) -> Gap:
        self._unsaved[held.gap.id] = held
        self._sort(held)
        return held.snapshot()

    def _sort(self, held: Held) -> None:
        """Whether a fill has to look at it."""
        gap = held.gap
        if gap.channel in FILLABLE and gap.state in UNSETTLED and not held.is_running and gap.id in self._gaps:
            self._unfilled[gap.id] = held
        else:
            self._unfilled.pop(gap.id, None)

    def _load(self, gap: Gap) -> None:
        brought = {one["topic"]: one["filled"] for one in gap.lost or () if "filled" in one}
        held = Held(gap, LostRanges(map(from_told, gap.lost or ())), gap.to_ns or gap.from_ns, brought=brought)
        self._gaps[gap.id] = held
        self._sort(held)
        if held.is_running:
            self._running[gap.id] = held

    def _forget(self) -> None:
        """Let the oldest go that matters least."""
        over = [held for held in self._gaps.values() if not held.is_running]
        settled = (held for held in over if held.gap.state not in UNSETTLED)
        victim = next(settled, None) or next(iter(over or self._gaps.values()))
        self._gaps.pop(victim.gap.id)
        self._running.pop(victim.gap.id, None)
        self._unfilled.pop(victim.gap.id, None)
        self._newest = {key: held for key, held in self._newest.items() if held is not victim}
        self.forgotten += 1
