"""The pure parts of the page, in Node."""

import subprocess
from pathlib import Path

import pytest

from dashboard.web.build import node_program

HERE = Path(__file__).parent


@pytest.mark.real
@pytest.mark.parametrize("file", sorted(path.name for path in HERE.glob("*.test.js")))
def test_pure_parts(file: str) -> None:
    done = subprocess.run(
        [node_program(), "--test", str(HERE / file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
