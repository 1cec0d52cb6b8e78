"""The continuous audit: looks at the ledger and the store, asks again for what is missing, says what is proven."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from msgspec.structs import replace

from bridge.errors import BrokerLost, StoreError
from bridge.settings import Settings
from bridge.topics import Topics
from dashboard.audit.asking import Asking, BridgeAway, BridgeRefuses, Told, asking
from dashboard.audit.claims import SLACK_NS, Keeps
from dashboard.audit.ranges import Pair, common, joined, size
from dashboard.audit.repairs import MOST_LOST, MOST_TRIES, Counts, Hole
from dashboard.audit.trail import Track, Trail
from dashboard.audit.values import RunTold, range_told
from dashboard.broker import backoff_s
from dashboard.history.base import END_OF_TIME_NS, MINUTE_NS, History, Sequence, Span

CLIENT = "audit"
MOST_N = 2**63 - 1
EVERYWHERE = Span(1, 0)
MOST_LOOKS = 50
"""Topics whose rows are looked at in one round; the rest waits for the next."""
MOST_HOLES = 5_000
MOST_RUNS = 20
"""Runs that began and ended while nobody looked."""
MOST_REQUESTS = 100
"""Resends and reports of one round."""
SHARE = 50
"""What a round took of the store's time is followed by a pause so many times as long."""
LONGEST_PAUSE_S = 30.0
"""The bridge can send again what is 90 s old: a hole must be found and asked for before that."""
CRAMPED_SHARE = 4
"""Where the bridge's log is too full for that, a pause is at most this part of what it holds."""
SHORTEST_PAUSE_S = 0.2
START_AGAIN_S = 1.0
"""The page is there before the bridge: it is asked again so soon until it has answered once."""
LATE_S = 60.0
"""A proof that lies so much further back than usual is told to be late."""
LOST_AGAIN_S = 60.0
NOT_REPAIRED = "the audit found it missing in the store, and the bridge holds it no more"
log = logging.getLogger(__name__)


class Keeper:
    """`run` until cancelled; `proof` tells what is proven by now. One for each store that is read."""

    def __init__(self, settings: Settings, history: History, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._settings = settings
        self._keep = settings.audit
        self._history = history
        self._now_ns = now_ns
        self._prefix = Topics(settings.prefix).prefix
        self._reach_ns = int(self._keep.reach_s * 1e9)
        self._trail = self._new_trail()
        self._holes: list[Hole] = []
        self._lost: list[Hole] = []
        self._unlooked = False
        self._run: int | None = None
        self._version: int | None = None
        self._looked_for_lost_s = 0.0
        self._unproven: list[dict[str, int]] = []
        self._since_ns = now_ns()
        self._checked_ns: int | None = None
        self._cost_s = 0.0
        self._cramped_s: float | None = None
        self._warned = False
        self._state, self._reason = "starting", "nothing was audited yet"
        self.counts = Counts()

    def _new_trail(self) -> Trail:
        return Trail(int(self._keep.settle_s * 1e9), self._reach_ns)

    async def run(self) -> None:
        """One connection after the other, one round after the other."""
        tries = 0
        while True:
            try:
                async with asking(self._settings, CLIENT) as bridge:
                    while True:
                        await asyncio.sleep(await self.round(bridge))
                        tries = 0
            except BrokerLost as error:
                self._say("waiting", f"the broker is away: {error}")
            await asyncio.sleep(self._keep.every_s + backoff_s(tries))
            tries += 1

    async def round(self, bridge: Asking) -> float:
        """One look; how long to wait for the next."""
        try:
            await self.look(bridge)
            return self._pause_s()
        except (BridgeAway, BridgeRefuses) as error:
            self.counts.unreadable += "cannot be read" in str(error)
            self._version = None
            self._say("waiting", str(error))
        except StoreError as error:
            self._say("late", f"the store is away: {error}")
        return self._keep.every_s if self._checked_ns is not None else min(START_AGAIN_S, self._keep.every_s)

    def _pause_s(self) -> float:
        """The bridge's log does not reach back for long: what is missing is asked for before anything else."""
        if self._unlooked or any(hole.asked_ns is None for hole in self._holes):
            return SHORTEST_PAUSE_S
        if self._holes:
            return self._keep.every_s
        return quiet_pause_s(self._keep.every_s, self._cost_s, self._cramped_s)

    # --- one look -----------------------------------------------------------------------------------
    async def look(self, bridge: Asking) -> None:
        """Ledger, store, repair. Raises BridgeAway, BridgeRefuses, BrokerLost or StoreError: the next look goes on."""
        keeps = Keeps(await self._history.holds(), await self._history.heard_since())
        await self._read_ledger(bridge, keeps)
        began_s = time.monotonic()
        for (kind, run), from_ns in self._trail.open_runs().items():
            counted = await self._history.numbered(kind, run, Span(1, from_ns))
            self.counts.proven += self._trail.compare(counted)
        for (kind, fill), (first_ns, last_ns) in self._trail.due_fills(self._now_ns()).items():
            counted = await self._history.fill_numbered(kind, fill, Span(1, first_ns, last_ns + 1))
            self.counts.proven += self._trail.compare(counted)
        await self._look_at_rows()
        self._cost_s = time.monotonic() - began_s
        await self._repair(bridge)
        await self._look_for_lost(bridge)
        self._checked_ns = self._now_ns()
        self._judge()

    async def _read_ledger(self, bridge: Asking, keeps: Keeps) -> None:
        """What has changed since the last look; all of it, where another process or run answers."""
        if self._trail.meets(keeps):
            self._version = None
        told = await bridge.ledger(self._version)
        if told.run != self._run or (self._version is not None and told.version < self._version):
            told = await self._next_run(bridge, told, keeps)
        self._version, self._cramped_s = told.version, told.cramped_s
        self._trail.note(told.rows, told.at_ns, keeps)

    async def _next_run(self, bridge: Asking, told: Told, keeps: Keeps) -> Told:
        """Other runs have begun: what the old ones told at their end is in the ledger, unless the bridge was killed."""
        before, first = self._run, self._version is None
        if not first:
            told = await bridge.ledger()
        if before is None:
            if not first:  # until this run began there was no right clock
                self._trail = self._new_trail()
            told = await self._with_earlier(bridge, told)
        elif before != told.run:
            runs = {run.run: run for run in told.runs if run.run > before and run.run != told.run}
            for run in (before, *sorted(runs)[-MOST_RUNS:]):
                self._trail.note(await bridge.run(run), told.at_ns, keeps)
            self._note_killed([run for run in told.runs if run.run == before or run.run in runs])
        self._run = told.run
        return told

    async def _with_earlier(self, bridge: Asking, told: Told) -> Told:
        """A power cut ends bridge and store alike: what it took is of a run before the first that we meet."""
        since_ns = told.at_ns - self._reach_ns
        recent = [run for run in told.runs if run.run != told.run and max(run.known_ns, run.ended_ns or 0) >= since_ns]
        recent = sorted(recent, key=attrgetter("run"))[-MOST_RUNS:]
        rows = [row for run in recent for row in await bridge.run(run.run)]
        self._note_killed(recent)
        return replace(told, rows=[*rows, *told.rows])

    def _note_killed(self, runs: Iterable[RunTold]) -> None:
        for run in runs:
            if run.ended_ns is None:
                self._unproven = [*self._unproven[-9:], {"run": run.run, "after_ns": run.known_ns}]
                log.warning("audit: the bridge was killed: what run %d published at its very end is unproven", run.run)

    async def _look_at_rows(self) -> None:
        """Counts do not prove it: which numbers are there?"""
        for track in self._trail.unclear():
            self._trail.seen(track, await self._behind(track))
        suspects = self._trail.suspects(self._now_ns())
        self._unlooked = len(suspects) > MOST_LOOKS and len(self._holes) < MOST_HOLES
        for track, due in suspects[:MOST_LOOKS]:
            if len(self._holes) >= MOST_HOLES:
                return
            if track.proven is None:
                await self._find_beginning(track)
            proven = track.proven or 0
            from_ns, to_ns = track.between((proven + 1, due))
            holes = self._trail.settle(track, await self._behind(track), due)
            if holes and self._trail.is_overwritten(track):
                continue
            self.counts.proven += due - proven - size(holes)
            if holes:
                self._holes.append(Hole(track.sequence, joined(holes), from_ns, to_ns))

    async def _behind(self, track: Track) -> list[Pair]:
        """Which numbers behind the proven ones are there."""
        mark = track.first_open() or track.marks[-1]
        span = _around(track.sequence, mark.before_ns, END_OF_TIME_NS)
        return await self._history.numbers(track.sequence, (track.proven or 0) + 1, MOST_N, span)

    async def _find_beginning(self, track: Track) -> None:
        """Where the store's rows of the last minutes begin."""
        run, from_ns = track.sequence.run, max(track.marks[0].before_ns, track.young_ns)
        assert run is not None
        track.begin(*await self._history.edges(track.sequence.topic, run, Span(1, from_ns, from_ns)))

    # --- repair -------------------------------------------------------------------------------------
    async def _repair(self, bridge: Asking) -> None:
        requests = MOST_REQUESTS
        for hole in list(self._holes):
            await self._look_again(hole)
            if hole.pairs and requests > 0:
                try:
                    requests -= await self._ask_again(bridge, hole)
                except BridgeRefuses as error:
                    self._write_off(hole, error)
            if not hole.pairs:
                self._holes.remove(hole)

    async def _look_again(self, hole: Hole) -> None:
        came = hole.back(await self._there(hole, _around(hole.sequence, hole.from_ns, hole.to_ns)))
        if hole.asked_ns is None:
            self.counts.came_late += came
        else:
            self.counts.repaired += came
        if came:
            log.info("audit: %d messages of %s are there now", came, hole.sequence.topic)

    async def _there(self, hole: Hole, span: Span) -> list[Pair]:
        return await self._history.numbers(hole.sequence, hole.pairs[0][0], hole.pairs[-1][1], span)

    async def _ask_again(self, bridge: Asking, hole: Hole) -> int:
        """Once at a time, and only while the store goes on; how many requests that took."""
        if hole.asked_ns is not None and not self._trail.has_passed(hole.kind, hole.asked_ns, self._now_ns()):
            return 0
        if hole.tries >= MOST_TRIES:
            return await self._give_up(bridge, hole)
        found = later = 0
        pairs = hole.pairs[:MOST_REQUESTS]
        for pair in pairs:
            sent = await bridge.resend(range_told(self._prefix, hole.sequence, pair))
            found, later = found + sent.found, later + sent.later
        self.counts.resends += len(pairs)
        if not found:
            return len(pairs) + await self._give_up(bridge, hole)
        log.info("audit: %d messages of %s are missing: asked for again", hole.count, hole.sequence.topic)
        hole.asked_ns = self._trail.at_ns
        hole.tries += not later
        return len(pairs)

    async def _give_up(self, bridge: Asking, hole: Hole) -> int:
        """Beyond repair, wherever in time it is looked for: a gap, unless the bridge knows it as lost already."""
        self.counts.came_late += hole.back(await self._there(hole, EVERYWHERE))
        pairs = hole.pairs[:MOST_REQUESTS]
        times = {"from_ns": hole.from_ns, "to_ns": max(hole.from_ns, hole.to_ns), "reason": NOT_REPAIRED}
        for pair in pairs:
            entered = await bridge.lost(range_told(self._prefix, hole.sequence, pair) | times)
            hole.pairs = hole.pairs[1:]
            if entered.known:
                self.counts.declared += size([pair])
            else:
                self.counts.lost += size([pair])
                what = hole.sequence.topic, *pair, entered.gap
                log.error("audit: lost for good: %s, numbers %d to %d: gap %s", *what)
        if pairs:
            self._lost = [*self._lost, Hole(hole.sequence, pairs, hole.from_ns, hole.to_ns)][-MOST_LOST:]
        return len(pairs)

    def _write_off(self, hole: Hole, error: BridgeRefuses) -> None:
        """The bridge does not know these messages: no gap can tell of them, so the log does."""
        log.error("audit: lost for good: %d messages of %s, and no gap: %s", hole.count, hole.sequence.topic, error)
        self.counts.lost += hole.count
        hole.pairs = []

    async def _look_for_lost(self, bridge: Asking) -> None:
        """What came after all is told, so that its gap shrinks."""
        if not self._lost or time.monotonic() < self._looked_for_lost_s + LOST_AGAIN_S:
            return
        self._looked_for_lost_s = time.monotonic()
        for hole in self._lost[-MOST_LOOKS:]:
            there = common(hole.pairs, await self._there(hole, _around(hole.sequence, hole.from_ns, hole.to_ns)))
            if came := hole.back(there):
                self.counts.returned += came
                for pair in there:
                    await bridge.found(range_told(self._prefix, hole.sequence, pair))
        self._lost = [hole for hole in self._lost if hole.pairs]

    # --- what is told -------------------------------------------------------------------------------
    def complete_until_ns(self) -> int:
        """Everything published before this time is in the store, or told lost."""
        return min([self._trail.complete_until_ns(), *(hole.from_ns for hole in self._holes)])

    @property
    def state(self) -> str:
        """`starting`, `waiting`, `late`, `repairing` or `complete`."""
        return self._state

    def proof(self) -> dict[str, Any]:
        """For health and the page."""
        counts = self.counts
        told: dict[str, Any] = {
            "state": self._state,
            "reason": self._reason,
            # before the first rows are found nothing is proven, however far back is looked
            "complete_until_ns": None if self._state == "starting" else self.complete_until_ns() or None,
            "run": self._run,
            "missing": sum(hole.count for hole in self._holes),
            "proven": counts.proven,
            "repaired": counts.repaired,
            "came_late": counts.came_late,
            "lost": counts.lost,
            "declared": counts.declared,
            "returned": counts.returned,
            "resends": counts.resends,
            "unreadable": counts.unreadable,
            "unproven": self._unproven,
            "since_ns": self._since_ns,
            "checked_ns": self._checked_ns,
            "round_ms": round(self._cost_s * 1000, 1),
        }
        return {name: value for name, value in told.items() if value not in (None, "", [])}

    def ranges(self) -> dict[str, Any]:
        """The proof, with every range that is missing or lost."""
        told = {"missing_ranges": self._holes, "lost_ranges": self._lost}
        return self.proof() | {name: list(map(self._range, holes)) for name, holes in told.items()}

    def _range(self, hole: Hole) -> dict[str, Any]:
        told = range_told(self._prefix, hole.sequence, (hole.pairs[0][0], hole.pairs[-1][1]))
        return {**told, "count": hole.count, "from_ns": hole.from_ns, "to_ns": hole.to_ns, "tries": hole.tries}

    def _judge(self) -> None:
        until_ns = self.complete_until_ns()
        behind_s = (self._trail.at_ns - max(until_ns, self._since_ns)) / 1e9
        if self._holes:
            self._say(
                "repairing", f"{sum(hole.count for hole in self._holes)} messages are missing and asked for again"
            )
        elif behind_s > LATE_S + self._keep.every_s + self._keep.settle_s:
            self._say("late", f"the store is {behind_s:.0f} s behind; nothing is lost by that")
        elif self._run is None:
            self._say("starting", "the bridge publishes nothing yet: it waits for the right time")
        elif until_ns < min(self._since_ns, self._trail.at_ns):
            self._say("starting", "what was published before the start is looked through")
        else:
            self._say("complete", "")

    def _say(self, state: str, reason: str) -> None:
        """A log line when it changes."""
        if state != self._state:
            if state in ("late", "waiting") and self._checked_ns is not None:  # at the start nobody is there yet
                log.warning("audit: the proof waits: %s", reason)
                self._warned = True
            elif state == "complete" and self._warned:
                log.info("audit: complete again")
                self._warned = False
        self._state, self._reason = state, reason


def quiet_pause_s(every_s: float, cost_s: float, cramped_s: float | None) -> float:
    """How long to wait while nothing is missing: a rest after a round that took long, but within what can be resent."""
    usual_s = max(every_s, min(LONGEST_PAUSE_S, cost_s * SHARE))
    return usual_s if cramped_s is None else max(SHORTEST_PAUSE_S, min(usual_s, cramped_s / CRAMPED_SHARE))


def _around(sequence: Sequence, from_ns: int, to_ns: int) -> Span:
    """Where the rows stand that were appended between two times: told ones elsewhere, fills anywhere."""
    if sequence.fill is not None:
        return EVERYWHERE
    slack_ns = max(MINUTE_NS, SLACK_NS.get(sequence.topic.partition("/")[0], 0))
    return Span(1, max(0, from_ns - slack_ns), min(END_OF_TIME_NS, to_ns + slack_ns))
