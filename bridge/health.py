"""Health payloads: what a feed and the bridge say of themselves, from data, not from the process. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from bridge.events import Symbol
from bridge.feed import Feed
from bridge.topics import LISTED

WORST_FIRST = ("refused", "reconnecting", "connecting", "stopped", "stale", "quiet", "online")
MS = 1_000_000


class LineStatus(Struct):
    """A line's state: connecting, online, quiet, reconnecting, refused or stopped."""

    status: str = "connecting"
    reason: str = ""
    since_ns: int = 0


class OutboxFigures(Struct):
    """What the outbox holds and how far back its log reaches."""

    messages: int
    bytes: int
    log_reach_s: float


def worst(lines: Sequence[LineStatus]) -> LineStatus:
    """A feed is as healthy as its worst line: `online` is said only when all of them are."""
    return min(lines, key=lambda line: WORST_FIRST.index(line.status), default=LineStatus())


def stale_symbols(feed: Feed) -> list[Symbol]:
    return sorted(symbol for symbol, series in feed.series.items() if series.stale is not None)


def feed_status(feed: Feed, lines: Sequence[LineStatus]) -> LineStatus:
    """The worst line's status; `stale` when the lines are well but no symbol's price is to be trusted."""
    status = worst(lines)
    if status.status in ("online", "quiet") and feed.series and all(s.stale for s in feed.series.values()):
        return LineStatus("stale", "no symbol's price is fresh", status.since_ns)
    return status


def feed_health(feed: Feed, status: LineStatus, more: Mapping[str, Any]) -> dict[str, Any]:
    """`health/<exchange>`; `more` brings what the feed does not know itself."""
    stale = stale_symbols(feed)
    counters = feed.counters
    return {
        "status": status.status,
        "reason": status.reason,
        "since_ns": status.since_ns,
        "last_tick_ns": feed.last_tick_ns,
        "symbols": len(feed.series),
        "stale_symbols": stale[:LISTED],
        "stale_count": len(stale),
        "received": counters.received,
        "published": counters.published,
        "dropped": counters.dropped,
        "late": counters.late,
        "repeats": counters.repeats,
        "unreadable": counters.unreadable,
        "errors": feed.troubles.count,
        "lag_ms": lag_ms(feed.lags_ns),
        **more,
    }


def lag_ms(lags_ns: Iterable[int]) -> dict[str, float] | None:
    """Percentiles of arrival minus the exchange's sending time; None where the exchange does not say when it sent."""
    ordered = sorted(lags_ns)
    if not ordered:
        return None
    return {
        name: round(ordered[int((len(ordered) - 1) * part)] / MS, 1) for name, part in (("p50", 0.5), ("p99", 0.99))
    }


def clocked(fields: dict[str, Any], *, synced: bool, now_ns: int) -> dict[str, Any]:
    """Without a synchronised clock a state says so, and carries no time of ours."""
    if synced:
        return {**fields, "time_ns": now_ns}
    return {key: value for key, value in fields.items() if not key.endswith("_ns")} | {"clock": "unsynced"}
