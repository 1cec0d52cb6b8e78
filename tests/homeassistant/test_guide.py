"""The guide for Home Assistant says what is true: its entities exist, its pieces are in Home Assistant's own words."""

import os
import re
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml

from bridge.homeassistant.entities import EXPIRE_S
from bridge.loading import load
from bridge.mistakes import names
from bridge.settings import Broker, Settings
from bridge.up.users import PLACE, Users
from tests.clients.snippets import ROOT, blocks
from tests.homeassistant.guide import AUTOMATIONS, GUIDE, announced, everything, named, piece

KEYS = {
    ("trigger", "numeric_state"): {"trigger", "entity_id", "above", "below", "for", "value_template", "id"},
    ("trigger", "state"): {"trigger", "entity_id", "from", "to", "for", "id"},
    ("condition", "numeric_state"): {"condition", "entity_id", "above", "below", "value_template"},
    ("condition", "state"): {"condition", "entity_id", "state", "for"},
    ("condition", "not"): {"condition", "conditions"},
}
"""What Home Assistant takes in each of these."""
ROLES = ROOT / "ansible" / "roles"
TOP = {"alias", "description", "triggers", "conditions", "actions", "mode", "id"}
PRICE = "sensor.kucoin_btc_usdt"
USED = {"inventory.yml", "tickbridge.toml", "password", "other-way", "card", *AUTOMATIONS, "configuration.yaml"}


def test_every_entity_in_it_is_one_that_the_bridge_announces() -> None:
    assert PRICE in named()
    assert named() <= announced()


def test_every_block_is_looked_at() -> None:
    assert set(blocks(GUIDE)) == USED


@pytest.mark.parametrize("name", AUTOMATIONS)
def test_an_automation_is_in_home_assistants_words(name: str) -> None:
    automation = piece(name)
    assert set(automation) <= TOP
    for part in everything(automation["triggers"]) + everything(automation.get("conditions", [])):
        kind = next((key, part[key]) for key in ("trigger", "condition") if key in part)
        assert set(part) <= KEYS[kind], part
    for action in automation["actions"]:
        assert set(action) <= {"action", "data", "target"}
        assert re.fullmatch(r"[a-z_]+\.[a-z_]+", action["action"])


def test_the_automation_refuses_a_price_that_is_not_there_a_dead_feed_and_a_dead_bridge() -> None:
    conditions = piece("automation")["conditions"]
    (refused,) = (one["conditions"] for one in conditions if one["condition"] == "not")
    assert refused == [{"condition": "state", "entity_id": PRICE, "state": ["unavailable", "unknown"]}]
    on = {one["entity_id"] for one in conditions if one.get("state") == "on"}
    assert on == {"binary_sensor.kucoin_feed", "binary_sensor.tickbridge_connection"}
    (trigger,) = piece("automation")["triggers"]
    assert {"condition": "numeric_state", "entity_id": PRICE, "below": trigger["below"]} in conditions
    assert trigger["for"] == f"00:00:{EXPIRE_S + 5}", "no price that nobody confirms lives so long"


def test_the_card_shows_the_price_only_where_it_has_a_value() -> None:
    (markdown, graph) = piece("card")["cards"]
    assert markdown["content"].startswith(f"{{% if has_value('{PRICE}') %}}")
    assert [one["entity"] for one in graph["entities"]] == [PRICE]


def test_the_recorder_keeps_what_it_says_and_its_patterns_fit_the_rest() -> None:
    recorder = piece("configuration.yaml")["recorder"]
    assert set(recorder["include"]["entities"]) <= announced()
    left_out = [
        one for one in announced() if any(fnmatchcase(one, glob) for glob in recorder["exclude"]["entity_globs"])
    ]
    assert {f"{PRICE}_bid", "sensor.binance_eth_usdt"} <= set(left_out)


def test_the_password_is_where_the_program_puts_it() -> None:
    file = Users(Path("~/.local/share/tickbridge") / PLACE).file("homeassistant")
    assert blocks(GUIDE)["other-way"].endswith(f"\ncat {file}\n")


@pytest.mark.real
def test_the_password_goes_into_the_file_of_the_settings_and_nobody_else_reads_it(tmp_path: Path) -> None:
    """What is pasted ends with a line's end; the bridge does not take it for a part of the password."""
    subprocess.run(
        ["/bin/sh", "-ec", blocks(GUIDE)["password"]],
        input="a long password\n",
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        text=True,
        timeout=10,
        check=True,
    )
    file = tmp_path / load_guide(tmp_path).broker.password_file.relative_to(Path.home())  # type: ignore[union-attr]
    assert file.stat().st_mode & 0o777 == 0o600
    assert Broker(user="tickbridge", password_file=file).secret() == "a long password"


def test_the_settings_are_taken(tmp_path: Path) -> None:
    settings = load_guide(tmp_path)
    assert (settings.broker.host, settings.homeassistant.enabled) == ("homeassistant.local", True)
    assert settings.homeassistant.symbols == ("kucoin:BTC-USDT", "kucoin:ETH-USDT")


def test_the_inventory_sets_what_there_is() -> None:
    inventory = piece("inventory.yml")
    settings = inventory.pop("bridge_settings")
    assert {*inventory, "bridge_settings"} <= variables()
    assert set(settings) <= set(names())
    assert settings["homeassistant.symbols"] == ["kucoin:BTC-USDT", "kucoin:ETH-USDT"]


def variables() -> set[str]:
    """What the roles take."""
    specs = (yaml.safe_load(path.read_text()) for path in ROLES.glob("*/meta/argument_specs.yml"))
    return {name for spec in specs for name in spec["argument_specs"]["main"]["options"]}


def load_guide(folder: Path) -> Settings:
    (folder / "tickbridge.toml").write_text(blocks(GUIDE)["tickbridge.toml"])
    return load(folder / "tickbridge.toml", (), {}).settings
