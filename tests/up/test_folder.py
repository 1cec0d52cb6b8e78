"""The data folder: writable or refused with the cure, locked once, never half a file."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.up import folder
from bridge.up.folder import FolderError, FolderLock, make_writable, trouble, write_whole

HOLD = """
import os, sys, time
from pathlib import Path
from bridge.up.folder import FolderLock
with FolderLock(Path(sys.argv[1])) as lock:
    if sys.argv[2] == "child":  # leave a child behind that inherits the lock
        os.set_inheritable(lock.fd, True)
        if os.fork():
            print(os.getpid(), flush=True)
            os._exit(0)
        time.sleep(float(sys.argv[3]))
        os._exit(0)
    print(os.getpid(), flush=True)
    sys.stdin.read()
"""


def test_new_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    make_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    assert (tmp_path / "a" / "b").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_folder_where_none_can_be_made_is_refused_with_the_cure() -> None:
    with pytest.raises(
        FolderError, match=r"/proc/ticks: no files can be kept there \(.*\): choose another folder with"
    ):
        make_writable(Path("/proc/ticks"))


def test_folder_under_a_file_is_refused_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match=r"file/ticks: a file stands where a folder should be: choose another folder"):
        make_writable(tmp_path / "file" / "ticks")


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_full_disk_is_told_with_the_cure() -> None:
    with pytest.raises(OSError, match="No space left") as caught, open("/dev/full", "w", buffering=1) as full:
        full.write("x\n")
    assert caught.value.errno == errno.ENOSPC
    assert "the disk is full: free some space" in str(trouble(Path("ticks"), caught.value))


def test_file_is_replaced_whole_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_whole(path, "old", 0o600)
    write_whole(path, "new", 0o600)
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_lock_can_be_taken_again_after_it_was_left(tmp_path: Path) -> None:
    for _ in range(2):
        with FolderLock(tmp_path):
            assert (tmp_path / "up.lock").read_text() == f"{os.getpid()}\n"


@pytest.mark.real
def test_second_holder_is_refused_naming_the_first(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path), "hold"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        pid = int(first.stdout.readline())
        with (
            pytest.raises(FolderError, match=rf"another tickbridge uses this folder \(process {pid}\)"),
            FolderLock(tmp_path),
        ):
            pass
        first.communicate()
    with FolderLock(tmp_path):
        pass


@pytest.mark.real
def test_children_left_by_a_killed_holder_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run([sys.executable, "-c", HOLD, str(tmp_path), "child", "0.6"], check=True, stdout=subprocess.DEVNULL)
    with FolderLock(tmp_path):
        pass
    monkeypatch.setattr(folder, "LOCK_WAIT_S", 0.2)
    subprocess.run([sys.executable, "-c", HOLD, str(tmp_path), "child", "1"], check=True, stdout=subprocess.DEVNULL)
    with pytest.raises(FolderError, match="another tickbridge"), FolderLock(tmp_path):
        pass
