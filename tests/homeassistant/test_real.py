"""A real Home Assistant takes the discovery, and never shows an old price as a fresh one. Opt-in: it is large."""

import asyncio
import logging
import signal
from pathlib import Path
from time import monotonic

import pytest

from tests.homeassistant.hass import WITHOUT, venv
from tests.homeassistant.world import CONNECTION, FEED, OTHER, PRICE, World, world

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(venv() is None, reason=WITHOUT),
]

log = logging.getLogger(__name__)

PROMISED_S = 35.0
HEARTBEAT_S = 11.0
POLL_S = 0.5
KNOWN = (
    "Skipping pip installation",
    "zlib_ng and isal",
    "libturbojpeg",
    "Error returned from MQTT server",
    "Failed to connect",
)
"""What a Home Assistant complains of that was installed without its optional parts, or whose broker was taken away."""
SUBSCRIBING_S = 3.0
"""Between its connection and the answer to its subscriptions Home Assistant shows what it showed before."""


async def settled(one: World) -> None:
    """No complaint of Home Assistant's about what we told it."""
    assert [line for line in one.hass.complaints() if not any(known in line for known in KNOWN)] == []


def note(what: str, gone_s: float, back_s: float, more: str = "") -> None:
    """Measured: `pytest --log-cli-level=info` shows it."""
    log.info("%s: unavailable after %.1f s, back %.1f s after the repair%s", what, gone_s, back_s, more)


async def test_devices_and_entities_are_there_with_their_names_and_digits(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        states = await one.hass.states()
        assert float(states[PRICE]) > 0
        assert (states[FEED], states[CONNECTION], states["binary_sensor.kucoin_stale"]) == ("on", "on", "off")
        attributes = await one.hass.attributes(PRICE)
        assert (attributes["unit_of_measurement"], attributes["state_class"]) == ("USDT", "measurement")
        rows = {row["entity_id"]: row for row in await one.hass.registry()}
        assert rows[PRICE]["unique_id"] == "tickbridge_kucoin_btc_usdt_price"
        assert rows[f"{PRICE}_bid"]["disabled_by"] == "integration"
        devices = {row["name"]: row for row in await one.hass.registry("device")}
        assert devices["KuCoin"]["via_device_id"] == devices["Tickbridge"]["id"]
        await settled(one)


async def test_a_symbol_that_is_removed_leaves_no_entity(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        other = "sensor.kucoin_eth_usdt"
        assert await one.state(other) != "absent"

        async def absent() -> bool:
            return await one.state(other) == "absent"

        one.symbols("BTC-USDT")
        one.signal(signal.SIGHUP)
        await one.hass.until(absent, 20)
        assert await one.is_there(), "the other one stays"
        one.symbols("BTC-USDT", "ETH-USDT")
        one.signal(signal.SIGHUP)

        async def present() -> bool:
            return not await absent()

        await one.hass.until(present, 20)
        one.close()
        one.symbols("BTC-USDT")
        one.start_bridge()
        await one.hass.until(absent, 30)
        assert other not in {row["entity_id"] for row in await one.hass.registry()}
        await settled(one)


async def test_after_a_restart_of_home_assistant_all_comes_back(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        await one.hass.stop()
        await one.hass.start()
        await one.back(monotonic() - 10)
        assert await one.state(CONNECTION) == "on"
        await settled(one)


@pytest.mark.parametrize("line", ["dead", "answers pings"])
async def test_the_exchange_falls_silent(tmp_path: Path, line: str) -> None:
    async with world(tmp_path) as one:
        one.sim.faults["kucoin"].stall()
        one.sim.faults["kucoin"].ignore_pings = line == "dead"
        gone_s = await one.gone()
        assert gone_s <= PROMISED_S + POLL_S
        assert await one.state(OTHER) not in ("unavailable", "unknown"), "the other exchange's stays"
        assert await one.state(FEED) == "off", "what tells of trouble is there in trouble"
        assert await one.state("sensor.kucoin_status") in ("reconnecting", "connecting")
        assert await one.state("binary_sensor.kucoin_stale") == "on"
        repaired_s = monotonic()
        one.sim.faults["kucoin"].heal()
        note(f"exchange's line silent ({line})", gone_s, await one.back(repaired_s))
        await settled(one)


async def test_the_bridge_is_killed(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        one.kill_bridge()
        gone_s = await one.gone()
        assert gone_s <= PROMISED_S + POLL_S

        async def off() -> bool:
            return await one.state(CONNECTION) == "off"

        off_s = gone_s + await one.hass.until(off, 60)
        assert off_s <= PROMISED_S + POLL_S
        repaired_s = monotonic()
        one.start_bridge()
        note("bridge killed", gone_s, await one.back(repaired_s))
        await settled(one)


async def test_the_bridge_is_stopped(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        one.signal(signal.SIGSTOP)
        gone_s = await one.gone()
        assert gone_s <= PROMISED_S + POLL_S
        repaired_s = monotonic()
        one.signal(signal.SIGCONT)
        note("bridge stopped (SIGSTOP)", gone_s, await one.back(repaired_s))
        await settled(one)


async def test_the_broker_is_killed(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        one.broker.kill9()
        gone_s = await one.gone()
        assert gone_s <= PROMISED_S + POLL_S
        repaired_s = monotonic()
        await asyncio.to_thread(one.broker.start)
        note("broker killed", gone_s, await one.back(repaired_s))
        await settled(one)


async def test_the_cable_between_home_assistant_and_the_broker_is_pulled(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        one.cable.pull()
        gone_s = await one.gone()
        assert gone_s <= PROMISED_S + POLL_S
        repaired_s = monotonic()
        one.cable.plug()
        back_s = await one.back(repaired_s - HEARTBEAT_S) - HEARTBEAT_S  # what was under way arrives now
        note("link between Home Assistant and broker cut", gone_s, back_s)
        await settled(one)


@pytest.mark.parametrize(("away_s", "disk"), [(0.0, "kept"), (40.0, "kept"), (0.0, "empty"), (40.0, "empty")])
async def test_bridge_and_broker_are_killed_and_only_the_broker_is_back(
    tmp_path: Path, away_s: float, disk: str
) -> None:
    """The broker's leftovers say that all is well; nothing may look alive.

    A broker that has lost its disk says nothing at all: then Home Assistant shows what it knew, as long as promised.
    """
    async with world(tmp_path) as one:
        one.broker.kill9()
        one.kill_bridge()
        gone_s = await one.gone()
        assert gone_s <= PROMISED_S + POLL_S
        await asyncio.sleep(away_s)
        if disk == "empty":
            (one.broker.folder / "data" / "mosquitto.db").unlink()
        await asyncio.to_thread(one.broker.start)
        shown_s = await shown(one, 45.0)
        longest_s = SUBSCRIBING_S if disk == "kept" else PROMISED_S
        assert shown_s <= (0 if away_s > PROMISED_S else longest_s)
        repaired_s = monotonic()
        one.start_bridge()
        more = f"; shown without life for {shown_s:.1f} s"
        note(
            f"bridge and broker killed, only the broker back {away_s:.0f} s later, its disk {disk}",
            gone_s,
            await one.back(repaired_s),
            more,
        )
        await settled(one)


async def shown(one: World, for_s: float) -> float:
    """For how long, while one looks, anything looks alive; never a price that is older than promised."""
    began = last = monotonic()
    seconds = 0.0
    while last - began < for_s:
        states, now = await one.hass.states(), monotonic()
        price, connection = states[PRICE], states[CONNECTION]
        if price not in ("unavailable", "unknown") or connection == "on":
            seconds += now - last
            assert now - one.live_s <= PROMISED_S, (price, connection)
        last = now
        await asyncio.sleep(0.1)
    return seconds
