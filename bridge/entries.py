"""What stands in the outbox's log: one message each. Pure."""

from collections.abc import Iterable

Entry = tuple[str, bytes, int | str, int, int, bool]
"""topic, payload, run (of a live message) or job (of a fill), n or fill_n, appended at (ns), may have been sent before.

A plain tuple: several times cheaper to make than a named one, and the garbage collector stops looking at it.
"""

ENTRY_BYTES = 210
"""What Python needs for an entry beside its payload's own bytes; tests/test_outbox.py measures it."""
PARKED: Entry = ("", b"", "", 0, 0, True)
"""The empty place of a message that is never sent again; known by its identity."""


def sizes(entries: Iterable[Entry]) -> int:
    """What Python needs for these entries."""
    return sum([len(entry[1]) + ENTRY_BYTES for entry in entries])
