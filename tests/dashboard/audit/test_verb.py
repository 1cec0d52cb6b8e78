"""`tickbridge audit` against files: the ledger of a bridge that does not live, and an embedded store."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from bridge.cli import main
from bridge.errors import SettingsError, StoreError
from bridge.ledger import Ledger, Published
from bridge.settings import Broker, Settings
from bridge.topics import Gap, Topics
from dashboard.audit import address
from dashboard.audit.ledger_file import LedgerInUse, read_ledger
from dashboard.audit.values import Report
from dashboard.audit.verb import Wish, run
from dashboard.audit.words import lines, verdict
from dashboard.history.base import END_OF_TIME_NS
from dashboard.history.sqlite import SqliteHistory
from tests.dashboard.history.conftest import KEEP_ALL

S = 1_000_000_000
BEGIN = (time.time_ns() - 3600 * S) // S * S
RUN = BEGIN // 1_000_000
BTC, ETH = "prices/kucoin/BTC-USDT", "prices/kucoin/ETH-USDT"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Nobody listens on this broker's port."""
    return Settings(data_dir=tmp_path, broker=Broker(port=1, connect_timeout_s=1), prefix="home")


def wrote(settings: Settings, published: int, *, gaps: list[Gap] | None = None, how: str | None = "stopped") -> Path:
    """A ledger that says so many messages of two topics."""
    path = settings.data_dir / "bridge" / "ledger.db"
    ledger = Ledger(path, Topics("home"))
    ledger.begin(RUN, BEGIN)
    rows = [Published(f"home/{BTC}", RUN, None, published, published, BEGIN + S, BEGIN + published * S)]
    rows.append(Published(f"home/{ETH}", RUN, None, 2, 2, BEGIN + S, BEGIN + 1000 * S))
    ledger.save(RUN, BEGIN + 1001 * S, rows, gaps or [])
    if how is not None:
        ledger.end(RUN, BEGIN + 1001 * S, how)
    ledger.close()
    return path


def stored(settings: Settings, *numbers: int) -> None:
    """A store with these numbers of BTC, and all of ETH."""
    store = SqliteHistory(settings.data_dir / "history.sqlite", KEEP_ALL)
    for topic, n, at_s in [(BTC, n, n) for n in numbers] + [(ETH, 1, 1), (ETH, 2, 1000)]:
        store.append(topic, b'{"price":1,"time_ns":%d,"run":%d,"n":%d}' % (BEGIN + at_s * S, RUN, n))
    asyncio.run(store.commit())
    store.close()


def test_a_whole_store_is_complete_with_figures(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    wrote(settings, 5)
    stored(settings, 1, 2, 3, 4, 5)
    assert run(settings, Wish()) == 0
    ledger, told = capsys.readouterr().out.splitlines()
    assert ledger.endswith("ledger.db")
    assert told.startswith("complete (2 topics, 7 rows, 1 run,")


def test_each_missing_range_is_a_line_with_what_became_of_it(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = [{"topic": f"home/{BTC}", "run": RUN, "from_n": 5, "to_n": 5}]
    gap = Gap("7-1", "kucoin", "prices", BEGIN, "outbox full", "unfillable", BEGIN + 9 * S, lost=lost)
    wrote(settings, 6, gaps=[gap])
    stored(settings, 1, 4, 6)
    assert run(settings, Wish()) == 1
    _, told, *ranges = capsys.readouterr().out.splitlines()
    assert told.startswith("missing: 3 messages of 1 topic")
    assert ranges[0].startswith(f"  {BTC}, run {RUN}: 5 (1), between ")
    assert "declared lost by gap 7-1; outbox full" in ranges[0]
    assert f"{BTC}, run {RUN}: 2 to 3 (2), between " in ranges[1]


def test_the_same_as_json(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    wrote(settings, 3)
    stored(settings, 1, 3)
    assert run(settings, Wish(json=True, repair=True)) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["code"], told["topics"], told["rows"]) == (1, 2, 4)
    (finding,) = told["findings"]
    assert (finding["topic"], finding["from_n"], finding["to_n"], finding["fate"]) == (BTC, 2, 2, "missing")
    assert "the bridge does not run" in told["away"]


def test_a_killed_bridge_is_exit_3_with_the_time(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    wrote(settings, 3, how=None)
    stored(settings, 1, 2, 3)
    assert run(settings, Wish()) == 3
    out = capsys.readouterr().out
    assert "complete up to 20" in out
    assert f"run {RUN} was killed" in out


def test_another_ledger_can_be_named(settings: Settings, tmp_path: Path) -> None:
    path = wrote(settings, 3)
    moved = path.rename(tmp_path / "other.db")
    stored(settings, 1, 2, 3)
    assert run(settings, Wish(ledger=moved)) == 0
    with pytest.raises(StoreError, match=r"ledger\.db: there is no ledger"):
        run(settings, Wish())


def test_a_ledger_that_a_bridge_holds_is_not_read(settings: Settings) -> None:
    path = wrote(settings, 3)
    stored(settings, 1, 2, 3)
    ledger = Ledger(path, Topics("home"))
    ledger.begin(RUN + 1, BEGIN)
    try:
        with pytest.raises(LedgerInUse):
            read_ledger(path, "home/", 0, END_OF_TIME_NS)
        with pytest.raises(StoreError, match=r"set \[broker\]"):
            run(settings, Wish())
    finally:
        ledger.close()


@pytest.mark.parametrize("content", [b"", b"my shopping list" * 100])
def test_a_file_that_is_no_ledger_is_said_plainly(settings: Settings, tmp_path: Path, content: bytes) -> None:
    stored(settings, 1)
    (tmp_path / "list.db").write_bytes(content)
    with pytest.raises(StoreError, match="no ledger"):
        run(settings, Wish(ledger=tmp_path / "list.db"))


@pytest.mark.parametrize(
    "wish", [Wish(from_="yesterday"), Wish(to="1743147000"), Wish(from_="2026-02-02", to="2026-01-01")]
)
def test_a_time_that_is_none_is_a_wrong_setting(settings: Settings, wish: Wish) -> None:
    with pytest.raises(SettingsError):
        run(settings, wish)


def test_from_the_command_line(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    wrote(settings, 3)
    stored(settings, 1, 3)
    common = ["audit", "--data-dir", str(settings.data_dir), "--set", "broker.port=1", "--set", "prefix=home"]
    assert main([*common, "--exchange", "kucoin", "--symbol", "BTC-USDT"]) == 1
    assert main([*common, "--symbol", "ETH-USDT"]) == 0
    assert main([*common, "--from", "nonsense"]) == 2
    assert "--from" in capsys.readouterr().err


def test_a_report_without_findings_is_one_verdict() -> None:
    report = Report("x", topics=1234, rows=5_000_000, runs=2, fills=1, seconds=3.21)
    assert verdict(report) == "complete (1,234 topics, 5,000,000 rows, 2 runs, 1 fill, 3.2 s)"
    assert list(lines(report)) == ["ledger: x", verdict(report)]


def test_the_dashboards_broker_is_found_in_its_folder_without_a_secret(settings: Settings, tmp_path: Path) -> None:
    broker = Broker(port=4711, user="dashboard", password_file=tmp_path / "password")
    running = settings.model_copy(update={"broker": broker})
    assert address.beside(settings) is None
    address.leave(running)
    assert (tmp_path / address.FILE).stat().st_mode & 0o077 == 0
    found = address.beside(settings)
    assert found is not None
    assert (found.broker.port, found.broker.user, found.broker.password_file) == (
        4711,
        "dashboard",
        tmp_path / "password",
    )
    address.forget(running)
    assert address.beside(settings) is None
