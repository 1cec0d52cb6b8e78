"""Where a gap's trades are missing, and which gaps no fill can close. Pure."""

from collections.abc import Callable, Iterable, Mapping

from msgspec import structs

from bridge.events import Symbol
from bridge.series import Tape
from bridge.settings import Settings
from bridge.topics import Gap, Missing

DAY_NS = 86_400_000_000_000
ON_THE_WAY_NS = 3_600_000_000_000
"""So long a row may wait in the broker for a store that is away, and is still young enough then."""
NOT_TAKEN = "that REST told were not taken: not believed, or older than what is stored"
NEAR_NS = 2_000_000_000
"""Our clock and an exchange's differ; an interruption so near to a gap is meant by it."""


def refusal(gap: Gap, settings: Settings, now_ns: int) -> str | None:
    """Why nothing is fetched for this gap, or None. What a store keeps no more, Telegraf could never deliver to it."""
    if not settings.fills.enabled:
        return "fills are switched off (fills.enabled)"
    if gap.from_ns < kept_from_ns(gap.channel, settings, now_ns):
        name = f"{gap.channel}_days"
        return f"it is older than what is stored (history.{name} = {getattr(settings.history, name)})"
    return None


def kept_from_ns(channel: str, settings: Settings, now_ns: int) -> int:
    """Rows older than this are not published: a store may refuse them by the time they come to it."""
    days: int = getattr(settings.history, f"{channel}_days")
    return now_ns - days * DAY_NS + ON_THE_WAY_NS if days else 0


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
