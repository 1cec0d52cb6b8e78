"""What the books write so that a killed bridge's next start takes nothing for told that never left."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.books import Books
from bridge.clock import Clock
from bridge.coverage import Coverage
from bridge.fills import Jobs
from bridge.gaps import Gaps
from bridge.ledger import Job, Ledger, Tally
from bridge.outbox import Outbox
from bridge.streams import Streams
from bridge.topics import MINUTE_NS, State, Topics
from bridge.troubles import Troubles
from bridge.vitals import Vitals

TOPIC = "candles/kucoin/BTC-USDT/1m"


class Desk:
    """The books and what they told."""

    def __init__(self, path: Path) -> None:
        names, clock = Topics(), Clock("trust")
        self.states: dict[str, State] = {}
        self.outbox = Outbox(10_000_000, 90)
        self.streams = Streams(self.outbox, lambda: None)
        jobs = Jobs(names, lambda state: self.states.update({state.topic: state}), lambda topic: None, lambda: 0)
        self.ledger = Ledger(path, names)
        self.coverage = Coverage(self.ledger.covered())
        parts = names, clock, self.streams, self.outbox, Gaps("x"), Tally(names)
        vitals = Vitals(clock.monotonic_ns, 30)
        self.books = Books(self.ledger, *parts, Troubles(self.streams, "errors/bridge"), jobs, self.coverage, vitals)

    def tell(self, minute: int) -> None:
        body = json.dumps({"close": 1, "time_ns": minute * MINUTE_NS})[:-1]
        self.streams.fill(TOPIC, body, "job", "rest", minute * MINUTE_NS, 1)
        self.coverage.add(TOPIC, minute * MINUTE_NS, (minute + 1) * MINUTE_NS)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path / "ledger.db")
    await made.books.begin(0)
    yield made
    made.ledger.close()


async def test_candles_that_wait_for_the_broker_are_not_written_down_as_told_until_it_has_them(desk: Desk) -> None:
    for minute in range(10, 15):
        desk.tell(minute)
    desk.outbox.take(100)
    desk.outbox.acknowledge(3, 1)
    await desk.books.save()
    assert desk.ledger.covered() == {TOPIC: [(10 * MINUTE_NS, 13 * MINUTE_NS)]}
    assert desk.coverage.missing(TOPIC, 10 * MINUTE_NS, 15 * MINUTE_NS) == []
    desk.outbox.acknowledge(2, 2)
    await desk.books.save()
    assert desk.ledger.covered() == {TOPIC: [(10 * MINUTE_NS, 15 * MINUTE_NS)]}


async def test_a_job_that_a_killed_bridge_left_running_is_told_failed_by_the_next(desk: Desk, tmp_path: Path) -> None:
    run = desk.streams.run
    assert run is not None
    desk.ledger.save(
        run, run * 1_000_000, [], [], [Job("7-kucoin-fill-1", "fill", "kucoin", "trades", 1, 2, "running")]
    )
    desk.ledger.close()
    again = Desk(tmp_path / "ledger.db")
    await again.books.begin(0)
    told = again.states["jobs/7-kucoin-fill-1"].render(5)
    assert told is not None
    assert json.loads(told)["state"] == "failed"
    await again.books.save()
    assert [job.state for job in again.ledger.jobs(run)] == ["failed"]
    again.ledger.close()
