"""What a process imports, it keeps in memory for as long as it runs: neither pays for what only others need."""

import subprocess
import sys

import pytest

HEAVY = {"influxdb_client", "pandas", "reactivex", "pyarrow", "tqdm", "websockets.sync", "tkinter", "unittest", "numpy"}
WEB = {"starlette", "uvicorn", "websockets"}
LINES = {"aiohttp", "picows", "bridge.exchanges"}


def imported(statement: str) -> set[str]:
    """The modules that are there after a statement in a fresh process."""
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )


@pytest.mark.parametrize(
    ("statement", "foreign"),
    [
        ("import bridge.app", HEAVY | WEB | {"aiohttp.web", "dashboard", "bridge.simulator"}),
        ("import dashboard.serve", HEAVY | LINES | {"bridge.bridge", "dashboard.history.influx"}),
        ("import bridge.cli", HEAVY | WEB | LINES | {"aiomqtt", "uvloop", "bridge.app", "dashboard"}),
    ],
)
def test_a_process_imports_only_what_it_needs(statement: str, foreign: set[str]) -> None:
    assert imported(statement) & foreign == set()
