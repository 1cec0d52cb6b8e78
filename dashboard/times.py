"""Times as people write them: ISO 8601 or integer nanoseconds since the epoch, UTC. Pure."""

import re
from datetime import UTC, datetime, timedelta

LEAST_NS = 10**16
"""An integer below (before 26 April 1970) but not 0 is surely meant in other units."""
MOST_NS = 2**63 - 1
_FRACTION = re.compile(r"\.(\d{1,9})")


def read_time(text: str) -> int:
    """Nanoseconds since the epoch. Raises ValueError with the reason."""
    if re.fullmatch(r"\d{1,19}", text, re.ASCII):
        return _whole(int(text), text)
    try:
        # in an address a bare + is a space
        moment = datetime.fromisoformat(_FRACTION.sub("", text.strip().replace(" ", "+") if "T" in text else text))
    except ValueError:
        raise ValueError(f"{text[:40]!r} is neither ISO 8601 (2026-11-21T08:00:00Z) nor integer nanoseconds") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    fraction = _FRACTION.search(text)
    time_ns = seconds * 10**9 + (int(fraction[1].ljust(9, "0")) if fraction else 0)
    if not 0 <= time_ns <= MOST_NS:
        raise ValueError(f"{text[:40]!r} is outside 1970 to 2262")
    return time_ns


def _whole(time_ns: int, text: str) -> int:
    if 0 < time_ns < LEAST_NS:
        raise ValueError(f"{text} is in nanoseconds a time of 1970: seconds need nine zeros more, milliseconds six")
    if time_ns > MOST_NS:
        raise ValueError(f"{text} is beyond 64 bits")
    return time_ns
