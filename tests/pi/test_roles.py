"""The playbooks without a machine: lint, syntax, every variable declared and documented, wrong ones refused by name."""

import json
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


def test_a_disk_for_the_data_is_checked_before_it_is_mounted(tmp_path: Path) -> None:
    variables = [f"@{ANSIBLE}/roles/base/defaults/main.yml", f"@{ANSIBLE}/roles/base/vars/main.yml"]
    variables += ['{"base_data_device":"UUID=6f1d-4bb2","ansible_facts":{"virtualization_tech_guest":[]}}']
    given = [word for one in variables for word in ("-e", one)]
    what = f"src={ANSIBLE}/roles/base/templates/data.mount dest={tmp_path}/data.mount"
    done = run(str(BIN / "ansible"), "localhost", "-c", "local", "-m", "template", "-a", what, *given, tmp=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    check = r"systemd-fsck@dev-disk-by\x2duuid-6f1d\x2d4bb2.service"
    assert {f"Requires={check}", f"After={check}"} <= set((tmp_path / "data.mount").read_text().splitlines())


FREE = {
    *("base_broker_user", "base_broker_password", "dashboard_guest_user", "dashboard_guest_password"),
    *("base_bundle_dir", "base_secrets_dir", "base_repositories", "telegraf_store"),
}
"""Any text will do, or what they must be is said where they are used."""


def test_every_variable_has_choices_or_a_rule() -> None:
    rules = read("base", "vars/main.yml")["base_rules"]
    assert isinstance(rules, list)
    ruled = {rule["name"] for rule in rules}
    for role in ROLES:
        specs = read(role, "meta/argument_specs.yml")["argument_specs"]
        assert isinstance(specs, dict)
        for name, option in specs["main"]["options"].items():
            assert "choices" in option or option["type"] == "bool" or name in ruled | FREE, name


def checked(tmp: Path, values: dict[str, str]) -> str:
    """Which variables break their rule, with these values and the defaults of all others."""
    variables = [f"@{ANSIBLE}/roles/{role}/defaults/main.yml" for role in ROLES]
    variables += [f"@{ANSIBLE}/roles/base/vars/main.yml", f"@{ANSIBLE}/roles/mosquitto/vars/main.yml"]
    facts = {"memtotal_mb": 4000, "hostname": "pi", "python": {"version": {"major": 3, "minor": 13}}}
    more = {"ansible_facts": facts, "playbook_dir": str(ANSIBLE)} | values
    given = [word for one in [*variables, json.dumps(more)] for word in ("-e", one)]
    what = "msg={{ base_rules | rejectattr('that') | map(attribute='name') | join(' ') }}!"
    done = run(str(BIN / "ansible"), "localhost", "-c", "local", "-m", "debug", "-a", what, *given, tmp=tmp)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_defaults_pass_every_rule_and_a_wrong_size_does_not(tmp_path: Path) -> None:
    assert "msg: '!'" in checked(tmp_path, {"bridge_memory_max": "1G"})
    assert "msg: bridge_memory_max!" in checked(tmp_path, {"bridge_memory_max": "much"})


def test_telegraf_is_given_no_broker_that_it_cannot_find(tmp_path: Path) -> None:
    existing = {"base_broker": "existing", "base_broker_host": "ha.local"}
    assert "msg: base_broker_host!" in checked(tmp_path, existing)
    assert "msg: '!'" in checked(tmp_path, existing | {"base_profile": "embedded"})
