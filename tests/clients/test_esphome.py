"""ESPHome's configuration in docs/clients.md: its topic, its ids and its patience; and by ESPHome itself, where named.

`python -m venv FOLDER && FOLDER/bin/pip install esphome`, then `TICKBRIDGE_ESPHOME=FOLDER pytest tests/clients`.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.loading import load
from bridge.topics import Topics
from tests.clients.snippets import blocks, changed
from tests.missing import missing

NAME = "bitcoin.yaml"
SECRETS = "wifi_ssid: home\nwifi_password: long-enough\nmqtt_password: secret\n"


class Loader(yaml.SafeLoader):
    """YAML with ESPHome's `!secret`."""


Loader.add_constructor("!secret", lambda loader, node: f"secret {loader.construct_scalar(node)}")


def configuration() -> dict[str, Any]:
    told: dict[str, Any] = yaml.load(blocks()[NAME], Loader)
    return told


def test_it_reads_a_topic_that_the_settings_above_it_bring(tmp_path: Path) -> None:
    (tmp_path / "tickbridge.toml").write_text(blocks()["tickbridge.toml"])
    settings = load(tmp_path / "tickbridge.toml", (), {}).settings
    (sensor,) = configuration()["text_sensor"]
    assert settings.display.enabled
    assert settings.display.symbols == ("kucoin:BTC-USDT",)
    assert sensor["topic"] == Topics().display("kucoin", "BTC-USDT")
    assert settings.display.interval_s < 35


def test_three_heartbeats_of_silence_end_what_each_message_begins() -> None:
    told = configuration()
    (script,), (fresh,), (sensor,) = told["script"], told["globals"], told["text_sensor"]
    assert sensor["on_value"] == [{"script.execute": script["id"]}]
    assert script["mode"] == "restart"
    begins, waits, ends = script["then"]
    assert begins == {"globals.set": {"id": fresh["id"], "value": "true"}}
    assert waits == {"delay": "35s"}
    assert ends == {"globals.set": {"id": fresh["id"], "value": "false"}}
    assert fresh["initial_value"] == "false"


def test_the_display_names_only_what_there_is() -> None:
    told = configuration()
    ids = {one["id"] for part in ("globals", "text_sensor", "font") for one in told[part]}
    (display,) = told["display"]
    assert set(re.findall(r"id\((\w+)\)", display["lambda"])) == ids
    assert set("0123456789.?") == set(told["font"][0]["glyphs"])


def test_esphome_itself_takes_it(tmp_path: Path) -> None:
    named = os.environ.get("TICKBRIDGE_ESPHOME", "")
    if not named:
        pytest.skip("TICKBRIDGE_ESPHOME names no virtual environment with ESPHome")
    font = next(Path("/usr/share/fonts").rglob("*.ttf"), None) or missing("no TrueType font below /usr/share/fonts")
    (tmp_path / NAME).write_text(changed(blocks()[NAME], {"gfonts://Roboto": str(font)}))
    (tmp_path / "secrets.yaml").write_text(SECRETS)
    done = subprocess.run(
        [Path(named) / "bin" / "esphome", "config", NAME],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "Configuration is valid" in done.stdout + done.stderr
