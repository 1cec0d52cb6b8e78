"""An audit's report in words, for a terminal. Pure."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from dashboard.audit.values import Finding, Report

MOST_LINES = 50
FATES = {
    "missing": "not repaired",
    "declared": "declared lost by gap {gap}",
    "filled": "its content was filled by {job} (gap {gap})",
    "overwritten": "the same rows were told anew by {job}",
    "resent": "sent again just now, not there yet",
    "repaired": "repaired just now",
    "reported": "beyond repair: now gap {gap}",
    "late": "late: the store has nothing newer yet",
}


def lines(report: Report) -> Iterator[str]:
    """One line for the verdict, then one for each range."""
    yield f"ledger: {report.ledger}"
    if report.away is not None:
        yield f"note: {report.away}"
    if report.skipped:
        yield f"note: {report.skipped:,} topics are of kinds that this store does not keep: nothing is asked of them"
    yield verdict(report)
    told = [one for one in report.findings if one.fate != "late"]
    yield from map(_line, told[:MOST_LINES])
    if len(told) > MOST_LINES:
        yield f"  and {len(told) - MOST_LINES} ranges more: --json lists all"
    if report.late:
        count = sum(one.count for one in report.late)
        yield f"  {count:,} messages at the end of {_topics(report.late)} wait for the store: late, not lost"
    for one in report.unproven:
        yield f"  run {one.run} was killed: what it published after {moment(one.after_ns)} cannot be proven"


def verdict(report: Report) -> str:
    """The outcome with its figures."""
    counts = {"topic": report.topics, "row": report.rows, "run": report.runs, "fill": report.fills}
    told = [f"{count:,} {what}{'' if count == 1 else 's'}" for what, count in counts.items()]
    figures = f"{', '.join(told)}, {report.seconds:.1f} s"
    if report.missing:
        count = sum(one.count for one in report.missing)
        return f"missing: {count:,} messages of {_topics(report.missing)} ({figures})"
    until = f" up to {moment(report.complete_until_ns)}" if report.complete_until_ns else ""
    if report.code:
        return f"complete{until}, unproven after it ({figures})"
    return f"complete ({figures})"


def moment(time_ns: int) -> str:
    """A time to the second, UTC."""
    return datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _line(one: Finding) -> str:
    numbers = f"{one.from_n}" if one.from_n == one.to_n else f"{one.from_n} to {one.to_n}"
    mark = f"run {one.run}" if one.fill is None else f"fill {one.fill}"
    when = f", between {moment(one.from_ns)} and {moment(one.to_ns)}" if one.from_ns and one.to_ns else ""
    fate = FATES[one.fate].format(gap=one.gap or "unknown", job=one.job or "a fill")
    cause = f"; {one.cause}" if one.cause else ""
    return f"  {one.topic}, {mark}: {numbers} ({one.count:,}){when}: {fate}{cause}"


def _topics(findings: Sequence[Finding]) -> str:
    count = len({one.topic for one in findings})
    return f"{count} topic" if count == 1 else f"{count} topics"
