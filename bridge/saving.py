"""How a part asks the owner of the broker to save now: it touches a file in the data folder, which the owner watches.

The broker saves by itself only so often, and killed outright it forgets what came since; some of that must be there.
"""

import logging
from pathlib import Path

RECORDER_SESSION = "recorder-session"
"""Touched by the recorder whenever the broker has a session for it."""
SENSORS_UNKNOWN = "sensors-unknown"
"""Touched by the bridge when the broker has `unknown` on `sensors/`: what a later start has to tell Home Assistant."""
FLAGS = (RECORDER_SESSION, SENSORS_UNKNOWN)
log = logging.getLogger(__name__)


def ask_to_save(flag: Path) -> None:
    """It is said, and no more, if the file cannot be touched: the broker saves later then."""
    try:
        flag.touch()
    except OSError as error:
        log.warning("%s: %s", flag, error.strerror)


def touched(flag: Path) -> int:
    """When it was last touched, in ns; 0 for never."""
    try:
        return flag.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
