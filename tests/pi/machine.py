"""A Debian that boots, as a Raspberry Pi would: systemd-nspawn over a prepared root, in a network namespace of its own.

Its disk outlives `kill`, which is what a power cut is. Needs root; what is missing is skipped by name, or fails in CI.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import Self

from tests.broker import wait_until
from tests.missing import missing

ROOT = Path(__file__).parents[2]
PROGRAMS = ("systemd-nspawn", "ip", "ssh", "ssh-keygen", "debootstrap")
BOOT_S = 60.0
PARTS_S = 900
NUMBER = os.environ.get("TICKBRIDGE_PI_NETWORK", "77")
"""Another number for each run beside another."""
NETWORK = f"10.213.{NUMBER}"
"""Nobody else's: between this machine and the namespaces alone."""
HOST = f"{NETWORK}.1"
LINK = f"tbpi{NUMBER}"
CLOCK_IS_RIGHT = "etc/tmpfiles.d/clock.conf"
"""At each boot it does what systemd-timesyncd does once it has set the clock."""


CGROUPS = [Path("/sys/fs/cgroup", name) for name in ("systemd", "unified", "")]
"""Where systemd keeps its units: in v1, in v2 beside it, in v2 alone."""
ENTER = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"'


class Parts:
    """Where .ci/pi has put the root and the packages."""

    def __init__(self) -> None:
        if not sys.platform.startswith("linux") or os.geteuid() != 0:
            missing("only root on Linux can boot a Debian in systemd-nspawn")
        made = subprocess.run([ROOT / ".ci" / "pi"], capture_output=True, text=True, timeout=PARTS_S, check=False)
        if made.returncode:
            missing(f".ci/pi: {made.stderr[-500:]}")
        for program in PROGRAMS:
            if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
                missing(program)
        root, packages = made.stdout.split()
        self.root = Path(root) / "root"
        self.packages = Path(packages)


@cache
def parts() -> Parts:
    """Once for all tests."""
    return Parts()


class Network:
    """A bridge on this machine with HOST as its address; nothing routes it any further."""

    def __enter__(self) -> Self:
        self.__exit__()
        quiet("ip", "link", "add", LINK, "type", "bridge")
        quiet("ip", "addr", "add", f"{HOST}/24", "dev", LINK)
        quiet("ip", "link", "set", LINK, "up")
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["ip", "link", "del", LINK], capture_output=True, check=False)


class Machine:
    """`number` is the last part of its address. `ssh` runs a line as the user pi, who may sudo."""

    def __init__(self, folder: Path, name: str, number: int, key: Path) -> None:
        self.folder, self.name, self.key = folder, name, key
        self.address = f"{NETWORK}.{number}"
        self.root = folder / "root"
        self._space = f"{LINK}-{number}"
        self.disks: list[Path] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        try:
            self._mount()
            self._connect()
            self._name()
            self.boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._closing.close()

    def _mount(self) -> None:
        quiet("mount", "-t", "tmpfs", "-o", "size=3g", "tbpi", str(self.folder))
        self._closing.callback(quiet, "umount", "--lazy", str(self.folder))
        for one in ("upper", "work", "root"):
            (self.folder / one).mkdir()
        layers = f"lowerdir={parts().root},upperdir={self.folder}/upper,workdir={self.folder}/work"
        quiet("mount", "-t", "overlay", "overlay", "-o", layers, str(self.root))
        self._closing.callback(quiet, "umount", "--lazy", str(self.root))

    def _connect(self) -> None:
        for left in ("netns", "link"):  # of a test that was killed
            subprocess.run(["ip", left, "del", self._space], capture_output=True, check=False)
        quiet("ip", "netns", "add", self._space)
        self._closing.callback(quiet, "ip", "netns", "del", self._space)
        quiet("ip", "link", "add", self._space, "type", "veth", "peer", "name", "eth0", "netns", self._space)
        quiet("ip", "link", "set", self._space, "master", LINK, "up")
        quiet("ip", "-n", self._space, "addr", "add", f"{self.address}/24", "dev", "eth0")
        quiet("ip", "-n", self._space, "link", "set", "eth0", "up")
        quiet("ip", "-n", self._space, "link", "set", "lo", "up")
        quiet("ip", "-n", self._space, "route", "add", "default", "via", HOST)

    def _name(self) -> None:
        self.write("etc/hostname", f"{self.name}\n")
        self.write("etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n")
        self.write("etc/resolv.conf", "")
        self.write(CLOCK_IS_RIGHT, "d /run/systemd/timesync\nf /run/systemd/timesync/synchronized\n")
        self.write("home/pi/.ssh/authorized_keys", self.key.with_suffix(".pub").read_text())
        quiet("chroot", str(self.root), "chown", "-R", "pi:pi", "/home/pi/.ssh")
        quiet("chroot", str(self.root), "ssh-keygen", "-A")

    def write(self, path: str, text: str) -> None:
        """A file on its disk, past the running system."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True, mode=0o700 if ".ssh" in path else 0o755)
        (self.root / path).write_text(text, encoding="utf-8")

    def boot(self) -> None:
        """On; back when it answers."""
        log = (self.folder / "console.log").open("ab")
        command = [
            "systemd-nspawn",
            "-D",
            str(self.root),
            "--register=no",
            "--keep-unit",
            "--boot",
            "--resolv-conf=off",
        ]
        command += ["--console=read-only", f"--network-namespace-path=/run/netns/{self._space}"]
        # reading whether the clock is right, and locking memory: both are usual on a machine
        command += ["--system-call-filter=adjtimex clock_adjtime @memlock"]
        command += ["--capability=CAP_NET_ADMIN", *(f"--bind={disk}" for disk in self.disks)]
        groups = self._cgroups()
        for group in groups:
            group.mkdir(exist_ok=True)
        command = ["sh", "-c", ENTER, "boot", *map(str, groups), "--", *command]
        with log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_until(lambda: self.ssh("true", check=False).returncode == 0, BOOT_S, self._console)

    def kill(self) -> None:
        """The plug is pulled: its first process is killed, and the kernel kills all others in it at once."""
        if self._process is not None:
            pid = self._process.pid
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)
            self._process.wait(timeout=20)
            self._process = None
            for group in self._cgroups():
                remove(group)

    def _cgroups(self) -> list[Path]:
        """Of its own: two systems in one would now and then take the other's units away."""
        return [root / self._space for root in CGROUPS if (root / "cgroup.procs").exists()]

    def ssh(self, line: str, *, check: bool = True, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
        """One line of shell there."""
        command = ["ssh", *self.options(), "-i", str(self.key), f"pi@{self.address}", line]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        assert not check or done.returncode == 0, f"{self.name}: {line}\n{done.stdout}{done.stderr}"
        return done

    def options(self) -> Sequence[str]:
        """What ssh needs to reach a machine that was never seen before."""
        known = f"UserKnownHostsFile={self.folder}/known"
        return ["-o", "StrictHostKeyChecking=accept-new", "-o", known, "-o", "ConnectTimeout=5", "-o", "LogLevel=ERROR"]

    def _console(self) -> str:
        return f"{self.name} does not boot:\n" + (self.folder / "console.log").read_text(errors="replace")[-3000:]


def quiet(*command: str) -> None:
    """Run it; what it says is only told if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


def remove(group: Path) -> None:
    """A cgroup with all in it; one that is still busy stays, and is entered again."""
    with suppress(OSError):
        for folder, _, _ in os.walk(group, topdown=False):
            os.rmdir(folder)
