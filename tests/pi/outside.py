"""What another machine at home sees of a Pi: the page by https, the broker by TLS."""

import json
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.broker import binary
from tests.pi.machine import Machine

ANSWER_S = 10.0
REACH_S = 2.0


class Visitor:
    """A browser without a screen, which trusts our small authority alone."""

    def __init__(self, machine: Machine, authority: Path) -> None:
        self._address = f"https://{machine.address}:8000"
        trust = ssl.create_default_context(cafile=str(authority))
        self._open = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=trust),
            urllib.request.HTTPCookieProcessor(CookieJar()),
        ).open

    def get(self, path: str, token: str = "") -> tuple[int, str]:
        """Status and body."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self._send(urllib.request.Request(self._address + path, headers=headers))

    def log_in(self, password: str) -> tuple[int, str]:
        """What follows a password."""
        body = urlencode({"password": password}).encode()
        headers = {"Origin": self._address, "Content-Type": "application/x-www-form-urlencoded"}
        return self._send(urllib.request.Request(f"{self._address}/login", data=body, headers=headers))

    def _send(self, request: urllib.request.Request) -> tuple[int, str]:
        try:
            with self._open(request, timeout=ANSWER_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read().decode()

    def api(self, path: str, token: str) -> Any:
        """An answer of the HTTP API."""
        status, body = self.get(path, token)
        assert status == 200, f"{path}: {status} {body[:300]}"
        return json.loads(body)


def reachable(machine: Machine, port: int) -> bool:
    """Whether anybody answers there."""
    try:
        socket.create_connection((machine.address, port), timeout=REACH_S).close()
    except OSError:
        return False
    return True


def retain(machine: Machine, authority: Path, topic: str, payload: str, *, user: str, password: str) -> None:
    """A retained message."""
    command = [
        binary("mosquitto_pub"),
        "-h",
        machine.address,
        "-p",
        "8883",
        "--cafile",
        str(authority),
        "-r",
        "-q",
        "1",
    ]
    subprocess.run([*command, "-u", user, "-P", password, "-t", topic, "-m", payload], check=True, timeout=30)


def subscribe(
    machine: Machine, authority: Path, topic: str, *, user: str = "", password: str = "", port: int = 8883
) -> "subprocess.CompletedProcess[str]":
    """One message of a topic, as mosquitto_sub gets it."""
    command = [binary("mosquitto_sub"), "-h", machine.address, "-p", str(port), "-t", topic, "-C", "1", "-W", "15"]
    command += ["-u", user, "-P", password] if user else []
    command += ["--cafile", str(authority)] if port == 8883 else []
    return subprocess.run([*command, "-F", "%t %p"], capture_output=True, text=True, timeout=30, check=False)
