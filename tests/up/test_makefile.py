"""What `make` does again and what it does not, with programs in place of Python and pip that only write down calls."""

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
PAGE = "dashboard/static/index.html"
VENV = """#!/usr/bin/env bash
[[ -e .venv/bin/python ]] && exit
rm -rf .venv && mkdir -p .venv/bin && cp python .venv/bin/python && echo venv >>calls
"""
PYTHON = f"""#!/usr/bin/env bash
case "$*" in
  *build.py) mkdir -p dashboard/static && touch {PAGE} && echo page >>calls ;;
  *) echo pip >>calls ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name, text in {"scripts/venv": VENV, "python": PYTHON}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    for name in ("requirements.lock", "requirements-build.lock", "pyproject.toml", "dashboard/web/page.js"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert made(tmp_path) == {"venv", "pip", "page"}
    return tmp_path


def made(checkout: Path) -> set[str]:
    """What `make` did to have the page and its packages."""
    calls = checkout / "calls"
    calls.write_text("")
    subprocess.run(["make", "-j2", PAGE], cwd=checkout, check=True, capture_output=True, timeout=30)
    return set(calls.read_text().split())


def test_what_is_there_is_not_made_again(checkout: Path) -> None:
    assert made(checkout) == set()


def test_page_that_was_deleted_is_built_again(checkout: Path) -> None:
    shutil.rmtree(checkout / "dashboard/static")
    assert made(checkout) == {"page"}
    assert made(checkout) == set()


def test_environment_whose_python_is_gone_is_made_again_with_its_packages(checkout: Path) -> None:
    (checkout / ".venv/bin/python").unlink()
    assert made(checkout) == {"venv", "pip"}
    assert made(checkout) == set()


def test_packages_are_installed_again_when_their_lock_changes(checkout: Path) -> None:
    (checkout / "requirements.lock").write_text("another==1")
    assert made(checkout) == {"pip"}
