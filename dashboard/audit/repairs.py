"""Missing ranges on their way: asked for again, back, or lost for good. Pure."""

from collections.abc import Sequence

from msgspec import Struct

from dashboard.audit.ranges import Pair, common, size, without
from dashboard.history.base import Sequence as Numbers

MOST_TRIES = 2
"""How often a range is asked for; what then is not there is lost."""
MOST_LOST = 1_000
"""Lost ranges that are looked for again, in case they come after all."""


class Hole(Struct):
    """Missing numbers of one sequence. `asked_ns`: the ledger's time when they were last asked for."""

    sequence: Numbers
    pairs: list[Pair]
    from_ns: int
    to_ns: int
    asked_ns: int | None = None
    tries: int = 0

    @property
    def kind(self) -> str:
        return self.sequence.topic.partition("/")[0]

    @property
    def count(self) -> int:
        return size(self.pairs)

    def back(self, there: Sequence[Pair]) -> int:
        """Take out what is there now. How many that were."""
        came = size(common(self.pairs, there))
        self.pairs = without(self.pairs, there)
        return came


class Counts(Struct):
    """Since the start. `declared`: lost, and the bridge said so itself; `returned`: told lost, but there after all."""

    proven: int = 0
    repaired: int = 0
    came_late: int = 0
    lost: int = 0
    declared: int = 0
    returned: int = 0
    resends: int = 0
    unreadable: int = 0
