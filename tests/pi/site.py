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
    """An inventory of these machines, secrets of its own, and bundles to install."""

    def __init__(
        self, folder: Path, machines: Mapping[str, Machine], variables: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self.folder = folder
        self.secrets = folder / "secrets"
        self.bundles = folder / "bundles"
        self._inventory = folder / "inventory.yml"
        hosts = {name: self._host(machine) | variables[name] for name, machine in machines.items()}
        everywhere = {"base_bundle_dir": str(self.bundles), "base_health_timeout_s": 60, "bridge_settings": simulated()}
        told = {"tickbridge": {"hosts": hosts, "vars": everywhere}}
        self._inventory.write_text(yaml.safe_dump(told), encoding="utf-8")

    def _host(self, machine: Machine) -> dict[str, Any]:
        return {
            "ansible_host": machine.address,
            "ansible_user": "pi",
            "ansible_ssh_private_key_file": str(machine.key),
            "ansible_ssh_common_args": " ".join(machine.options()),
        }

    def play(self, book: str, *options: str) -> Played:
        """Run one of ansible/*.yml."""
        command = [BIN / "ansible-playbook", "-i", str(self._inventory), ROOT / "ansible" / book, *options]
        done = subprocess.run(
            command,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=PLAYBOOK_S,
            check=False,
            cwd=self.folder,
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
            "ANSIBLE_CONFIG": str(ROOT / "ansible" / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "TICKBRIDGE_SECRETS": str(self.secrets),
            "NO_COLOR": "1",
            "PATH": f"{BIN}:{os.environ['PATH']}",
        }

    @property
    def authority(self) -> Path:
        """The certificate that clients are given."""
        return self.secrets / "ca.crt"


def simulated() -> dict[str, Any]:
    """Both exchanges, played on this machine."""
    return {
        "exchanges.kucoin.symbols": SYMBOLS,
        "exchanges.kucoin.rest_host": f"http://{HOST}:18081",
        "exchanges.binance.symbols": SYMBOLS,
        "exchanges.binance.rest_host": f"http://{HOST}:18082",
        "exchanges.binance.ws_host": f"ws://{HOST}:18082",
    }


def bundle(folder: Path, python: str) -> Path:
    """The program as it is here, for machines like this one."""
    command = [ROOT / "scripts" / "bundle", "--arch", os.uname().machine, "--python", python, "--to", folder]
    subprocess.run(command, check=True, capture_output=True, timeout=120, env=os.environ | {"PYTHON": sys.executable})
    (made,) = folder.glob("*.tar.gz")
    return made


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
