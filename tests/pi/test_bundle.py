"""The program as a bundle: all that a Pi without internet needs, for its processor and its Python."""

import re
import subprocess
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "dashboard" / "static" / "index.html"
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_what_is_installed_does_not_depend_on_where_it_is_bundled() -> None:
    markers = set(re.findall(r"^\S+ ; (.*?) ?\\$", LOCK, re.MULTILINE))
    assert markers <= {"sys_platform == 'win32'"}, "pip download reads markers for this machine, not for the Pi"


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_a_pi_can_be_given_every_locked_package(python: str, tmp_path: Path) -> None:
    assert PAGE.exists(), "make dashboard/static/index.html"
    command = [ROOT / "scripts" / "bundle", "--arch", "aarch64", "--python", python, "--to", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    (bundle,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(bundle) as opened:
        names = [Path(name) for name in opened.getnames()]
        (wheel,) = (member for member in opened.getmembers() if re.match(r"\./tickbridge-.*\.whl$", member.name))
        inside = zipfile.ZipFile(BytesIO(opened.extractfile(wheel).read())).namelist()  # type: ignore[union-attr]
    wheels = {name.name for name in names if name.parent.name == "wheels"}
    locked = set(re.findall(r"^([a-z0-9-]+)==", LOCK, re.MULTILINE)) - {"colorama"}
    assert {re.split("-", name)[0].lower().replace("_", "-") for name in wheels} == locked
    assert all(name.endswith(("aarch64.whl", "-any.whl")) for name in wheels)
    assert "dashboard/static/index.html" in inside
