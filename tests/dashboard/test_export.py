"""`tickbridge export` as it is typed, from the file of a dashboard that runs."""

import asyncio
import csv
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pandas
import pytest

from bridge.cli import main
from bridge.errors import SettingsError
from dashboard.export import Wish, planned, whole
from dashboard.history.schema import FILE
from dashboard.history.sqlite import SqliteHistory
from tests.dashboard.history.conftest import KEEP_ALL
from tests.dashboard.payloads import MINUTE, NOON, SECOND, candle, tick, trade

TICKS = 25_000
RANGE = ["--from", "2025-11-21T12:00:00Z", "--to", "2025-11-22"]
NOW = NOON + 86_400 * SECOND


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder whose store is open for writing, as beside a running dashboard."""
    folder = tmp_path_factory.mktemp("data")
    store = SqliteHistory(folder / FILE, KEEP_ALL)
    for n in range(1, TICKS + 1):
        store.append("prices/kucoin/BTC-USDT", tick(NOON + n * SECOND, f"0.0000{n:05}0", n))
    for n in range(1, 4):
        store.append("trades/kucoin/BTC-USDT", trade(NOON + n * SECOND, "1.10", n))
        store.append("candles/kucoin/BTC-USDT/1m", candle(NOON + n * MINUTE, ("1.10", "2", "1", "1.50"), n))
    asyncio.run(store.commit())
    yield folder
    store.close()


def export(folder: Path, *arguments: str) -> int:
    return main(["export", "kucoin", "BTC-USDT", *RANGE, "--data-dir", str(folder), *arguments])


def test_every_row_is_in_the_csv_with_its_digits(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "btc.csv"
    assert export(folder, "-o", str(file)) == 0
    with file.open() as lines:
        rows = list(csv.DictReader(lines))
    assert [row["n"] for row in rows] == [str(n) for n in range(1, TICKS + 1)]
    assert rows[0]["price"] == "0.0000000010"
    assert [path.name for path in tmp_path.iterdir()] == ["btc.csv"]


def test_parquet_has_times_and_numbers(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "btc.parquet"
    assert export(folder, "-o", str(file)) == 0
    frame = pandas.read_parquet(file)
    assert len(frame) == TICKS
    assert str(frame["time_ns"].dtype) == "datetime64[ns, UTC]"
    assert frame["time_ns"][0] == pandas.Timestamp("2025-11-21T12:00:01Z")
    assert (frame["price"][0], frame["run"].dtype, frame["n"].iloc[-1]) == (0.0000000010, "int64", TICKS)
    assert frame["exchange_time_ns"].isna().all()


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_trades_and_candles_are_written_too(folder: Path, tmp_path: Path, form: str) -> None:
    read = pandas.read_csv if form == "csv" else pandas.read_parquet
    trades, hours = tmp_path / "trades", tmp_path / "hours"
    assert export(folder, "--kind", "trades", "--format", form, "-o", str(trades)) == 0
    assert list(read(trades)["side"]) == ["buy"] * 3
    assert export(folder, "--interval", "1h", "--format", form, "-o", str(hours)) == 0
    frame = read(hours)
    assert (frame["volume"][0], bool(frame["built"][0])) == (4.5, True)


def test_the_file_is_named_after_what_is_in_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert export(folder, "--interval", "5m") == 0
    assert (tmp_path / "kucoin-BTC-USDT-candles-5m.csv").is_file()
    assert "candles of kucoin BTC-USDT (5m)" in capsys.readouterr().out


def test_an_empty_range_is_said_and_writes_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data-dir", str(folder), "-o", str(tmp_path / "x.csv")]
    assert main(["export", "kucoin", "NO-SUCH", *RANGE, *arguments]) == 1
    assert "the history has no prices of kucoin NO-SUCH in that time" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_a_history_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(tmp_path) == 1
    assert FILE in capsys.readouterr().err


def test_without_pyarrow_it_is_said_how_to_get_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert export(folder, "-o", str(tmp_path / "x.parquet")) == 2
    assert "pip install pyarrow" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(folder, "-o", "/nowhere/x.csv") == 1
    assert "/nowhere/x.csv: No such file or directory" in capsys.readouterr().err


def test_what_fails_on_the_way_leaves_the_older_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("older")

    def half() -> None:
        with whole(file) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert (file.read_text(), len(list(tmp_path.iterdir()))) == ("older", 1)


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"start": "yesterday"}, "--from: 'yesterday'"),
        ({"start": "2025-11-21", "end": "17"}, "--to: 17"),
        ({"start": "2025-11-21", "end": "2025-11-20"}, "is not before --to 2025-11-20"),
        ({"start": "2030-01-01"}, "is not before --to now"),
        ({"start": "2025-11-21", "interval": "7m"}, "none of 1m, 5m"),
        ({"start": "2025-11-21", "interval": "1h", "kind": "trades"}, "trades have none"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(wish: dict[str, str], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        planned(Wish("kucoin", "BTC-USDT", **wish), NOW)


@pytest.mark.real
def test_the_bar_is_for_terminals_only(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bridge.cli", "export", "kucoin", "BTC-USDT", *RANGE, "--data-dir", str(folder)]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    quiet = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, env=env)
    assert quiet.stderr == b""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, 100))
    subprocess.run(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=its, check=True, env=env)
    shown = os.read(ours, 65_536)
    os.close(ours)
    os.close(its)
    assert b"100%" in shown
    assert b"25000 rows" in shown


@pytest.mark.real
@pytest.mark.parametrize("older", [None, "older"])
def test_ctrl_c_ends_it_at_once_with_one_line_and_leaves_no_half_file(tmp_path: Path, older: str | None) -> None:
    file = tmp_path / "x.csv"
    if older is not None:
        file.write_text(older)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes questions and never answers
        place = f"influx.url=http://127.0.0.1:{silent.getsockname()[1]}"
        sets = ["--set", "history.store=influx", "--set", place, "--set", "influx.timeout_s=60"]
        command = [sys.executable, "-m", "bridge.cli", "export", "kucoin", "BTC-USDT", *RANGE, "-o", str(file), *sets]
        env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=env)
        line, _ = silent.accept()
        with line:
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=10)
    assert (process.returncode, said) == (1, f"tickbridge: stopped: {file} is not written\n")
    assert list(tmp_path.glob("x.csv*")) == ([] if older is None else [file])
    assert older is None or file.read_text() == older
