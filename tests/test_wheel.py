"""What is installed on a machine without a checkout: every file that the program reads is in the wheel."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PARTS = {"mosquitto": "bridge/_files/mosquitto", "telegraf": "bridge/_files/telegraf", "bridge": "bridge"}
PARTS |= {"dashboard/store": "dashboard/store"}
KINDS = {".flux", ".conf", ".toml", ".star", ""}


def needed() -> set[str]:
    """Their names in the wheel."""
    return {
        f"{inside}/{path.relative_to(ROOT / folder)}"
        for folder, inside in PARTS.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix in KINDS and "__pycache__" not in path.parts
    }


def test_every_file_that_the_program_reads_is_in_the_wheel(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"bridge/_files/telegraf/telegraf.conf", "bridge/_files/mosquitto/acl"} <= needed()
    assert any(name.endswith(".flux") for name in needed())
    assert needed() - names == set()
