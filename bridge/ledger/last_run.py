"""The last run's number in a file of its own: a power cut may take the ledger and the broker's memory at once."""

import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)

SUFFIX = ".last-run"
DIGITS = 16
"""A run's number is a time in ms; more digits are damage."""


def read(ledger: Path) -> int:
    """The last run's number, 0 if it is not known."""
    path = ledger.with_suffix(SUFFIX)
    try:
        text = path.read_text().strip()
    except FileNotFoundError:
        return 0
    except (OSError, UnicodeDecodeError) as error:
        log.warning("%s cannot be read: %s", path, error)
        return 0
    if text.isdecimal() and text.isascii() and len(text) <= DIGITS:
        return int(text)
    log.warning("%s is damaged and is written anew", path)
    return 0


def write(ledger: Path, run: int) -> None:
    """Whole, and on the disk before it takes its name. A disk that refuses is told: the ledger knows the run, too."""
    path = ledger.with_suffix(SUFFIX)
    part = ledger.with_suffix(f"{SUFFIX}.part")
    try:
        with part.open("w") as file:
            file.write(f"{run}\n")
            file.flush()
            os.fsync(file)
        part.replace(path)
    except OSError as error:
        log.warning("%s cannot be written: %s", path, error)
