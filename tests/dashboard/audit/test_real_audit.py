"""The audit with real processes: what is proven, what is found, what is repaired."""

from pathlib import Path

import pytest

from tests.dashboard.audit.world import audited_world

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(180)]


async def test_what_runs_undisturbed_is_complete_by_both_audits(tmp_path: Path) -> None:
    async with audited_world(tmp_path) as world:
        told = await world.complete()
        assert (told.get("lost", 0), told.get("missing", 0)) == (0, 0)
        code, report = await world.audit()
        assert (code, report.get("findings", [])) == (0, []), report
        assert report["ledger"].startswith("the bridge")
        assert report["rows"] > 50
        world.stop_bridge()
        code, report = await world.audit()
        assert (code, report.get("findings", [])) == (0, []), report
        assert report["ledger"].endswith("ledger.db")
