"""Mosquitto's state between memory and disk: whatever fails, the disk's copy is not lost."""

import resource
import shutil
import subprocess
from functools import partial
from pathlib import Path

import jinja2
import pytest

TEMPLATE = Path(__file__).parents[2] / "ansible/roles/mosquitto/templates/broker-state"
WHOLE = b"all that waits" * 1000
SMALL_BYTES = 4096
"""As large as a file may get where there is no room: less than the whole."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The script, whose user is this test's own, between `live` and `kept/mosquitto`."""
    values = {"ansible_managed": "", "mosquitto_state": f"{tmp_path}/live", "base_state": f"{tmp_path}/kept"}
    text = jinja2.Template(TEMPLATE.read_text(encoding="utf-8")).render(values)
    user = f"{tmp_path.stat().st_uid}:{tmp_path.stat().st_gid}"
    text = text.replace("mosquitto:mosquitto", user).replace("/run/tickbridge-broker-state", f"{tmp_path}/run")
    (tmp_path / "broker-state").write_text(text, encoding="utf-8")
    (tmp_path / "live").mkdir()
    (tmp_path / "kept" / "mosquitto").mkdir(parents=True)
    kept(tmp_path).write_bytes(WHOLE)
    return tmp_path


def kept(home: Path) -> Path:
    return home / "kept" / "mosquitto" / "mosquitto.db"


def live(home: Path) -> Path:
    return home / "live" / "mosquitto.db"


def broker_state(home: Path, act: str, most_bytes: int = resource.RLIM_INFINITY) -> int:
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))
    command = ["sh", str(home / "broker-state"), act]
    done = subprocess.run(command, preexec_fn=limit, capture_output=True, timeout=20, check=False)
    return done.returncode


def test_what_the_disk_has_is_restored_and_kept_again(home: Path) -> None:
    assert broker_state(home, "restore") == 0
    assert live(home).read_bytes() == WHOLE
    live(home).write_bytes(b"more")
    assert broker_state(home, "keep") == 0
    assert kept(home).read_bytes() == b"more"


def test_a_restore_that_fails_leaves_nothing_half_and_the_kept_copy_whole(home: Path) -> None:
    assert broker_state(home, "restore") == 0
    shutil.rmtree(home / "live")
    (home / "live").mkdir()
    assert broker_state(home, "restore", SMALL_BYTES) != 0
    assert list((home / "live").iterdir()) == []
    live(home).write_bytes(b"of a broker that knew nothing")
    assert broker_state(home, "keep") == 0
    assert kept(home).read_bytes() == WHOLE


def test_a_copy_that_fails_leaves_the_one_before(home: Path) -> None:
    assert broker_state(home, "restore") == 0
    live(home).write_bytes(WHOLE * 2)
    assert broker_state(home, "keep", SMALL_BYTES) != 0
    assert [path.name for path in kept(home).parent.iterdir()] == ["mosquitto.db"]
    assert kept(home).read_bytes() == WHOLE
