"""Where a gap's trades are missing, and which gaps no fill can close. Pure."""

from collections.abc import Callable, Iterable, Mapping

from msgspec import structs

from bridge.events import Symbol
from bridge.series import Tape
from bridge.settings import Settings
from bridge.topics import Gap, Missing

DAY_NS = 86_400_000_000_000
NEAR_NS = 2_000_000_000
"""Our clock and an exchange's differ; an interruption so near to a gap is meant by it."""


def refusal(gap: Gap, settings: Settings, now_ns: int) -> str | None:
    """Why nothing is fetched for this gap, or None. What a store keeps no more, Telegraf could never deliver to it."""
    if not settings.fills.enabled:
        return "fills are switched off (fills.enabled)"
    name = f"{gap.channel}_days"
    days: int = getattr(settings.history, name)
    if days and now_ns - gap.from_ns >= days * DAY_NS:
        return f"it is older than what is stored (history.{name} = {days})"
    return None


def places(
    gap: Gap, symbols: Iterable[Symbol], tapes: Mapping[Symbol, Tape], known_until: Callable[[Symbol], int]
) -> list[Missing]:
    """Between which rows to look, symbol by symbol; the tapes' own objects, so that they learn of their ends."""
    found = []
    for symbol in symbols:
        tape = tapes.get(symbol)
        breaks = list(tape.breaks) if tape is not None else [Missing(symbol, known_until(symbol))]
        for one in breaks:
            if one.after_ns == 0:  # nothing was ever told before: the gap itself says since when
                if gap.cause != "stopped" and (one.before_ns is None or one.before_ns > gap.from_ns):
                    found.append(structs.replace(one, after_ns=gap.from_ns))
            elif is_near(one, gap):
                found.append(one)
    return found


def is_near(one: Missing, gap: Gap) -> bool:
    """Whether an interruption of a symbol's trades touches a gap's time."""
    return (gap.to_ns is None or one.after_ns <= gap.to_ns + NEAR_NS) and (
        one.before_ns is None or one.before_ns >= gap.from_ns - NEAR_NS
    )
