"""The keys of places of packages: one that cannot be fetched ends a run only where no proven one is here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.missing import missing

ANSIBLE = Path(__file__).parents[2] / "ansible"
BIN = Path(sys.executable).parent
BOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: base, tasks_from: key}
    - ansible.builtin.import_role: {name: base, tasks_from: proof}
"""


class Keys:
    """Two people's keys as files, `here` on the machine, and what a play says of one that is fetched."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("gpg") is None:
            missing("gpg")
        self._folder, self.here = folder, folder / "here.asc"
        self._home = folder / "gpg"
        self._home.mkdir(mode=0o700)
        self.ours, self.fingerprint = self._made("ours")
        self.theirs, _ = self._made("theirs")

    def _made(self, name: str) -> tuple[Path, str]:
        self._gpg("--passphrase", "", "--quick-gen-key", f"{name}@example.invalid", "ed25519", "sign", "never")
        file = self._folder / f"{name}.asc"
        file.write_text(self._gpg("--armor", "--export", name), encoding="utf-8")
        told = self._gpg("--with-colons", "--list-keys", name)
        return file, next(line.split(":")[9] for line in told.splitlines() if line.startswith("fpr"))

    def _gpg(self, *arguments: str) -> str:
        command = ["gpg", "--batch", "--homedir", self._home, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    def play(self, fetched: Path) -> "subprocess.CompletedProcess[str]":
        (self._folder / "book.yml").write_text(BOOK, encoding="utf-8")
        repository = {"name": "mine", "key": fetched.as_uri(), "fingerprint": self.fingerprint}
        given = {
            "base_repository": repository,
            "base_key_file": str(self.here),
            "base_key_new": str(self._folder / "new.asc"),
        }
        mine = {"ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"), "ANSIBLE_HOME": str(self._folder), "NO_COLOR": "1"}
        mine |= {"ANSIBLE_ROLES_PATH": str(ANSIBLE / "roles"), "TICKBRIDGE_SECRETS": str(self._folder)}
        return subprocess.run(
            [BIN / "ansible-playbook", self._folder / "book.yml", "-e", json.dumps(given)],
            env=os.environ | mine,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def test_one_that_cannot_be_fetched_is_refused_unless_a_proven_one_is_here(keys: Keys) -> None:
    done = keys.play(keys.ours.with_name("nowhere"))
    assert (done.returncode, "cannot fetch the key at file:" in done.stdout) == (2, True), done.stdout
    shutil.copy(keys.theirs, keys.here)
    assert "cannot fetch the key" in keys.play(keys.ours.with_name("nowhere")).stdout
    shutil.copy(keys.ours, keys.here)
    done = keys.play(keys.ours.with_name("nowhere"))
    assert (done.returncode, "and proven, stays" in done.stdout) == (0, True), done.stdout
    assert keys.here.read_text() == keys.ours.read_text()


def test_what_is_fetched_is_taken_if_it_is_the_owners_and_never_another_persons(keys: Keys) -> None:
    assert keys.play(keys.ours).returncode == 0
    assert keys.here.read_text() == keys.ours.read_text()
    done = keys.play(keys.theirs)
    assert (done.returncode, f"and not to {keys.fingerprint}" in done.stdout) == (2, True), done.stdout
    assert keys.here.read_text() == keys.ours.read_text()
    done = keys.play(keys.ours.with_name("nowhere"))
    assert done.returncode == 0, f"what an earlier run has fetched counts for nothing: {done.stdout}"
