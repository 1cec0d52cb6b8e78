"""Fills and backfills as others see them: `jobs/<id>`, the ledger's rows, and the counts in health."""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from bridge import topics
from bridge.ledger import ALIVE, Job
from bridge.topics import State, Topics

EXPIRY_S = 3600
REPEAT_NS = 10_000_000_000
"""A running job is told at least so often, so that who follows it knows that it lives."""
TOLD_NS = 500_000_000
"""And at most so often."""
OVER_KEPT = 100
"""Jobs that are over stay in memory up to this number; the broker keeps each for its expiry."""


class Progress(Struct):
    """One job. `done` and `total` count in its own unit: symbols of a fill, candles of a backfill. `rows`: told.

    `again`: what was told before is told once more.
    """

    id: str
    kind: str
    exchange: str
    channel: str
    from_ns: int
    to_ns: int
    total: int
    done: int = 0
    rows: int = 0
    state: str = "waiting"
    reason: str | None = None
    gap: str | None = None
    interval: str | None = None
    again: bool = False
    told_ns: int = 0

    @property
    def is_alive(self) -> bool:
        return self.state in ALIVE

    def fields(self) -> dict[str, object]:
        """As it stands in a payload."""
        names = ("kind", "exchange", "channel", "from_ns", "to_ns", "done", "total", "rows", "state", "reason")
        return {name: getattr(self, name) for name in (*names, "gap", "interval")}

    def row(self) -> Job:
        """As it stands in the ledger."""
        span = (self.from_ns, self.to_ns)
        return Job(self.id, self.kind, self.exchange, self.channel, *span, self.state, self.reason)


class Jobs:
    """All jobs of this process. `put` and `forget` are the states'; `mono_ns` the monotonic clock."""

    def __init__(
        self, names: Topics, put: Callable[[State], None], forget: Callable[[str], None], mono_ns: Callable[[], int]
    ) -> None:
        self._names = names
        self._put = put
        self._forget = forget
        self._mono_ns = mono_ns
        self._jobs: dict[str, Progress] = {}
        self._unsaved: dict[str, Progress] = {}
        self._count = 0

    def new_id(self, run: int, exchange: str, kind: str) -> str:
        """Never given before: `run` is new for every start."""
        self._count += 1
        return f"{run}-{exchange}-{kind}-{self._count}"

    def get(self, job_id: str) -> Progress | None:
        return self._jobs.get(job_id)

    def alive(self, exchange: str | None = None) -> list[Progress]:
        """Those that wait or run."""
        return [job for job in self._jobs.values() if job.is_alive and exchange in (None, job.exchange)]

    def counts(self, exchange: str) -> dict[str, int]:
        """How many wait and run: in health."""
        states = [job.state for job in self.alive(exchange)]
        return {"waiting": states.count("waiting"), "running": states.count("running")}

    def tell(self, job: Progress, state: str, reason: str | None = None) -> None:
        """A job is in another state."""
        job.state, job.reason = state, reason
        self._jobs.pop(job.id, None)
        self._jobs[job.id] = self._unsaved[job.id] = job
        self._publish(job)
        over = [one for one in self._jobs.values() if not one.is_alive]
        for old in over[: max(0, len(over) - OVER_KEPT)]:
            del self._jobs[old.id]
            self._forget(self._names.job(old.id))

    def interrupted(self, jobs: Sequence[Job]) -> None:
        """What a process before left alive ended with it: who followed a job is told."""
        for job in jobs[-OVER_KEPT:]:
            span = (job.from_ns, job.to_ns)
            self.tell(Progress(job.id, job.kind, job.exchange, job.channel, *span, total=0), job.state, job.reason)

    def advance(self, job: Progress) -> None:
        """A job has come further."""
        if self._mono_ns() - job.told_ns >= TOLD_NS:
            self._publish(job)

    def repeat(self) -> None:
        """Once a second: say again what is alive."""
        for job in self._jobs.values():
            if job.is_alive and self._mono_ns() - job.told_ns >= REPEAT_NS:
                self._publish(job)

    # --- for the ledger -----------------------------------------------------------------------------
    def unsaved(self) -> list[Job]:
        """What changed since the last call."""
        changed, self._unsaved = self._unsaved, {}
        return [job.row() for job in changed.values()]

    def unsave(self, rows: Iterable[Job]) -> None:
        """The ledger could not take these: they are handed out again."""
        for row in rows:
            if (job := self._jobs.get(row.id)) is not None:
                self._unsaved.setdefault(row.id, job)

    def _publish(self, job: Progress) -> None:
        job.told_ns = self._mono_ns()
        fields = job.fields()
        topic = self._names.job(job.id)
        self._put(State(topic, lambda now_ns: topics.state({**fields, "time_ns": now_ns}), qos=1, expiry_s=EXPIRY_S))
