"""A real, private Mosquitto from our own mosquitto/ files, on free loopback ports, for the tests."""

import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bridge.brokerfiles import AclValues, BrokerValues, Tls, render, render_acl

START_S = 10.0
PASSWORDS = {
    "bridge": "bridge-secret",
    "dashboard": "dashboard-secret",
    "telegraf": "telegraf-secret",
    "homeassistant": "homeassistant-secret",
    "operator": "operator-secret",
    "guest": "guest-secret",
}


def binary(name: str = "mosquitto") -> str:
    """The system's program. Raises FileNotFoundError with the cure."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")
    if found is None:
        raise FileNotFoundError(f"{name} is not installed: apt-get install mosquitto mosquitto-clients")
    return found


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Broker:
    """`with_users`: everyone of PASSWORDS and our access list; else anybody may do anything.

    `replace` changes lines of the configuration (`{"autosave_interval 30": "autosave_interval 1"}`); `acl` stands in
    for our access list, `passwords` for those. With
    `tls` the websockets are encrypted, and so is MQTT on its port. The folder keeps the persistence over restarts.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        folder: Path,
        *,
        with_users: bool = False,
        prefix: str = "",
        acl: str | None = None,
        passwords: Mapping[str, str] = PASSWORDS,
        tls: Tls | None = None,
        replace: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.with_users = with_users
        self._passwords = passwords
        self._tls = tls
        self.port, self.ws_port = free_ports(2)
        self._prefix = prefix
        self._acl = acl
        self.replace = replace or {}
        self._process: subprocess.Popen[bytes] | None = None

    # --- who and where ------------------------------------------------------------------------------
    def credentials(self, name: str = "bridge") -> tuple[str | None, str | None]:
        """User and password, or (None, None) where anybody may connect."""
        return (name, self._passwords[name]) if self.with_users else (None, None)

    @property
    def user(self) -> str | None:
        return self.credentials()[0]

    @property
    def password(self) -> str | None:
        return self.credentials()[1]

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def log(self) -> str:
        """Everything the broker said so far."""
        return (self.folder / "log").read_text(errors="replace")

    # --- its life -----------------------------------------------------------------------------------
    def start(self) -> "Broker":
        """Start it and wait until both ports answer."""
        self._write_files()
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([binary(), "-c", str(self.folder / "mosquitto.conf")], stderr=log)
        wait_until(self._answers, START_S, lambda: f"mosquitto does not start:\n{self.log}")
        return self

    def stop(self) -> None:
        """SIGTERM: it says goodbye and saves. Does nothing if it does not run."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._end(signal.SIGTERM)

    def kill9(self) -> None:
        """Gone without a word: what it acknowledged since its last save is forgotten."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Again with the same ports and the same persistence, whatever state it is in."""
        self.stop()
        self.start()

    def stop_process(self) -> None:
        """SIGSTOP: the line stays open, nothing moves."""
        self._running().send_signal(signal.SIGSTOP)

    def continue_process(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def save(self) -> None:
        """SIGUSR1: write the persistence file now; waits until it is there."""
        file = self.folder / "data" / "mosquitto.db"
        before = file.stat().st_mtime_ns if file.exists() else 0
        self._running().send_signal(signal.SIGUSR1)
        wait_until(lambda: file.exists() and file.stat().st_mtime_ns > before, START_S, lambda: "does not save")

    def __enter__(self) -> "Broker":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- inside -------------------------------------------------------------------------------------
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the broker does not run"
        return self._process

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._running(), None
        process.send_signal(number)
        try:
            process.wait(START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _answers(self) -> bool:
        if self._running().poll() is not None:
            raise RuntimeError(f"mosquitto ended at once:\n{self.log}")
        return all(listens(port) for port in (self.port, self.ws_port))

    def _write_files(self) -> None:
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        self._write_users()
        text = render(
            BrokerValues(
                port=self.port,
                ws_port=self.ws_port,
                persistence_dir=data,
                system_user=getpass.getuser(),
                password_file=self.folder / "passwords",
                acl_file=self.folder / "acl",
                tls=self._tls,
            )
        )
        if not self.with_users:
            text = open_to_all(text)
        for old, new in self.replace.items():
            assert old in text, f"{old!r} is not in mosquitto.conf"
            text = text.replace(old, new)
        (self.folder / "mosquitto.conf").write_text(text)

    def _write_users(self) -> None:
        passwords = self.folder / "passwords"
        private(passwords, "".join(f"{name}:{secret}\n" for name, secret in self._passwords.items()))
        subprocess.run([binary("mosquitto_passwd"), "-U", str(passwords)], check=True, capture_output=True)
        private(self.folder / "acl", self._acl or render_acl(AclValues(prefix=self._prefix)))


def open_to_all(configuration: str) -> str:
    """Anybody may do anything. Not by a list that allows it: with one, Mosquitto keeps nothing for a nameless session
    that it has read from its disk."""
    allowed = configuration.replace("allow_anonymous false", "allow_anonymous true")
    return re.sub(r"(?m)^acl_file .*$", "", allowed)


def private(path: Path, text: str) -> None:
    """Write a file that only we can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def listens(port: int) -> bool:
    """Whether somebody on this machine accepts connections there."""
    with socket.socket() as one:
        one.settimeout(1.0)
        return one.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], bool], seconds: float, otherwise: Callable[[], str]) -> None:
    """Wait for a condition, in a test that has no event loop."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise())
        time.sleep(0.01)


def run_client(arguments: Sequence[str], timeout_s: float = 20.0) -> str:
    """One of Mosquitto's own clients to its end; what it printed."""
    program, *rest = arguments
    return subprocess.run(
        [binary(program), *rest], check=True, capture_output=True, timeout=timeout_s, text=True
    ).stdout
