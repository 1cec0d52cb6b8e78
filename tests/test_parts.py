"""The cache of .ci/parts: what was made is used again, and what failed half-way is never taken for made."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def kept(cache: Path, make: str) -> "subprocess.CompletedProcess[str]":
    script = f"""
set -euo pipefail
source .ci/lib
make() {{ {make}; }}
made=$(kept thing 1 make)
echo "$made"
"""
    environment = os.environ | {"TICKBRIDGE_PARTS": str(cache)}
    return subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def test_what_was_made_is_used_again(tmp_path: Path) -> None:
    first = kept(tmp_path, 'echo one; echo x >"$1/file"')
    assert (first.returncode, first.stdout) == (0, f"{tmp_path}/thing-1\n")
    assert kept(tmp_path, "false").stdout == first.stdout
    assert (tmp_path / "thing-1" / "file").read_text() == "x\n"


@pytest.mark.parametrize("make", ["false", 'echo x >"$1/file"; false; echo "$1"', 'false; touch "$1/file"'])
def test_what_fails_on_the_way_is_not_kept(tmp_path: Path, make: str) -> None:
    failed = kept(tmp_path, make)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "that failed: make" in failed.stderr
    assert not (tmp_path / "thing-1").exists()
    assert kept(tmp_path, 'touch "$1/file"').returncode == 0
