"""What the publisher tells of itself in health. Pure."""

from msgspec import Struct, field

MAX_ROOTS = 50
"""Topic roots whose refusals are counted apart; the rest is counted together."""
OTHERS = "others"


class Refusal(Struct):
    """What the broker refused under one topic root, and why the last time."""

    count: int = 0
    reason: str = ""


class Figures(Struct):
    """Counters since the start. `connection` is the number of the present (or next) connection."""

    connected: bool = False
    reason: str = "not connected yet"
    connection: int = 0
    connected_once: bool = False
    marker_run: int = 0
    """The latest run that a marker of ours bore: a new run must be later, whatever became of the ledger."""
    max_packet: int | None = None
    """The largest packet that the broker takes, in bytes, as it said the last time."""
    reconnects: int = 0
    published: int = 0
    """Stream messages that the broker acknowledged; those sent again count again."""
    states: int = 0
    unheard: int = 0
    overwritten: int = 0
    """Foreign values of our own health that were overwritten."""
    refused: dict[str, Refusal] = field(default_factory=dict)

    def refuse(self, root: str, reason: str) -> bool:
        """Count a refusal; True if this root was not refused for this reason the last time: say so once."""
        if root not in self.refused and len(self.refused) >= MAX_ROOTS:
            root = OTHERS
        refusal = self.refused.setdefault(root, Refusal())
        refusal.count += 1
        new, refusal.reason = refusal.reason != reason, reason
        return new
