"""What is missing, told apart: declared by a gap, filled, overwritten by a later fill, or unexplained. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import structs

from dashboard.audit.claims import Claim
from dashboard.audit.ranges import Pair, common, without
from dashboard.audit.values import Finding, GapTold, LostTold
from dashboard.history.base import Sequence as Numbers

Declared = Mapping[Numbers, Sequence[tuple[LostTold, GapTold]]]


def declarations(gaps: Iterable[GapTold], prefix: str) -> Declared:
    """Every range that a gap declares lost, by sequence."""
    found: dict[Numbers, list[tuple[LostTold, GapTold]]] = defaultdict(list)
    for gap in gaps:
        for lost in gap.lost or ():
            one = lost.sequence
            found[Numbers(one.topic.removeprefix(prefix), one.run, one.fill)].append((lost, gap))
    return found


def explain(sequence: Numbers, holes: Sequence[Pair], declared: Declared) -> Iterator[Finding]:
    """Findings for missing ranges of one sequence: what gaps declare first, then the rest as `missing`."""
    rest = list(holes)
    for lost, gap in declared.get(sequence, ()):
        for first, last in common(rest, [lost.pair]):
            fate = "filled" if lost.filled is not None or gap.state == "filled" else "declared"
            found = Finding(sequence.topic, first, last, fate, sequence.run, sequence.fill, gap.id, lost.filled)
            yield structs.replace(found, cause=_cause(gap), from_ns=gap.from_ns, to_ns=gap.to_ns)
        rest = without(rest, [lost.pair])
    for first, last in rest:
        yield Finding(sequence.topic, first, last, "missing", sequence.run, sequence.fill)


def overwritten(claim: Claim, missing_count: int, others: Iterable[Claim]) -> str | None:
    """A later fill that told the same rows anew: one row keeps one fill's number, so the older number is gone.

    Returns that fill's id.
    """
    if claim.sequence.fill is None:
        return None
    for other in others:
        same = other.sequence.topic == claim.sequence.topic and other.sequence.fill not in (None, claim.sequence.fill)
        touches = other.first_ns <= claim.last_ns and other.last_ns >= claim.first_ns
        if same and touches and other.n >= missing_count:
            return other.sequence.fill
    return None


def likely_cause(finding: Finding, findings: Sequence[Finding]) -> str:
    """The best guess about a range that no gap declares."""
    if finding.from_n == 1:
        return "published before the store listened, or while its session was not saved"
    topics = {one.topic for one in findings if one.fate == finding.fate and _near(one, finding)}
    if len(topics) > 1:
        return f"a stretch of {len(topics)} topics at once: the broker or the store lost what waited"
    return "this topic alone: refused by the store, or removed from it"


def _near(one: Finding, other: Finding) -> bool:
    if None in (one.from_ns, one.to_ns, other.from_ns, other.to_ns):
        return False
    return (one.from_ns or 0) <= (other.to_ns or 0) and (one.to_ns or 0) >= (other.from_ns or 0)


def _cause(gap: GapTold) -> str:
    return gap.cause if gap.reason is None else f"{gap.cause}: {gap.reason}"
