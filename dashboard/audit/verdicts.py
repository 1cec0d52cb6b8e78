"""Is a claim proven, and if not: what is missing, and what is only late? Pure.

A hole is lost, a tail is late: the store gets everything of one root in order, so a number that is missing at the end
of its topic is lost only when the store has something that was published later.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from dashboard.audit.claims import Claim
from dashboard.audit.ranges import Pair, common, missing, size
from dashboard.history.base import Numbered

PATIENCE = 4
"""Roots have sessions of their own: another root's rows prove a tail lost after so many settling times (60 s). That is
longer than Telegraf waits between two tries to connect (30 s), and in time for a resend (the log holds 90 s)."""


class Verdict(Struct, frozen=True):
    """What was found of one claim. `rows`: how many numbers are there. `tail`: missing at the end."""

    claim: Claim
    rows: int
    holes: list[Pair]
    tail: Pair | None = None
    greatest: int = 0

    @property
    def proven(self) -> bool:
        return not self.holes and self.tail is None


def at_once(claim: Claim, has: Numbered | None) -> Verdict | None:
    """Proven by counts alone; None: look at rows."""
    if has is None or not ((claim.from_start or claim.pruned) and claim.to_end):
        return None
    # where the store begins amid a sequence, all from its first row on
    begins = has.least == 1 or claim.pruned
    whole = begins and has.count == has.greatest - has.least + 1 and has.greatest >= claim.n
    return Verdict(claim, has.count, [], greatest=has.greatest) if whole else None


def bounds(claim: Claim, edges: tuple[int | None, int | None], there: Sequence[Pair], *, keeps_start: bool) -> Pair:
    """Which numbers the span must hold; none (1, 0) if that cannot be said.

    `edges`: the nearest rows outside; `there`: what the span holds. `keeps_start`: the store keeps the sequence's
    beginning, though the span begins later.
    """
    before, after = edges
    # told rows near the edge of what is pruned are gone in any order: only what is within says where to begin
    least: int | None = before + 1 if before is not None and not claim.pruned else None
    if claim.from_start or (least is None and keeps_start and not claim.pruned):
        least = 1
    elif least is None and there:
        least = there[0][0]
    if least is None:
        # nothing of it is there, though its last one should be
        is_due = claim.to_end and claim.last_ns >= (claim.span.from_ns or 0) and claim.sequence.fill is None
        return (claim.n, claim.n) if is_due and before is None and after is None else (1, 0)
    if not claim.to_end and after is not None:
        return least, after - 1
    return least, max(claim.n, there[-1][1] if claim.to_end and there else 0)


def judge(claim: Claim, least: int, greatest: int, there: Iterable[Pair], *, open_end: bool) -> Verdict:
    """`there`: which of the numbers are in the store. `open_end`: nothing stored lies behind them."""
    found = common(there, [(least, greatest)])
    gone = missing(found, least, greatest)
    last = found[-1][1] if found else least - 1
    tail = gone[-1] if open_end and gone and gone[-1][1] == greatest and gone[-1][0] > last else None
    holes = gone[:-1] if tail is not None else gone
    return Verdict(claim, size(found), holes, tail, last)


def watermarks(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """Per root: the store has something that was published then or later."""
    marks: dict[str, int] = {}
    for verdict in verdicts:
        claim = verdict.claim
        if claim.sequence.fill is None and claim.to_end and verdict.tail is None and verdict.greatest >= claim.n:
            marks[claim.kind] = max(marks.get(claim.kind, 0), claim.last_ns)
    return marks


def is_lost(claim: Claim, marks: Mapping[str, int], settle_ns: int) -> bool:
    """Whether a missing tail is older than what the store already has."""
    own_ns, any_ns = marks.get(claim.kind, 0), max(marks.values(), default=0)
    return own_ns >= claim.by_ns + settle_ns or any_ns >= claim.by_ns + PATIENCE * settle_ns
