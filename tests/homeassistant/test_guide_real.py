"""What the guide shows, in a real Home Assistant: its automation acts on a fresh price and on no other. Opt-in."""

import json
import subprocess
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.homeassistant.guide import announced, piece
from tests.homeassistant.hass import WITHOUT, venv
from tests.homeassistant.test_real import settled
from tests.homeassistant.world import PRICE, World, world

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(venv() is None, reason=WITHOUT),
]

ABOVE_ALL = 10_000_000
"""In place of 80000: so that every price of the simulator's is below."""
GUIDES = "automation.bitcoin_is_below_80000"
CARELESS = "automation.careless"
OUTAGE = "automation.tickbridge_has_no_prices"
FILTER = """
import json, sys
from homeassistant.helpers.entityfilter import INCLUDE_EXCLUDE_BASE_FILTER_SCHEMA, convert_include_exclude_filter
recorder, entities = json.load(sys.stdin)
kept = convert_include_exclude_filter(INCLUDE_EXCLUDE_BASE_FILTER_SCHEMA(recorder))
print(json.dumps([entity for entity in entities if kept(entity)]))
"""


def automations() -> list[dict[str, Any]]:
    """The guide's, with another threshold and less patience; and one that asks nothing, to show what that would do."""
    guides = json.loads(
        json.dumps(piece("automation")).replace("80000}", f"{ABOVE_ALL}}}").replace("80000,", f"{ABOVE_ALL},")
    )
    outage = piece("outage")
    for trigger in guides["triggers"] + outage["triggers"]:
        trigger["for"] = "00:00:01"
    return [guides, outage, {"alias": "careless", "triggers": [], "actions": guides["actions"]}]


async def acted(one: World, automation: str) -> str | None:
    """When it last did something."""
    return (await one.hass.attributes(automation)).get("last_triggered")


async def started(one: World, automation: str) -> None:
    """Started by something else than its trigger; its conditions hold."""
    await one.hass.act("automation.trigger", entity_id=automation, skip_condition=False)


async def test_the_automation_acts_on_a_fresh_price_and_refuses_an_old_one(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        await one.hass.automate(*automations())
        card = piece("card")["cards"][0]["content"]
        assert "USDT" in await one.hass.render(card)

        one.sim.faults["kucoin"].stall()
        await one.gone()
        for name in (GUIDES, CARELESS):
            await started(one, name)
        assert await acted(one, CARELESS), "it has been started"
        assert await acted(one, GUIDES) is None
        assert await one.hass.render(card) == "# ?\nKuCoin is reconnecting: " + await one.state("sensor.kucoin_reason")

        async def told() -> bool:
            return await acted(one, OUTAGE) is not None

        await one.hass.until(told, 60)

        repaired_s = monotonic()
        one.sim.faults["kucoin"].heal()
        await one.back(repaired_s)

        async def done() -> bool:
            return await acted(one, GUIDES) is not None

        await one.hass.until(done, 60)
        first = await acted(one, GUIDES)
        await started(one, GUIDES)
        assert await acted(one, GUIDES) != first
        await settled(one)

        one.kill_bridge()
        await one.gone()
        last = await acted(one, GUIDES)
        await started(one, GUIDES)
        assert await acted(one, GUIDES) == last
        assert await one.state(PRICE) == "unavailable"


def test_home_assistants_own_filter_keeps_the_one_price() -> None:
    home = venv()
    assert home is not None
    recorder = {key: piece("configuration.yaml")["recorder"][key] for key in ("include", "exclude")}
    prices = sorted(one for one in announced() if one.startswith("sensor."))
    others = ["sensor.outside_temperature", "light.kitchen"]
    done = subprocess.run(
        [home / "bin" / "python", "-c", FILTER],
        input=json.dumps([recorder, [*prices, *others]]),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    kept = set(json.loads(done.stdout))
    assert {PRICE, *others} <= kept
    assert {one for one in kept if one.startswith(("sensor.kucoin", "sensor.binance"))} == {PRICE}
