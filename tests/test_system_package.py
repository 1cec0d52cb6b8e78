"""Installing what the system lacks: what a broken package source may spoil, and what not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
APT = """#!/bin/sh
case "$*" in *update*) exit 100 ;; *" away") exit 100 ;; esac
echo "$*" >>"$APT_LOG"
"""
SUDO = '#!/bin/sh\n[ "$1" = -n ] && shift\nexec "$@"\n'


@pytest.mark.skipif(sys.platform != "linux", reason="apt is Debian's")
@pytest.mark.parametrize(("package", "code"), [("here", 0), ("away", 1)])
def test_a_source_that_is_out_of_order_stops_only_what_needs_it(tmp_path: Path, package: str, code: int) -> None:
    log = tmp_path / "log"
    log.touch()
    for name, text in (("apt-get", APT), ("sudo", SUDO)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "APT_LOG": str(log)}
    command = [ROOT / "scripts" / "system-package", package, "no-such-program"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code
    assert "apt-get update failed: going on" in done.stderr
    assert log.read_text().endswith(f"install -y --no-install-recommends {package}\n") == (code == 0)
    assert ("That failed. Type: sudo apt-get update" in done.stderr) == (code == 1)
