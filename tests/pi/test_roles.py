"""The playbooks without a machine: lint, syntax, every variable declared and documented, wrong ones refused by name."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from bridge.access import USERS

ROOT = Path(__file__).parents[2]
ANSIBLE = ROOT / "ansible"
ROLES = sorted(path.name for path in (ANSIBLE / "roles").iterdir())
BIN = Path(sys.executable).parent


def run(*command: str, tmp: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    mine = {"ANSIBLE_HOME": str(tmp), "TICKBRIDGE_SECRETS": str(tmp / "secrets"), "NO_COLOR": "1"}
    mine |= {"PATH": f"{BIN}:{os.environ['PATH']}", "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg")}
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | mine | environment, capture_output=True, text=True, timeout=110, check=False
    )


def read(role: str, path: str) -> dict[str, object]:
    found = yaml.safe_load((ANSIBLE / "roles" / role / path).read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def declared(role: str) -> set[str]:
    return set(
        yaml.safe_load((ANSIBLE / "roles" / role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"][
            "options"
        ]
    )


def test_lint_has_nothing_to_say(tmp_path: Path) -> None:
    done = run(str(BIN / "ansible-lint"), "--offline", "--nocolor", "-q", "ansible", tmp=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_of_a_role_is_declared_and_has_a_default(role: str) -> None:
    assert set(read(role, "defaults/main.yml")) == declared(role)


def written(value: object) -> str:
    """A default as the table of variables has it; what has no short form stands in its words."""
    if isinstance(value, bool):
        return f"`{value}`".lower()
    short = isinstance(value, int) or (isinstance(value, str) and value and "{{" not in value)
    return f"`{value}`" if short else ""


def test_every_variable_is_documented_with_its_default() -> None:
    text = (ROOT / "docs" / "pi.md").read_text(encoding="utf-8")
    told = {name: default.strip() for name, default in re.findall(r"^\| `(\w+)` \|([^|]*)\|", text, re.MULTILINE)}
    made = {name: written(value) for role in ROLES for name, value in read(role, "defaults/main.yml").items()}
    assert {name: default for name, default in told.items() if "_" in name} == made


def test_the_broker_gets_every_value_that_its_files_ask_for() -> None:
    values = read("mosquitto", "vars/main.yml")
    for name, given in (("mosquitto.conf", "mosquitto_values"), ("acl", "mosquitto_acl_values")):
        asked = set(re.findall(r"\$\{(\w+)\}", (ROOT / "mosquitto" / name).read_text()))
        found = values[given]
        assert isinstance(found, dict)
        assert asked == set(found)
    assert read("base", "vars/main.yml")["base_users"] == list(USERS)


def test_at_an_existing_broker_the_page_has_its_visitors_go_there(tmp_path: Path) -> None:
    variables = [f"@{ANSIBLE}/roles/{role}/defaults/main.yml" for role in ("base", "dashboard", "bridge")]
    variables += [f"@{ANSIBLE}/roles/base/vars/main.yml", '{"base_broker":"existing","base_broker_host":"ha.local"}']
    given = [word for one in variables for word in ("-e", one)]
    what = f"src={ANSIBLE}/roles/base/templates/tickbridge.toml dest={tmp_path}/tickbridge.toml"
    done = run(str(BIN / "ansible"), "localhost", "-c", "local", "-m", "template", "-a", what, *given, tmp=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    told = tomllib.loads((tmp_path / "tickbridge.toml").read_text())
    assert (told["dashboard"]["mqtt_websocket_host"], told["broker"]["host"]) == ("ha.local", "ha.local")
