"""The machines of an inventory, for scripts/pi. `ansible-inventory --list` comes in as JSON.

pi_hosts.py ssh: a line for each, with the words that ssh needs, quoted for a shell, its target last. HOST, PROFILE and
DATA of the environment must not contradict the inventory.
pi_hosts.py words: what to do next, when it runs.
Exit code 1: there is no machine, or a contradiction; a line says what to change.
"""

import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from typing import Any

Machine = tuple[str, Mapping[str, Any]]
"""Its name in the inventory, and its variables."""
ONCE = {"PROFILE": ("base_profile", "full"), "DATA": ("base_data_device", "")}
"""What `make pi` writes into the inventory the first time: the variable that it becomes, and its default."""


def members(listed: Mapping[str, Any], group: str) -> Iterator[str]:
    """The names of all machines of a group and of the groups in it."""
    found = listed.get(group, {})
    yield from found.get("hosts", [])
    for child in found.get("children", []):
        yield from members(listed, child)


def machines(listed: Mapping[str, Any]) -> list[Machine]:
    """Those that the playbooks are for."""
    variables = listed.get("_meta", {}).get("hostvars", {})
    return [(name, variables.get(name, {})) for name in dict.fromkeys(members(listed, "tickbridge"))]


def target(machine: Machine) -> str:
    """As ssh names it."""
    name, variables = machine
    user, host = variables.get("ansible_user"), variables.get("ansible_host", name)
    return f"{user}@{host}" if user else str(host)


def ssh_words(machine: Machine) -> list[str]:
    """What Ansible would tell ssh, its target last. Raises ValueError, naming the variable, if a quote has no end."""
    name, variables = machine
    words = []
    for variable in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        try:
            words += shlex.split(str(variables.get(variable) or ""))
        except ValueError as error:
            raise ValueError(f"{name}: {variable}: {error}") from error
    for option, names in (
        ("-p", ("ansible_port", "ansible_ssh_port")),
        ("-i", ("ansible_ssh_private_key_file", "ansible_private_key_file")),
    ):
        words += next(([option, str(variables[name])] for name in names if variables.get(name)), [])
    return [*words, target(machine)]


def contradiction(found: list[Machine], given: Mapping[str, str]) -> str:
    """What is given and is otherwise in the inventory, with the cure; empty: nothing."""
    inventory, host = given.get("INVENTORY", "the inventory"), given.get("HOST", "")
    if not found:
        return f"{inventory} names no machine below tickbridge: hosts: (ansible/inventory.example.yml shows how)"
    if host and host not in map(target, found):
        mine = " ".join(map(target, found))
        return f"{inventory} is for {mine}, and not for {host}: change it, or name another by INVENTORY=..."
    for name, (variable, default) in ONCE.items():
        was = {str(variables.get(variable, default)) for _, variables in found}
        if given.get(name) and given[name] not in was:
            return f"{name}={given[name]} counts the first time only: change {variable} in {inventory}"
    return ""


def page(machine: Machine) -> str:
    """Where people find it."""
    _, variables = machine
    host, port = target(machine).rpartition("@")[2], variables.get("dashboard_port", 8000)
    if variables.get("base_lan", True) is False:
        return f"http://127.0.0.1:{port} on the Pi alone (from here: ssh -L {port}:127.0.0.1:{port} {target(machine)})"
    plain = variables.get("base_tls") == "none" or variables.get("base_broker") == "existing"
    return f"{'http' if plain else 'https'}://{f'[{host}]' if ':' in host else host}:{port}"


def words(found: list[Machine], secrets: str, ansible: str) -> Iterator[str]:
    """What to do next."""
    for machine in found:
        yield f"Tickbridge runs on {machine[0]}. The page: {page(machine)}"
        view = f"{ansible}/ansible-vault view --vault-password-file ansible/vault-password"
        yield f"  its password, and those of MQTT clients:  {view} {secrets}/{machine[0]}.yml"
    yield f"Browsers and MQTT clients need {secrets}/ca.crt, your own certificate authority (if base_tls is own)."
    yield f"Keep a copy of {secrets} in a safe place."


def main() -> int:
    """Read, check, tell."""
    found = machines(json.load(sys.stdin))
    if wrong := contradiction(found, os.environ):
        print(wrong, file=sys.stderr)
        return 1
    if sys.argv[1] == "ssh":
        try:
            lines = [shlex.join(ssh_words(machine)) for machine in found]
        except ValueError as error:
            print(error, file=sys.stderr)
            return 1
    else:
        secrets = os.environ.get("TICKBRIDGE_SECRETS") or "ansible/secrets"
        lines = list(words(found, secrets, os.environ["ANSIBLE"]))
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
