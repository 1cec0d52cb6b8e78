"""The house's own rules, where no other tool looks."""

import re
import subprocess
from pathlib import Path

from tests.missing import missing

ROOT = Path(__file__).parents[1]
PROGRAMS = [f".ci/{name}" for name in ("run", "parts", "engine", "compose", "base", "image", "telegraf", "influxd")]
LOCKS = sorted(ROOT.glob("requirements*.lock"))


def tracked() -> list[Path]:
    """The files that are, or would be, under version control."""
    found = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        missing("not in a git checkout")
    return [path for line in found.stdout.splitlines() if (path := ROOT / line).is_file()]


def test_locks_have_a_hash_for_every_package_and_no_address() -> None:
    assert len(LOCKS) == 4
    for lock in LOCKS:
        text = lock.read_text()
        packages = re.split(r"^(?=\S)", text, flags=re.M)[1:]
        assert packages
        assert all("==" in one and "--hash=sha256:" in one for one in packages), lock.name
        assert "://" not in text


def test_test_lock_agrees_with_the_run_lock() -> None:
    def versions(name: str) -> dict[str, str]:
        return dict(re.findall(r"^(\S+)==(\S+)", (ROOT / name).read_text(), re.M))

    assert versions("requirements.lock").items() <= versions("requirements-test.lock").items()


def test_files_that_are_run_can_be_run() -> None:
    for name in (*PROGRAMS, "scripts/venv", "scripts/system-package"):
        assert (ROOT / name).stat().st_mode & 0o111, name


def test_no_package_registry_is_named() -> None:
    hosts = ("pypi" + ".org", "files.python" + "hosted", "npmjs" + ".org", "registry" + ".npm", "registry." + "yarn")
    named = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.suffix != ".png" and any(host in path.read_bytes().decode("utf-8", "replace") for host in hosts)
    ]
    assert named == []


def test_only_the_verbs_know_the_dashboard() -> None:
    knowing = {
        path.name
        for path in (ROOT / "bridge").rglob("*.py")
        if re.search(r"^\s*(from|import) dashboard", path.read_text(), re.M)
    }
    assert knowing == {"verbs.py"}


def test_topics_are_spelled_in_one_file() -> None:
    """A root followed by / in a string of any other file would be a second spelling (but not JSON that is shown)."""
    spelled = re.compile(
        r"""(?<!:)["'](?:prices|trades|candles|latest|forming|stats|health|gaps|errors|catalogue|jobs)/"""
    )
    guilty = [
        str(path.relative_to(ROOT))
        for folder in ("bridge", "dashboard")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "topics.py" and "node_modules" not in path.parts and spelled.search(path.read_text())
    ]
    assert guilty == []
