"""The ledger's values. Pure. Times are wall clock ns; the rows' own times are those of topics.md's `time_ns`."""

from typing import Any

from msgspec import Struct

from bridge.lost import Mark

ALIVE = frozenset({"waiting", "running"})
"""The states of a job that is not over."""


class Run(Struct, frozen=True):
    """One run. `known_ns`: until then all it published was with the broker. `ended_ns` None: killed, or living."""

    run: int
    started_ns: int
    known_ns: int
    ended_ns: int | None = None
    how: str | None = None

    def told(self) -> dict[str, Any]:
        """As it stands in an answer."""
        times = {"started_ns": self.started_ns, "known_ns": self.known_ns, "ended_ns": self.ended_ns}
        fields: dict[str, Any] = {"run": self.run, **times, "how": self.how}
        return {key: value for key, value in fields.items() if value is not None}


class Published(Struct, frozen=True):
    """One topic of a run, or of a fill (then `n` is `fill_n`).

    `n` was appended last, with `acknowledged` and all before it are done: with the broker, or told lost in a gap.
    """

    topic: str
    run: int
    fill: str | None
    n: int
    acknowledged: int
    first_ns: int
    last_ns: int

    @property
    def mark(self) -> Mark:
        return self.run if self.fill is None else self.fill

    def told(self) -> dict[str, Any]:
        """As it stands in an answer."""
        mark = {"run": self.run} if self.fill is None else {"fill": self.fill}
        numbers = {"n": self.n, "acknowledged": self.acknowledged, "first_ns": self.first_ns, "last_ns": self.last_ns}
        return {"topic": self.topic, **mark, **numbers}


class Job(Struct, frozen=True):
    """A fill or a backfill. `state`: waiting, running, done, failed or cancelled."""

    id: str
    kind: str
    exchange: str
    channel: str
    from_ns: int
    to_ns: int
    state: str
    reason: str | None = None


class Query(Struct, frozen=True):
    """Which rows: of one run or fill, of one topic or exchange. None: any.

    `fills`: a run's fills with it. `since`: only what has changed after that version of the tally.
    """

    run: int | None = None
    fill: str | None = None
    topic: str | None = None
    exchange: str | None = None
    fills: bool = False
    since: int | None = None

    @property
    def mark(self) -> Mark | None:
        return self.fill if self.fill is not None else self.run


def next_run(now_ns: int, *known: int) -> int:
    """A new run's id: now in ms, but later than any known one, whatever the clock says."""
    return max(now_ns // 1_000_000, *(one + 1 for one in known), 1)
