"""The unit of docs/operations.md: systemd takes it, and `up` runs, tells and stops as the unit wants it."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.broker import free_ports, wait_until
from tests.clients.snippets import ROOT, blocks

TEXT = blocks(ROOT / "docs" / "operations.md")["tickbridge.service"]
PROGRAM = "%h/tickbridge/.venv/bin/tickbridge"


@pytest.mark.real
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("more", ["", "Type=notify\nWatchdogSec=60\n"])
def test_systemd_accepts_the_unit(more: str, tmp_path: Path) -> None:
    unit = tmp_path / "tickbridge.service"
    unit.write_text(TEXT.replace(PROGRAM, sys.executable).replace("[Service]\n", f"[Service]\n{more}"))
    environment = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    command = ["systemd-analyze", "verify", "--user", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.real
def test_what_the_unit_starts_tells_the_journal_and_stops_in_order_at_sigterm(tmp_path: Path) -> None:
    unit = ConfigParser(interpolation=None)
    unit.read_string(TEXT)
    program, *arguments = shlex.split(unit["Service"]["ExecStart"])
    assert program == PROGRAM
    ports = zip(("broker.port", "dashboard.mqtt_websocket_port", "dashboard.port"), free_ports(3), strict=True)
    own = [
        "--data-dir",
        str(tmp_path / "ticks"),
        *(part for name, port in ports for part in ("--set", f"{name}={port}")),
    ]
    with (tmp_path / "journal").open("wb") as journal:
        command = [sys.executable, "-m", "bridge.cli", *arguments, *own]
        environment = os.environ | {"TICKBRIDGE_CONFIG": ""}
        process = subprocess.Popen(command, stdout=journal, stderr=subprocess.STDOUT, env=environment)
    try:
        wait_until(lambda: "Ctrl-C" in said(tmp_path), 30, lambda: said(tmp_path))
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(float(unit["Service"]["TimeoutStopSec"])) == 0
    lines = [line for line in said(tmp_path).splitlines() if "dashboard.serve" in line]
    assert lines
    assert all(re.match(r"<\d>", line) for line in lines), "with the journal's priorities, without a time of our own"


def said(folder: Path) -> str:
    return (folder / "journal").read_text(encoding="utf-8")
