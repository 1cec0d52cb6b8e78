"""Says when the log is too small for the pace: what a killed broker forgets could not be sent again then. Pure."""

ENOUGH_SHARE = 1.25
"""A reach that only wavers about what is needed is told once: room is made at intervals, and the pace changes."""


class Cramped:
    """`needed_s`: how far back the log must reach. Told once, and again only after it has reached back well beyond."""

    def __init__(self, needed_s: float, limit: int) -> None:
        self._needed_s = needed_s
        self._limit = limit
        self._told = False

    def look(self, cramped_s: float | None) -> str | None:
        """What there is to say. `cramped_s`: how far a full log reaches, None while there is room."""
        if cramped_s is None or cramped_s >= self._needed_s * ENOUGH_SHARE:
            self._told = False
        elif cramped_s < self._needed_s and not self._told:
            self._told = True
            wanted = self._limit * self._needed_s / max(cramped_s, 1.0)
            return (
                f"at this pace outbox.bytes holds what was sent in the last {cramped_s:.0f} s: what a killed broker "
                "or a store lost longer ago cannot be sent again and becomes a gap. "
                f"{self._needed_s:.0f} s need some {wanted / 2**20:.0f} MiB (TICKBRIDGE_OUTBOX__BYTES={wanted:.0f})"
            )
        return None
