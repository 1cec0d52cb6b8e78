"""What the audit reads and what it finds. Pure. Times are wall clock ns; topics are without the prefix."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from bridge.topics import MAX_TOPIC_BYTES, Topics
from dashboard.history.base import END_OF_TIME_NS, Sequence

Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Name = Annotated[str, Meta(max_length=200)]
Mark = int | str
"""A run, or a fill's id."""
_NAMES = Topics()


class Published(Struct, frozen=True):
    """One topic of a run, or of a fill (then `n` is `fill_n`), as the ledger tells it.

    `n` was appended last, with `acknowledged` and all before it are done: with the broker, or told lost in a gap.
    """

    topic: Annotated[str, Meta(min_length=1, max_length=MAX_TOPIC_BYTES)]
    n: Number
    acknowledged: Number
    first_ns: Number
    last_ns: Number
    run: Number | None = None
    fill: Name | None = None

    @property
    def sequence(self) -> Sequence:
        return Sequence(self.topic, self.run) if self.fill is None else Sequence(self.topic, fill=self.fill)


class RunTold(Struct, frozen=True):
    """One run. `known_ns`: until then all it published was with the broker. `ended_ns` None: killed, or living."""

    run: Number
    started_ns: Number
    known_ns: Number = 0
    ended_ns: Number | None = None
    how: Name | None = None


class LostTold(Struct, frozen=True):
    """Messages that a gap declares lost. `filled`: the job that brought their content again."""

    topic: str
    run: Number | None = None
    from_n: Number = 0
    to_n: Number = 0
    fill: str | None = None
    from_fill_n: Number = 0
    to_fill_n: Number = 0
    filled: str | None = None

    @property
    def sequence(self) -> Sequence:
        return Sequence(self.topic, self.run) if self.fill is None else Sequence(self.topic, fill=self.fill)

    @property
    def pair(self) -> tuple[int, int]:
        return (self.from_n, self.to_n) if self.fill is None else (self.from_fill_n, self.to_fill_n)


class GapTold(Struct, frozen=True):
    """A gap, as far as the audit reads it."""

    id: str
    exchange: str
    channel: str
    from_ns: Number
    cause: str
    state: str
    to_ns: Number | None = None
    reason: str | None = None
    lost: list[LostTold] | None = None
    lost_count: Number | None = None


class Book(Struct):
    """All that a ledger says. `living`: the run that is being written; `at_ns`: when it was told, if it lives."""

    source: str
    rows: list[Published]
    runs: list[RunTold]
    gaps: list[GapTold] = []
    living: int | None = None
    at_ns: int | None = None


class Window(Struct, frozen=True):
    """What is to be audited: rows with `from_ns` <= time < `to_ns` of one exchange and symbol, or of all (None)."""

    from_ns: int = 0
    to_ns: int = END_OF_TIME_NS
    exchange: str | None = None
    symbol: str | None = None


class Finding(Struct, frozen=True, omit_defaults=True):
    """One missing range. `fate`: missing, declared, filled, overwritten, resent, repaired, reported or late."""

    topic: str
    from_n: int
    to_n: int
    fate: str
    run: int | None = None
    fill: str | None = None
    gap: str | None = None
    job: str | None = None
    cause: str | None = None
    from_ns: int | None = None
    to_ns: int | None = None

    @property
    def sequence(self) -> Sequence:
        return Sequence(self.topic, self.run, self.fill)

    @property
    def count(self) -> int:
        return self.to_n - self.from_n + 1

    def asked(self, prefix: str) -> dict[str, Any]:
        """As a request names it: with the topic's prefix."""
        return range_told(prefix, self.sequence, (self.from_n, self.to_n))


class Unproven(Struct, frozen=True):
    """A run whose end nobody wrote down: nothing is known of what it published after `after_ns`."""

    run: int
    after_ns: int


class Report(Struct, omit_defaults=True):
    """The outcome of an audit. `complete_until_ns` absent: all of the window is proven."""

    ledger: str
    topics: int = 0
    rows: int = 0
    runs: int = 0
    fills: int = 0
    seconds: float = 0.0
    findings: list[Finding] = []
    unproven: list[Unproven] = []
    complete_until_ns: int | None = None
    away: str | None = None
    skipped: int = 0

    @property
    def missing(self) -> list[Finding]:
        return [one for one in self.findings if one.fate in ("missing", "declared", "resent", "reported")]

    @property
    def late(self) -> list[Finding]:
        return [one for one in self.findings if one.fate == "late"]

    @property
    def code(self) -> int:
        """The exit code: 0 complete, 1 missing, 3 complete up to a time and unproven after it."""
        if self.missing:
            return 1
        return 3 if self.late or self.unproven else 0


def range_told(prefix: str, sequence: Sequence, pair: tuple[int, int]) -> dict[str, Any]:
    """A range of numbers as requests name it."""
    topic = prefix + sequence.topic
    if sequence.fill is not None:
        return {"topic": topic, "fill": sequence.fill, "from_fill_n": pair[0], "to_fill_n": pair[1]}
    return {"topic": topic, "run": sequence.run, "from_n": pair[0], "to_n": pair[1]}


def parts(topic: str) -> tuple[str, str, str | None] | None:
    """Root, exchange and symbol of a topic without prefix; None if it is no stream."""
    return _NAMES.parts(topic)
