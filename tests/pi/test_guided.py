"""`make pi` for those who never used Ansible: whatever is wrong is said with what to type."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def pi(tmp: Path, act: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    mine = {"INVENTORY": str(tmp / "inventory.yml"), "ANSIBLE": str(Path(sys.executable).parent), "HOST": ""}
    mine |= {"ANSIBLE_HOME": str(tmp), "TICKBRIDGE_SECRETS": str(tmp / "secrets")}
    return subprocess.run(
        [ROOT / "scripts" / "pi", act],
        env=os.environ | mine | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_is_given_becomes_the_inventory_and_an_unreachable_pi_is_told_with_the_cure(tmp_path: Path) -> None:
    done = pi(tmp_path, "install", HOST="me@pi.invalid", PROFILE="embedded", DATA="UUID=1234-ABCD")
    assert done.returncode == 1
    assert "ssh-copy-id me@pi.invalid" in done.stderr
    told = yaml.safe_load((tmp_path / "inventory.yml").read_text())["tickbridge"]
    assert told["hosts"] == {"pi.invalid": {"ansible_host": "pi.invalid", "ansible_user": "me"}}
    assert told["vars"] == {"base_profile": "embedded", "base_data_device": "UUID=1234-ABCD", "bridge_settings": {}}
    other = pi(tmp_path, "install", HOST="me@another.invalid")
    assert (other.returncode, "is for me@pi.invalid" in other.stderr) == (1, True)


def test_wrong_words_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    for variables, words in (
        ({"HOST": "raspberrypi"}, "user@name"),
        ({"HOST": "a@b", "PROFILE": "big"}, "full or embedded"),
    ):
        done = pi(tmp_path, "install", **variables)
        assert (done.returncode, words in done.stderr) == (1, True), done.stderr
    assert "make pi" in pi(tmp_path, "upgrade").stderr
    assert pi(tmp_path, "explode").returncode == 2
    assert not (tmp_path / "inventory.yml").exists()
