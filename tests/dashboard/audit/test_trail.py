"""The continuous audit's memory: what it calls a hole is one, and it proves nothing that is not there."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.audit.claims import Keeps
from dashboard.audit.ranges import Pair, common, joined, missing, size, without
from dashboard.audit.trail import MOST_MARKS, Trail
from dashboard.audit.values import Published
from dashboard.history.base import Numbered, Sequence, Span
from tests.dashboard.audit.shelf import RUN, S, Shelf

TOPICS = ("prices/kucoin/BTC-USDT", "prices/kucoin/ETH-USDT", "trades/kucoin/BTC-USDT")
BEGIN = 1_743_147_000 * S
SETTLE = 15
PAIRS = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)).map(lambda one: (one[0], one[0] + one[1])))


class Market:
    """Messages appended in order, some lost on the way, delivered in order as far as the store has come."""

    def __init__(self, plan: list[tuple[int, bool]]) -> None:
        self.plan = plan
        self.shelf = Shelf()
        self.trail = Trail(SETTLE * S, 600 * S)
        self.n: dict[str, int] = {}
        self.first: dict[str, int] = {}
        self.sent: list[tuple[str, int, int, bool]] = []
        self.stored = 0
        self.holes: dict[str, set[int]] = {}

    def append(self, topic: str, at_ns: int, *, lost: bool) -> None:
        self.n[topic] = self.n.get(topic, 0) + 1
        self.first.setdefault(topic, at_ns)
        self.sent.append((topic, self.n[topic], at_ns, lost))

    def deliver(self, until: int) -> None:
        for topic, n, at_ns, lost in self.sent[self.stored : until]:
            if not lost:
                self.shelf.put(topic, n, at_ns)
        self.stored = max(self.stored, until)

    def look(self, now_ns: int) -> None:
        rows = [Published(topic, n, n, self.first[topic], now_ns, RUN) for topic, n in self.n.items()]
        self.trail.note(rows, now_ns, Keeps(self.shelf.since))
        asyncio.run(self._compare(now_ns))

    async def _compare(self, now_ns: int) -> None:
        for (kind, run), from_ns in self.trail.open_runs().items():
            self.trail.compare(await self.shelf.numbered(kind, run, Span(1, from_ns)))
        for track in self.trail.unclear():
            self.trail.seen(track, await self.shelf.numbers(track.sequence, 1, 2**63 - 1, Span(1, 0)))
        for track, due in self.trail.suspects(now_ns):
            there = await self.shelf.numbers(track.sequence, (track.proven or 0) + 1, 2**63 - 1, Span(1, 0))
            for first, last in self.trail.settle(track, there, due):
                self.holes.setdefault(track.sequence.topic, set()).update(range(first, last + 1))

    def lost(self, until: int) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {}
        for topic, n, _, lost in self.sent[:until]:
            if lost:
                found.setdefault(topic, set()).add(n)
        return found


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.integers(0, 3)), min_size=1, max_size=120),
    st.lists(st.integers(0, 40), min_size=12, max_size=12),
)
def test_every_hole_is_found_and_no_tail_is_called_one(plan: list[tuple[int, bool, int]], lags: list[int]) -> None:
    """The store lags as it likes; a message is lost about every second time, and never told so while it may come."""
    market = Market([])
    now_ns, each = BEGIN, max(1, len(plan) // 12)
    for place, (topic, lost, pause) in enumerate(plan):
        now_ns += pause * S
        market.append(TOPICS[topic], now_ns, lost=lost)
        if place % each == 0:
            now_ns += S
            market.deliver(max(0, len(market.sent) - lags[(place // each) % 12]))
            market.look(now_ns)
            reached = market.lost(market.stored)
            assert all(numbers <= reached.get(topic, set()) for topic, numbers in market.holes.items())
    # the store comes after, and something follows on every root
    for _ in range(3):
        now_ns += 200 * S
        for topic in ("prices/kucoin/XRP-USDT", "trades/kucoin/XRP-USDT"):
            market.append(topic, now_ns, lost=False)
        market.deliver(len(market.sent))
        market.look(now_ns + S)
    assert market.holes == market.lost(len(plan))


def test_what_is_proven_is_not_looked_at_again() -> None:
    market = Market([])
    for k in range(1, 6):
        market.append(TOPICS[0], BEGIN + k * S, lost=False)
    market.deliver(5)
    market.look(BEGIN + 10 * S)
    assert market.trail.open_runs() == {}
    assert market.trail.complete_until_ns() == BEGIN + 10 * S
    assert market.shelf.looks == 0


def test_the_proof_goes_as_far_as_the_first_open_message() -> None:
    market = Market([])
    market.append(TOPICS[0], BEGIN, lost=False)
    market.deliver(1)
    market.look(BEGIN + S)
    market.append(TOPICS[0], BEGIN + 2 * S, lost=False)
    market.look(BEGIN + 3 * S)
    market.look(BEGIN + 300 * S)
    assert market.trail.complete_until_ns() == BEGIN + S, "the store is away: late"
    assert market.holes == {}


def test_a_store_that_is_away_for_long_costs_no_more_than_some_marks() -> None:
    market = Market([])
    for k in range(MOST_MARKS * 4):
        market.append(TOPICS[0], BEGIN + k * S, lost=k == 7)
        market.look(BEGIN + k * S)
    (track,) = market.trail._tracks.values()
    assert len(track.marks) <= MOST_MARKS
    market.deliver(len(market.sent))
    market.append(TOPICS[1], BEGIN + 900 * S, lost=False)
    market.append(TOPICS[0], BEGIN + 900 * S, lost=False)
    market.look(BEGIN + 901 * S)
    market.append(TOPICS[0], BEGIN + 902 * S, lost=False)
    market.deliver(len(market.sent))
    market.look(BEGIN + 1000 * S)
    assert market.holes == {TOPICS[0]: {8}}


def test_what_was_published_long_before_the_start_is_not_ours_to_prove() -> None:
    trail = Trail(SETTLE * S, 600 * S)
    old = Published(TOPICS[0], 500, 500, BEGIN, BEGIN + 10 * S, RUN)
    trail.note([old], BEGIN + 5000 * S, Keeps({"prices": 0}))
    assert trail.open_runs() == {}
    assert trail.suspects(BEGIN + 9000 * S) == []


def test_another_run_begins_at_one() -> None:
    shelf, trail = Shelf(), Trail(SETTLE * S, 600 * S)
    trail.note([Published(TOPICS[0], 5, 5, BEGIN, BEGIN, RUN)], BEGIN, Keeps(shelf.since))
    trail.note([Published(TOPICS[0], 2, 2, BEGIN + S, BEGIN + S, RUN + 1)], BEGIN + 2 * S, Keeps(shelf.since))
    assert set(trail.open_runs()) == {("prices", RUN), ("prices", RUN + 1)}


def test_a_fill_that_is_there_is_proven_though_nothing_came_after_it() -> None:
    shelf, trail = Shelf(), Trail(SETTLE * S, 600 * S)
    trail.note([], BEGIN, Keeps(shelf.since))
    trail.note([Published(TOPICS[2], 2, 2, 5 * S, 9 * S, None, "job")], BEGIN + S, Keeps(shelf.since))
    assert trail.due_fills(BEGIN + 2 * S) == {}, "too early"
    now_ns = BEGIN + (SETTLE + 1) * S
    assert trail.due_fills(now_ns) == {("trades", "job"): (5 * S, 9 * S)}
    assert trail.suspects(now_ns) == [], "nor is it missing yet"
    assert trail.compare([Numbered(Sequence(TOPICS[2], fill="job"), 2, 1, 2)]) == 2
    assert trail.due_fills(now_ns) == {}
    assert trail.complete_until_ns() == BEGIN + S


def test_a_fill_is_called_missing_only_when_the_store_has_what_came_later() -> None:
    shelf, trail = Shelf(), Trail(SETTLE * S, 600 * S)
    trail.note([Published(TOPICS[0], 1, 1, BEGIN, BEGIN, RUN)], BEGIN, Keeps(shelf.since))
    trail.note([Published(TOPICS[2], 3, 3, 5 * S, 9 * S, None, "job")], BEGIN + S, Keeps(shelf.since))
    assert trail.suspects(BEGIN + 500 * S) == []
    trail.note([Published(TOPICS[0], 2, 2, BEGIN, BEGIN + 400 * S, RUN)], BEGIN + 400 * S, Keeps(shelf.since))
    trail.note([Published(TOPICS[0], 3, 3, BEGIN, BEGIN + 401 * S, RUN)], BEGIN + 401 * S, Keeps(shelf.since))
    for n in (1, 2, 3):
        shelf.put(TOPICS[0], n, BEGIN + n * S)
    there = asyncio.run(shelf.numbered("prices", RUN, Span(1, 0)))
    trail.compare(there)
    assert trail.due_fills(BEGIN + 500 * S) == {("trades", "job"): (5 * S, 9 * S)}
    ((track, due),) = [
        one for one in trail.suspects(BEGIN + 500 * S) if one[0].sequence == Sequence(TOPICS[2], fill="job")
    ]
    assert trail.settle(track, [(2, 3)], due) == [(1, 1)]


# --- ranges ------------------------------------------------------------------------------------------


def numbers(pairs: list[Pair]) -> set[int]:
    return {number for first, last in pairs for number in range(first, last + 1)}


@given(PAIRS, PAIRS)
def test_ranges_are_sets(some: list[Pair], others: list[Pair]) -> None:
    assert numbers(without(some, others)) == numbers(some) - numbers(others)
    assert numbers(common(some, others)) == numbers(some) & numbers(others)
    assert numbers(missing(some, 5, 50)) == set(range(5, 51)) - numbers(some)
    assert size(joined(some)) == len(numbers(some))


def test_a_store_that_came_while_a_run_went_on_is_asked_for_what_came_after_it() -> None:
    trail = Trail(SETTLE * S, 600 * S)
    born = BEGIN + 500 * S
    told = Published(TOPICS[0], 900, 900, BEGIN, BEGIN + 600 * S, RUN)
    trail.note([told], BEGIN + 600 * S, Keeps({"prices": 0}, {"prices": born}))
    (track,) = trail._tracks.values()
    assert track.proven is None
    track.begin(None, 811)
    assert track.proven == 810
    track.begin(None, None)
    assert track.proven == 899, "its last one at least should be there"


def test_a_root_that_is_switched_on_later_is_proven_from_then_on_and_one_that_is_off_not_at_all() -> None:
    trail = Trail(SETTLE * S, 600 * S)
    both = [Published(topic, 5, 5, BEGIN, BEGIN + S, RUN) for topic in (TOPICS[0], TOPICS[2])]
    trail.note(both, BEGIN + S, Keeps({"prices": 0}))
    assert set(trail.open_runs()) == {("prices", RUN)}
    on = Keeps({"trades": 0}, {"trades": BEGIN + 100 * S})
    assert trail.meets(on)
    trail.note(both, BEGIN + 100 * S, on)
    assert trail.open_runs() == {}
    trail.note([Published(TOPICS[2], 6, 6, BEGIN, BEGIN + 2000 * S, RUN)], BEGIN + 2000 * S, on)
    assert set(trail.open_runs()) == {("trades", RUN)}
