"""The data folder: made, proven writable, locked against a second `up`, and written to without half files."""

import errno
import fcntl
import os
import time
from pathlib import Path
from typing import Self

from bridge.errors import TickbridgeError

LOCK_WAIT_S = 6.0
"""A stopped `up` and its children are gone within this: a start right after waits for them."""
LOCK_POLL_S = 0.1
ELSEWHERE = "choose another folder with --data-dir"
CURES = {
    errno.ENOSPC: f"the disk is full: free some space, or {ELSEWHERE}",
    errno.EDQUOT: f"your disk quota is used up: free some space, or {ELSEWHERE}",
    errno.EROFS: f"the disk is read-only: {ELSEWHERE}",
    errno.EACCES: f"no right to write there: {ELSEWHERE}, or become its owner",
    errno.EPERM: f"no right to write there: {ELSEWHERE}, or become its owner",
    errno.ENOTDIR: f"a file stands where a folder should be: {ELSEWHERE}",
    errno.EEXIST: f"a file stands where a folder should be: {ELSEWHERE}",
}


class FolderError(TickbridgeError):
    """The data folder cannot be used: one line with the cure."""


def trouble(path: Path, error: OSError) -> FolderError:
    """What to tell a person about a file that could not be made or written."""
    cure = CURES.get(error.errno or 0, error.strerror or str(error))
    return FolderError(f"{path}: {cure}")


def make_writable(folder: Path) -> None:
    """Make the folder (0700 if new) and prove that a file can be written there. Raises FolderError."""
    probe = folder / f".probe-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except OSError as error:
        if error.errno in CURES:
            raise trouble(folder, error) from error
        raise FolderError(f"{folder}: no files can be kept there ({error.strerror}): {ELSEWHERE}") from error


def write_whole(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file so that readers see the old or the new one, never half; `mode` holds from the first byte on."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)


class FolderLock:
    """One `up` on one folder. Children inherit `fd`, so that the lock is held until the last of them is gone."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "up.lock"
        self.fd = -1

    def __enter__(self) -> Self:
        """Take the lock. Raises FolderError, naming who has it."""
        try:
            self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise trouble(self.path, error) from error
        if not self._taken():
            holder = self._holder()
            os.close(self.fd)
            cure = "stop it, or choose another with --data-dir"
            raise FolderError(f"{self.path.parent}: another tickbridge uses this folder{holder}: {cure}")
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, f"{os.getpid()}\n".encode(), 0)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def _taken(self) -> bool:
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._alive() or time.monotonic() > deadline:
                    return False
                time.sleep(LOCK_POLL_S)
            else:
                return True

    def _pid(self) -> int:
        text = os.pread(self.fd, 20, 0).strip()
        return int(text) if text.isdigit() else 0

    def _alive(self) -> bool:
        pid = self._pid()
        if not pid:
            return True
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def _holder(self) -> str:
        pid = self._pid()
        return f" (process {pid})" if pid else ""
