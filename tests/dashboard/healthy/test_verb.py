"""`tickbridge healthy` against a real broker, bridge and dashboard."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.cli import main
from bridge.loading import load
from bridge.simulator import Simulator
from dashboard.healthy import verb
from dashboard.healthy.verb import Wish, look
from dashboard.healthy.verdicts import Finding
from tests.broker import Broker, free_ports
from tests.running import environment, tickbridge

pytestmark = pytest.mark.real

SOON_S = 40.0


def problems(findings: list[Finding]) -> dict[str, str]:
    return {finding.what: finding.told for finding in findings if not finding.ok}


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(seed=3, rate=60, invented=5) as one:
        yield one


async def test_a_house_that_works_and_then_loses_one_part_after_the_other(
    tmp_path: Path, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    brisk = {"AUDIT__EVERY_S": 1, "AUDIT__SETTLE_S": 1, "HISTORY__COMMIT_S": 0.5, "FEED__BACKOFF_FIRST_S": 0.1}
    page = {"DASHBOARD__PORT": free_ports(1)[0]}
    with Broker(tmp_path / "broker", with_users=True) as broker:
        (secret := tmp_path / "secret").write_text(str(broker.password))
        users = {"BROKER__USER": broker.user, "BROKER__PASSWORD_FILE": secret}
        env = environment(broker, tmp_path / "data", sim, **brisk, **page, **users)
        settings = load(environ=env).settings
        with tickbridge("dashboard", tmp_path, env):
            with tickbridge("run", tmp_path, env, exit_code=None) as bridge:
                assert problems(await look(settings, Wish(SOON_S))) == {}

                for faults in sim.faults.values():
                    faults.refuse(503)
                    faults.abort()
                monkeypatch.setattr(verb, "HEAR_S", 2.0)
                assert "page" not in problems(await look(settings, Wish()))
                assert set(problems(await look(settings, Wish()))) >= {"kucoin", "binance"}
                assert problems(await look(settings, Wish(SOON_S, exchanges_may_fail=True))) == {}
                bridge.kill()
            told = problems(await look(settings, Wish(exchanges_may_fail=True)))
            assert told["bridge"] == "offline"
            assert "page" not in problems(await look(settings, Wish(parts=("dashboard",))))
        told = problems(await look(settings, Wish(parts=("dashboard",))))
        assert "refused" in told["page"]
        wrong = settings.model_copy(update={"broker": settings.broker.model_copy(update={"user": "nobody"})})
        refused = next(one for one in await look(wrong, Wish(typed=True)) if one.what == "broker")
        assert "ot authori" in refused.told
        assert refused.cure == "does it know this user?"


def test_the_verb_tells_people_and_programs_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ports = free_ports(2)
    given = ["--data-dir", str(tmp_path), "--set", f"broker.port={ports[0]}", "--set", f"dashboard.port={ports[1]}"]
    assert main(["healthy", *given]) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("wrong  broker")
    assert told[0].endswith("does the broker run, and does it know this user?")
    assert main(["healthy", "--json", "--only", "dashboard", *given]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert [one["what"] for one in answer["checks"]] == ["broker", "page"]


@pytest.mark.parametrize("seconds", ["-1", "nan", "soon", "1e9"])
def test_a_wait_that_is_none_is_wrong_usage(seconds: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["healthy", f"--wait={seconds}"])
    assert ended.value.code == 2


async def test_nothing_is_left_running(tmp_path: Path) -> None:
    settings = load(environ={"TICKBRIDGE_DATA_DIR": str(tmp_path), "TICKBRIDGE_BROKER__PORT": "1"}).settings
    assert problems(await look(settings, Wish(parts=("bridge",))))
    assert asyncio.all_tasks() == {asyncio.current_task()}
