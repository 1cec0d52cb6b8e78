"""The audit with real processes: what is proven, what is found, what is repaired."""

import asyncio
from pathlib import Path

import pytest

from dashboard.history.base import BIRTH_MARGIN_NS
from tests.dashboard.audit.world import audited_world, remove_prices

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(180)]


async def test_what_runs_undisturbed_is_complete_by_both_audits(tmp_path: Path) -> None:
    async with audited_world(tmp_path) as world:
        told = await world.complete()
        assert (told.get("lost", 0), told.get("missing", 0)) == (0, 0)
        ranges = await world.get("/api/v1/audit")
        assert (ranges["state"], ranges["missing_ranges"], ranges["lost_ranges"]) == ("complete", [], [])
        code, report = await world.audit()
        assert (code, report.get("findings", [])) == (0, []), report
        assert report["ledger"].startswith("the bridge")
        assert report["rows"] > 50
        world.stop_bridge()
        code, report = await world.audit()
        assert (code, report.get("findings", [])) == (0, []), report
        assert report["ledger"].endswith("ledger.db")


async def test_what_the_store_lost_is_named_then_sent_again_by_the_continuous_audit(tmp_path: Path) -> None:
    async with audited_world(tmp_path) as world:
        await world.complete()
        world.stop_dashboard()
        remove_prices(world.folder / "history.sqlite", "max")
        code, report = await world.audit("--exchange", "kucoin")
        # the recorder is away: its newest rows are late, what was removed before them would be missing
        assert code == 3, report
        world.start_dashboard()
        told = await world.until(lambda one: one.get("repaired"), "it is repaired", 60)
        assert told.get("lost", 0) == 0
        await world.complete()
        code, report = await world.audit()
        assert (code, report.get("findings", [])) == (0, []), report


async def test_what_the_verb_repairs_is_told_so(tmp_path: Path) -> None:
    async with audited_world(tmp_path, AUDIT__ENABLED="false") as world:
        await world.stored(300)
        world.stop_dashboard()
        remove_prices(world.folder / "history.sqlite", "min")
        world.start_dashboard()
        await world.stored(100)
        code, report = await world.audit()
        assert code == 1, report
        assert {one["fate"] for one in report["findings"]} == {"missing"}
        code, report = await world.audit("--repair")
        assert {one["fate"] for one in report["findings"]} == {"repaired"}, report
        assert code == 0
        assert (await world.audit())[0] == 0


async def test_a_loss_beyond_repair_becomes_a_gap_and_stays_named(tmp_path: Path) -> None:
    async with audited_world(tmp_path, rate=400.0, OUTBOX__BYTES=1_000_000) as world:
        await world.complete()
        world.stop_dashboard()
        remove_prices(world.folder / "history.sqlite", "min")
        world.start_dashboard()
        over = lambda one: one.get("lost") and not one.get("missing")  # noqa: E731
        told = await world.until(over, "all of it is told lost", 60)
        gap = await world.gap("lost", told["lost"])
        assert gap["channel"] == "prices"
        assert "lost for good" in world.log("dashboard")
        code, report = await world.audit()
        declared = [one for one in report["findings"] if one["fate"] == "declared"]
        assert code == 1
        assert {one["gap"] for one in declared} == {gap["id"]}
        assert sum(one["to_n"] - one["from_n"] + 1 for one in declared) == told["lost"]


async def test_a_killed_bridge_is_complete_up_to_a_time_and_unproven_after_it(tmp_path: Path) -> None:
    async with audited_world(tmp_path) as world:
        await world.complete()
        world.kill_bridge()
        code, report = await world.audit()
        assert code == 3, report
        assert [one["run"] for one in report["unproven"]]
        assert not [one for one in report.get("findings", []) if one["fate"] == "missing"]
        world.start_bridge()
        told = await world.until(lambda one: one.get("unproven"), "the next run is told")
        assert told["unproven"][0]["run"] == report["unproven"][0]["run"]
        assert (await world.complete()).get("lost", 0) == 0
        code, report = await world.audit()
        assert code == 3, report


async def test_what_the_run_before_has_lost_is_found_though_bridge_and_dashboard_were_both_away(tmp_path: Path) -> None:
    async with audited_world(tmp_path) as world:
        await world.complete()
        world.stop_bridge()
        world.stop_dashboard()
        remove_prices(world.folder / "history.sqlite", "max")
        world.start_bridge()
        world.start_dashboard()
        over = lambda one: one.get("lost") and not one.get("missing")  # noqa: E731
        told = await world.until(over, "it is told lost", 60)
        await world.gap("lost", told["lost"])
        code, report = await world.audit()
        assert {one["fate"] for one in report["findings"]} == {"declared"}, report
        assert code == 1


async def test_while_the_broker_is_away_the_proof_waits_and_nothing_is_lost(tmp_path: Path) -> None:
    async with audited_world(tmp_path) as world:
        await world.complete()
        world.broker.stop()
        await world.until(lambda one: one.get("state") == "waiting", "it says so")
        world.broker.start()
        told = await world.complete()
        assert (told.get("lost", 0), told.get("missing", 0)) == (0, 0)


async def test_a_history_that_is_begun_anew_is_not_blamed_for_what_came_before_it(tmp_path: Path) -> None:
    async with audited_world(tmp_path) as world:
        await world.complete()
        world.stop_dashboard()
        await asyncio.sleep(BIRTH_MARGIN_NS / 1e9)
        (world.folder / "history.sqlite").unlink()
        world.start_dashboard()
        told = await world.complete()
        assert told["lost"] == told["missing"] == told["resends"] == 0
        code, report = await world.audit()
        assert (code, report.get("findings", [])) == (0, []), report
