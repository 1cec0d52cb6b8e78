"""Whatever dies on the way into InfluxDB, under load: in the end `tickbridge audit` and the exchanges' truth agree."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from time import time_ns

import pytest

from tests.broker import Broker
from tests.cable import Cable
from tests.storage.world import COMPLETE, MISSING, RATE, UNDER_LOAD_S, UNPROVEN, World, world

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(400)]

AWAY_S = 3.0
WAITING = 300_000


@pytest.fixture
async def running(broker: Broker, tmp_path: Path) -> AsyncIterator[World]:
    async with world(broker, tmp_path / "data") as made:
        broker.save()
        yield made


async def finished(one: World) -> None:
    """The rest of the load; then every row is there, by the audit and by a count of our own."""
    await asyncio.sleep(UNDER_LOAD_S / 2)
    await one.settle()
    await one.audited(COMPLETE)
    await one.check()


async def test_telegraf_killed_outright_loses_nothing(running: World) -> None:
    await asyncio.sleep(UNDER_LOAD_S / 2)
    running.telegraf.kill9()
    await asyncio.sleep(AWAY_S)
    running.telegraf.start()
    await finished(running)


async def test_influxdb_down_for_20_s_loses_nothing(running: World) -> None:
    await asyncio.sleep(UNDER_LOAD_S / 2)
    running.influx.stop()
    await asyncio.sleep(20)
    running.influx.start()
    await finished(running)


async def test_influxdb_killed_outright_loses_nothing(running: World) -> None:
    await asyncio.sleep(UNDER_LOAD_S / 2)
    running.influx.kill9()
    await asyncio.sleep(AWAY_S)
    running.influx.start()
    await finished(running)


async def test_mosquitto_killed_between_two_autosaves_loses_nothing(running: World) -> None:
    await asyncio.sleep(UNDER_LOAD_S / 2)
    running.broker.kill9()
    await asyncio.sleep(AWAY_S)
    running.broker.start()
    await finished(running)


async def test_mosquitto_killed_while_telegraf_is_away_loses_nothing(running: World) -> None:
    running.telegraf.kill9()
    await asyncio.sleep(UNDER_LOAD_S / 4)
    running.broker.save()
    await asyncio.sleep(UNDER_LOAD_S / 4)
    running.broker.kill9()
    await asyncio.sleep(AWAY_S)
    running.broker.start()
    await asyncio.sleep(AWAY_S)
    running.telegraf.start()
    await finished(running)


async def test_mosquitto_killed_before_it_saved_telegrafs_session_loses_nothing(broker: Broker, tmp_path: Path) -> None:
    # at this rate the usual 64 MiB hold some 40 s: less than a busy machine may take to find out what is missing
    async with world(broker, tmp_path / "data", OUTBOX__BYTES=256 * 1024 * 1024) as made:
        made.broker.kill9()
        made.broker.start()
        # a topic's last message is known to be lost only by what others told long after it: not once all is silent
        await made.proven(time_ns())
        await finished(made)


async def test_300_000_messages_wait_for_telegraf_and_none_is_lost(broker: Broker, tmp_path: Path) -> None:
    """What 10 minutes at 500 messages a second leave, faster."""
    async with world(broker, tmp_path / "data", rate=2 * RATE) as made:
        made.broker.save()
        made.telegraf.kill9()
        before = await made.published()
        while await made.published() < before + WAITING:
            await asyncio.sleep(1)
        made.telegraf.start()
        await finished(made)
        assert "dropped" not in made.broker.log


async def test_a_bridge_killed_outright_is_complete_up_to_a_time(running: World) -> None:
    await asyncio.sleep(UNDER_LOAD_S)
    running.kill_bridge()
    told = await running.audited(UNPROVEN)
    assert "findings" not in told
    assert told["complete_until_ns"] > 0


@pytest.mark.parametrize("seconds", [10, 25])
async def test_a_cut_between_bridge_and_broker_loses_nothing(seconds: int, broker: Broker, tmp_path: Path) -> None:
    async with (
        Cable(broker.port).running() as cable,
        world(broker, tmp_path / "data", bridge_port=cable.port) as made,
    ):
        await asyncio.sleep(UNDER_LOAD_S / 2)
        cable.pull()
        await asyncio.sleep(seconds)
        cable.plug()
        await finished(made)


async def precisely_named(one: World) -> None:
    """The audit names just those numbers that are not in the store, and a gap of the ledger declares each of them."""
    await one.settle()
    told = await one.audited(MISSING)
    while any(finding["fate"] == "missing" for finding in told["findings"]):
        told = await one.audited(MISSING)  # the continuous audit has not reported it yet
    named: dict[str, set[int]] = defaultdict(set)
    for finding in told["findings"]:
        assert finding["fate"] in ("declared", "filled"), finding
        named[finding["topic"]].update(range(finding["from_n"], finding["to_n"] + 1))
    assert named
    holes = await one.holes()
    assert named.keys() == holes.keys()
    assert [topic for topic in named if named[topic] != holes[topic]] == []


async def test_what_an_overrun_outbox_dropped_is_named_and_stands_in_a_gap(broker: Broker, tmp_path: Path) -> None:
    async with world(broker, tmp_path / "data", OUTBOX__BYTES=1_000_000) as made:
        made.broker.stop()
        await asyncio.sleep(AWAY_S * 2)
        made.broker.start()
        await made.storing()
        await precisely_named(made)


async def test_what_a_killed_broker_forgot_beyond_the_log_is_named_and_stands_in_a_gap(
    broker: Broker, tmp_path: Path
) -> None:
    async with world(broker, tmp_path / "data", OUTBOX__BYTES=1_000_000) as made:
        made.broker.save()
        made.telegraf.kill9()
        await asyncio.sleep(UNDER_LOAD_S / 2)
        made.broker.kill9()
        made.broker.start()
        made.telegraf.start()
        await made.storing()
        await precisely_named(made)
