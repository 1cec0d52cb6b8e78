"""`make pi` for those who never used Ansible: whatever is wrong is said with what to type."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

from scripts.pi_hosts import machines, page, ssh_words

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


def a_pi(tmp: Path, answer: str) -> str:
    """A PATH whose ssh answers so: lines of shell."""
    (tmp / "bin").mkdir(exist_ok=True)
    (tmp / "bin" / "ssh").write_text(f"#!/bin/sh\n{answer}\n", encoding="utf-8")
    (tmp / "bin" / "ssh").chmod(0o755)
    return f"{tmp}/bin:{os.environ['PATH']}"


def test_what_is_given_becomes_the_inventory_and_is_not_contradicted_later(tmp_path: Path) -> None:
    path = a_pi(tmp_path, 'case "$*" in *uname*) exit 9 ;; esac')  # it stops before anything is installed
    given = {"HOST": "me@pi.local", "PROFILE": "embedded", "DATA": "UUID=1234-ABCD", "PATH": path}
    assert pi(tmp_path, "install", **given).returncode == 9
    told = yaml.safe_load((tmp_path / "inventory.yml").read_text())["tickbridge"]
    assert told["hosts"] == {"pi": {"ansible_host": "pi.local", "ansible_user": "me"}}
    assert told["vars"] == {"base_profile": "embedded", "base_data_device": "UUID=1234-ABCD", "bridge_settings": {}}
    assert pi(tmp_path, "install", **given).returncode == 9
    for other, words in ({"HOST": "me@b.local"}, "is for me@pi.local"), ({"PROFILE": "full"}, "change base_profile in"):
        done = pi(tmp_path, "install", **given | other)
        assert (done.returncode, words in done.stderr) == (1, True), done.stderr


def test_an_unreachable_pi_is_told_with_the_cure_and_its_name_can_be_typed_again(tmp_path: Path) -> None:
    done = pi(tmp_path, "install", HOST="me@pi.invalid")
    assert (done.returncode, "ssh-copy-id me@pi.invalid" in done.stderr) == (1, True), done.stderr
    assert not (tmp_path / "inventory.yml").exists()


def test_a_pi_whose_key_is_unknown_or_another_one_is_told_with_what_to_type(tmp_path: Path) -> None:
    for said, cure in (
        ("Host key verification failed.", 'answer "yes" to its question:  ssh me@pi'),
        ("REMOTE HOST IDENTIFICATION HAS CHANGED! Host key verification failed.", "ssh-keygen -R pi "),
    ):
        done = pi(tmp_path, "install", HOST="me@pi", PATH=a_pi(tmp_path, f"echo '{said}' >&2; exit 255"))
        assert (done.returncode, cure in done.stderr) == (1, True), done.stderr


def test_an_inventory_without_machines_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "inventory.yml").write_text("tickbridge: {hosts: {}}\n", encoding="utf-8")
    done = pi(tmp_path, "install")
    assert (done.returncode, "names no machine" in done.stderr) == (1, True), done.stderr


def test_ssh_is_told_what_the_inventory_tells_ansible() -> None:
    variables = {"ansible_host": "10.0.0.2", "ansible_user": "me", "ansible_port": 2222}
    variables |= {"ansible_ssh_private_key_file": "a key", "ansible_ssh_common_args": "-o ProxyJump=door"}
    listed = {"tickbridge": {"children": ["home"]}, "home": {"hosts": ["pi"]}, "_meta": {"hostvars": {"pi": variables}}}
    (found,) = machines(listed)
    assert ssh_words(found) == ["-o", "ProxyJump=door", "-p", "2222", "-i", "a key", "me@10.0.0.2"]


def test_a_variable_that_is_there_without_a_value_is_no_word_for_ssh() -> None:
    empty = dict.fromkeys(("ansible_ssh_common_args", "ansible_port", "ansible_ssh_private_key_file"))
    assert ssh_words(("pi", {"ansible_host": "pi.local", **empty})) == ["pi.local"]


def test_a_quote_without_an_end_is_told_with_its_variable(tmp_path: Path) -> None:
    host = {"ansible_host": "pi.invalid", "ansible_ssh_common_args": "-o 'ProxyJump=x"}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump({"tickbridge": {"hosts": {"pi": host}}}))
    done = pi(tmp_path, "install")
    assert (done.returncode, done.stderr) == (1, "pi: ansible_ssh_common_args: No closing quotation\n")


def test_a_page_at_an_address_of_ipv6_can_be_opened() -> None:
    assert page(("pi", {"ansible_host": "fd00::1", "ansible_user": "me"})) == "https://[fd00::1]:8000"


def test_people_are_told_where_the_page_is() -> None:
    assert page(("pi", {"ansible_host": "pi.local"})) == "https://pi.local:8000"
    assert page(("pi", {"base_tls": "none", "dashboard_port": 8080})) == "http://pi:8080"
    assert page(("pi", {"base_lan": False})).startswith("http://127.0.0.1:8000 on the Pi alone")


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
