"""Running our playbooks on machines, from a controller that has nothing but this checkout."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bridge import __version__
from tests.pi.machine import HOST, ROOT, Machine

PLAYBOOK_S = 400
BIN = Path(sys.executable).parent
SYMBOLS = ["BTC-USDT", "ETH-USDT", "SOL-USDT"]
RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Played:
    """How a playbook ended. `changed`: by machine."""

    code: int
    output: str
    changed: dict[str, int] = field(default_factory=dict)


class Site:
    """A user's checkout of the project, who reaches these machines by ssh as pi, and one inventory for all of them."""

    def __init__(self, folder: Path, machines: Mapping[str, Machine]) -> None:
        self._folder = folder
        self._machines = machines
        self.checkout = checkout(folder / "checkout")
        self.secrets = self.checkout / "ansible" / "secrets"
        self.inventory = self.checkout / "ansible" / "inventory.yml"
        self._let_ssh_know()

    def _let_ssh_know(self) -> None:
        """What ~/.ssh/config would have."""
        lines = [
            line
            for name, machine in self._machines.items()
            for line in (
                f"Host {name}",
                f"HostName {machine.address}",
                f"IdentityFile {machine.key}",
                *as_config(machine),
            )
        ]
        (self._folder / "ssh_config").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (self._folder / "bin").mkdir()
        for program in ("ssh", "sftp"):
            script = self._folder / "bin" / program
            script.write_text(f'#!/bin/sh\nexec {shutil.which(program)} -F {self._folder}/ssh_config "$@"\n')
            script.chmod(0o755)

    def describe(self, variables: Mapping[str, Mapping[str, Any]]) -> None:
        """More machines and variables, as the user may write them into the inventory that `make pi` wrote."""
        told = yaml.safe_load(self.inventory.read_text(encoding="utf-8"))["tickbridge"]
        for name in self._machines:
            host = told["hosts"].setdefault(name, {"ansible_user": "pi"})
            host.update(variables[name])
        told["vars"].update({"base_health_timeout_s": 60, "bridge_settings": simulated()})
        self.inventory.write_text(yaml.safe_dump({"tickbridge": told}), encoding="utf-8")

    def play(self, book: str, *options: str) -> Played:
        """Run one of ansible/*.yml."""
        return self._run(BIN / "ansible-playbook", "-i", self.inventory, f"ansible/{book}", *options)

    def guided(self, act: str, *options: str, **variables: str) -> Played:
        """What `make pi`, `make pi-upgrade` and `make pi-rollback` run."""
        return self._run("scripts/pi", act, *options, **variables)

    def _run(self, *command: str | Path, **variables: str) -> Played:
        done = subprocess.run(
            command,
            cwd=self.checkout,
            env=self._environment() | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PLAYBOOK_S,
            check=False,
        )
        output = done.stdout + done.stderr
        return Played(done.returncode, output, {name: int(changed) for name, _, changed, *_ in RECAP.findall(output)})

    def password(self, machine: str, user: str) -> str:
        """What the vault has."""
        command = [BIN / "ansible-vault", "view", self.secrets / f"{machine}.yml"]
        done = subprocess.run(command, env=self._environment(), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return str(yaml.safe_load(done.stdout)[user])

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "ANSIBLE": str(BIN),
            "ANSIBLE_CONFIG": str(self.checkout / "ansible" / "ansible.cfg"),
            "ANSIBLE_HOME": str(self._folder / "ansible"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self._folder / "cp"),  # another run has machines of the same names
            "HOST": "",
            "NO_COLOR": "1",
            "PATH": f"{self._folder}/bin:{BIN}:{os.environ['PATH']}",
        }

    @property
    def made(self) -> Path:
        """The bundle of the program as it is here."""
        (made,) = (self.checkout / "dist" / "bundles").glob(f"tickbridge-{__version__}-????????-*.tar.gz")
        return made

    @property
    def authority(self) -> Path:
        """The certificate that clients are given."""
        return self.secrets / "ca.crt"


def checkout(folder: Path) -> Path:
    """All that is needed of this one to install it elsewhere: what is changed there is not changed here."""
    left_out = shutil.ignore_patterns(".*", "tests", "benchmarks", "node_modules", "dist", "secrets", "inventory.yml")
    shutil.copytree(ROOT, folder, ignore=left_out)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def as_config(machine: Machine) -> list[str]:
    """Its options for ssh as lines of ssh_config."""
    return [option.replace("=", " ", 1) for option in machine.options() if option != "-o"]


def simulated() -> dict[str, Any]:
    """Both exchanges, played on this machine."""
    return {
        "exchanges.kucoin.symbols": SYMBOLS,
        "exchanges.kucoin.rest_host": f"http://{HOST}:18081",
        "exchanges.binance.symbols": SYMBOLS,
        "exchanges.binance.rest_host": f"http://{HOST}:18082",
        "exchanges.binance.ws_host": f"ws://{HOST}:18082",
    }


def changed_bundle(made: Path, release: str, edits: Sequence[tuple[str, str, str]]) -> Path:
    """Another release of it, in which texts are replaced: (file in the wheel, old, new)."""
    work = made.parent / f"{release}.work"
    with tarfile.open(made) as opened:
        opened.extractall(work, filter="data")
    (wheel,) = work.glob("tickbridge-*.whl")
    edited = wheel.with_suffix(".new")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(edited, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            for _, before, after in (edit for edit in edits if edit[0] == name):
                assert before.encode() in content, f"{name} has no {before!r}"
                content = content.replace(before.encode(), after.encode())
            new.writestr(name, content)
    edited.replace(wheel)
    (work / "release").write_text(f"{release}\n", encoding="utf-8")
    name = re.sub(r"^tickbridge-.*?-py", f"tickbridge-{release}-py", made.name)
    with tarfile.open(made.with_name(name), "w:gz", compresslevel=1) as packed:
        packed.add(work, arcname=".")
    shutil.rmtree(work)
    return made.with_name(name)


def simulator() -> "subprocess.Popen[bytes]":
    """The exchanges, on this machine's end of the machines' network."""
    command: Sequence[str | Path] = [BIN / "tickbridge", "simulator", "--host", HOST]
    return subprocess.Popen(
        [*command, "--kucoin-port", "18081", "--binance-port", "18082", "--rate", "40"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def audit(machine: Machine) -> dict[str, Any]:
    """The whole report of `tickbridge audit`, which may say that something is missing."""
    done = machine.ssh("sudo tickbridge audit --json", check=False, timeout=90)
    assert done.stdout.lstrip().startswith("{"), done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert isinstance(told, dict)
    return told
