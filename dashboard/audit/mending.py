"""`--repair`: has the bridge send again what is missing, looks again, and reports what is beyond repair."""

import asyncio
import time

from msgspec import structs

from dashboard.audit.asking import Asking
from dashboard.audit.claims import SLACK_NS
from dashboard.audit.ranges import missing
from dashboard.audit.values import Finding, Report
from dashboard.history.base import END_OF_TIME_NS, MINUTE_NS, History, Span

MOST_RANGES = 1_000
POLL_S = 1.0
NOT_REPAIRED = "the audit found it missing in the store, and the bridge holds it no more"


class Mending:
    """`wait_s`: how long the store may take to have what is sent again."""

    def __init__(self, history: History, bridge: Asking, prefix: str, wait_s: float) -> None:
        self._history = history
        self._bridge = bridge
        self._prefix = prefix
        self._wait_s = wait_s

    async def mend(self, report: Report) -> Report:
        """The same report with what became of every missing range."""
        rest = [one for one in report.findings if one.fate != "missing"]
        asked = [one for one in report.findings if one.fate == "missing"]
        resent = [one for one in asked[:MOST_RANGES] if await self._ask(one)]
        gone = [one for one in asked[:MOST_RANGES] if one not in resent]
        found = await self._wait(resent)
        for one in gone:
            found.append(await self._report(one))
        return structs.replace(report, findings=[*rest, *found, *asked[MOST_RANGES:]])

    async def _ask(self, finding: Finding) -> bool:
        """Whether the bridge still held any of it."""
        sent = await self._bridge.resend(finding.asked(self._prefix))
        return bool(sent.found)

    async def _wait(self, resent: list[Finding]) -> list[Finding]:
        """Look until all is there, or the time is over: then what is not is told as it is."""
        done: list[Finding] = []
        deadline_s = time.monotonic() + self._wait_s
        while resent:
            looked = [(one, await self._still_missing(one)) for one in resent]
            done += [structs.replace(one, fate="repaired") for one, pairs in looked if not pairs]
            resent = [one for one, pairs in looked if pairs]
            if time.monotonic() > deadline_s:
                return done + [piece for one, pairs in looked if pairs for piece in _pieces(one, pairs)]
            if resent:
                await asyncio.sleep(POLL_S)
        return done

    async def _still_missing(self, one: Finding) -> list[tuple[int, int]]:
        slack_ns = max(MINUTE_NS, SLACK_NS.get(one.topic.partition("/")[0], 0))
        span = Span(1, 0)
        if one.fill is None and one.from_ns is not None and one.to_ns is not None:
            span = Span(1, max(0, one.from_ns - slack_ns), min(END_OF_TIME_NS, one.to_ns + slack_ns))
        there = await self._history.numbers(one.sequence, one.from_n, one.to_n, span)
        return missing(there, one.from_n, one.to_n)

    async def _report(self, one: Finding) -> Finding:
        times = {} if one.from_ns is None or one.to_ns is None else {"from_ns": one.from_ns, "to_ns": one.to_ns}
        entered = await self._bridge.lost(one.asked(self._prefix) | times | {"reason": NOT_REPAIRED})
        return structs.replace(one, fate="declared" if entered.known else "reported", gap=entered.gap)


def _pieces(one: Finding, pairs: list[tuple[int, int]]) -> list[Finding]:
    """What of a range came, and what did not."""
    came = missing(pairs, one.from_n, one.to_n)
    told = [structs.replace(one, from_n=first, to_n=last, fate="repaired") for first, last in came]
    return told + [structs.replace(one, from_n=first, to_n=last, fate="resent") for first, last in pairs]
