"""A damaged file is put aside under a new name, with what belongs to it: its place is free, and nothing is lost."""

import logging
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from bridge.errors import StoreError

log = logging.getLogger(__name__)

MARK = ".damaged-"
KEPT = 3
"""So many of one file are kept; a card that damages files again and again must not fill up with them."""
BESIDE = ("-journal", "-wal", "-shm")
"""What SQLite keeps beside its file, and would otherwise apply to the next one."""


def put_aside(path: Path) -> Path:
    """Rename it to `<name>.damaged-<time>`; where it is now. Raises StoreError if that cannot be done."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    names = (path.with_name(f"{path.name}{MARK}{stamp}{f'-{k}' if k else ''}") for k in count())
    aside = next(name for name in names if not name.exists())
    try:
        for suffix in BESIDE:
            beside = path.with_name(path.name + suffix)
            if beside.exists():
                beside.replace(aside.with_name(aside.name + suffix))
        path.replace(aside)
    except OSError as error:
        raise StoreError(f"{path} is damaged and cannot be put aside ({error.strerror}): move it away") from error
    _thin(path)
    return aside


def is_broken(path: Path) -> bool:
    """Whether no SQLite writes such a head, though it takes it for that of a file with other rights or formats."""
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError:
        return False
    formats = head[18:20] + head[47:48] + head[59:60]
    """How to write and to read it, its schema's format, its texts' encoding."""
    return len(head) < 100 or any(not 1 <= value <= most for value, most in zip(formats, (2, 2, 4, 3), strict=True))


def asides(folder: Path) -> list[str]:
    """The names of all files in this folder that were put aside, oldest first."""
    return [path.name for path in _asides(folder, "")]


def _asides(folder: Path, name: str) -> Iterator[Path]:
    found = (path for path in folder.glob(f"{name}*{MARK}*") if not path.name.endswith(BESIDE))
    return iter(sorted(found, key=lambda path: path.name.rpartition(MARK)[2]))


def _thin(path: Path) -> None:
    """The oldest go."""
    kept = list(_asides(path.parent, path.name))
    for old in kept[:-KEPT]:
        try:
            for suffix in ("", *BESIDE):
                old.with_name(old.name + suffix).unlink(missing_ok=True)
            log.warning("%s was put aside long ago and is removed: %d later ones are kept", old, KEPT)
        except OSError as error:
            log.warning("%s cannot be removed: %s", old, error.strerror)
