"""A damaged file is put aside under a new name, with what belongs to it: its place is free, and nothing is lost."""

import logging
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from bridge.errors import StoreError

log = logging.getLogger(__name__)

MARK = ".damaged-"
KEPT = 3
"""So many of one file are kept, the first, the largest and the one just made for certain: a card that damages files
again and again must not fill up with them, nor cost the one that holds years."""
BESIDE = ("-journal", "-wal", "-shm")
"""What SQLite keeps beside its file, and would otherwise apply to the next one."""


def put_aside(path: Path) -> Path:
    """Rename it to `<name>.damaged-<time>-<number>`; where it is now. Raises StoreError if that cannot be done.

    Whenever the power goes, either name has the file with what belongs to it: SQLite itself removes a journal that
    stands beside no file or an empty one.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    number = 1 + max((_number(one) for one in _asides(path.parent, path.name)), default=0)
    aside = path.with_name(f"{path.name}{MARK}{stamp}-{number}")
    beside = [(path.with_name(path.name + suffix), aside.with_name(aside.name + suffix)) for suffix in BESIDE]
    try:
        for one, to in beside:
            if one.exists():
                _double(one, to)
        path.replace(aside)
        for one, _ in beside:
            one.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path} is damaged and cannot be put aside ({error.strerror}): move it away") from error
    _thin(aside, list(_asides(path.parent, path.name)))
    return aside


def _double(path: Path, to: Path) -> None:
    """A second name, or a copy where the file system knows no second names. Raises OSError."""
    to.unlink(missing_ok=True)
    try:
        to.hardlink_to(path)
    except OSError:
        shutil.copy2(path, to)
        with to.open("rb+") as copied:
            os.fsync(copied)


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
    """By their number: the clock may have been wrong."""
    found = (path for path in folder.glob(f"{name}*{MARK}*") if not path.name.endswith(BESIDE))
    return iter(sorted(found, key=lambda path: (_number(path), path.name.rpartition(MARK)[2])))


def _number(aside: Path) -> int:
    """0 for one that is named by its time alone."""
    number = aside.name.rpartition(MARK)[2].partition("-")[2]
    return int(number) if number.isdecimal() else 0


def _thin(made: Path, kept: list[Path]) -> None:
    """The smallest go, of equal ones the newest; `kept` is in order, the first one stays."""
    sizes = {one: one.stat().st_size for one in kept}
    largest = max(kept, key=sizes.__getitem__)
    rest = [one for one in kept[1:] if one not in (made, largest)]
    for small in sorted(reversed(rest), key=sizes.__getitem__)[: max(0, len(kept) - KEPT)]:
        try:
            for suffix in ("", *BESIDE):
                small.with_name(small.name + suffix).unlink(missing_ok=True)
            log.warning("%s was put aside before and is removed: the first, the largest and the last are kept", small)
        except OSError as error:
            log.warning("%s cannot be removed: %s", small, error.strerror)
