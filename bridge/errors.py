"""Errors, sorted by what is done about them.

TickbridgeError
├── SettingsError     the configuration is wrong: one line for a person, exit 2, no restart
├── FrameError        one frame is unreadable: counted, logged at a limited rate, skipped
├── FeedLost          a line is dead, silent or refused: backoff, fresh connection
│   └── FeedRefused   the exchange said no (451, 403, 429, maintenance): reported plainly, tried again later
├── BrokerLost        the broker is away or refuses us: the outbox holds, retried for ever
└── StoreError        a file of ours cannot be read or written: one line with the cure
    ├── DiskAway      the disk is full, read-only or failing: it may pass, and whoever can goes on in memory
    ├── NewerData     a newer Tickbridge has written it: exit 2, no restart
    └── Damaged       its content is no longer what we wrote: it is put aside, and a new one begun
Anything else is our bug: the process says so and exits non-zero.
"""


class TickbridgeError(Exception):
    """The root of every error that is expected."""


class SettingsError(TickbridgeError):
    """The configuration is wrong. The text names file or variable, key, value and what would be right."""


class FrameError(TickbridgeError):
    """A frame or an answer cannot be read."""


class FeedLost(TickbridgeError):
    """The line is gone. `at_once`: the exchange announced it, so the first retry needs no backoff."""

    def __init__(self, reason: str, *, cause: str = "line lost", at_once: bool = False) -> None:
        super().__init__(reason)
        self.cause = cause
        self.at_once = at_once


class FeedRefused(FeedLost):
    """The exchange refuses to serve us: `retry_after_s` is its own word on when to come back, if any."""

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class BrokerLost(TickbridgeError):
    """The broker is unreachable or refuses us."""


class StoreError(TickbridgeError):
    """A file of ours cannot be used. The text says which and what to do."""


class DiskAway(StoreError):
    """The disk is full, read-only or failing; nothing is wrong with the file itself."""


class NewerData(StoreError):
    """A file of ours is of a version that this program does not know; it is left as it is."""


class Damaged(StoreError):
    """A file of ours was cut short or overwritten. Nothing cures it, so another one takes its place."""
