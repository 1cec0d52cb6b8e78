"""The verbs: what is typed, what comes back, and with which exit code."""

import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from bridge import __version__
from bridge.cli import main
from bridge.events import Instrument
from bridge.exits import OK, WRONG
from bridge.ledger.store import Ledger
from bridge.search import line, matching
from bridge.topics import Topics


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == OK
    assert capsys.readouterr().out == f"tickbridge {__version__}\n"


@pytest.mark.parametrize(
    "verb", ["up", "demo", "run", "dashboard", "check", "healthy", "audit", "symbols", "backfill", "export"]
)
def test_help_of_every_verb_shows_examples_and_exit_codes(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    text = capsys.readouterr().out
    assert f"  tickbridge {verb}" in text
    assert "exit codes:" in text


@pytest.mark.parametrize("arguments", [["uo"], ["up", "--lann"], ["symbols"]])
def test_wrong_usage_ends_with_two(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == WRONG


def test_nothing_typed_is_answered_with_the_first_steps(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == WRONG
    told = capsys.readouterr().err
    assert all(f"tickbridge {step}" in told for step in ("demo", "up", "check", "--help"))


def test_wrong_setting_is_one_line_and_ends_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--set", "broker.prt=1"]) == WRONG
    assert capsys.readouterr().err == "tickbridge: command line: broker.prt is no setting: did you mean broker.port?\n"


def test_data_of_a_newer_version_ends_with_two_and_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bridge" / "ledger.db"
    Ledger.open(path, Topics()).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=9")
    before = path.read_bytes()
    assert main(["run", "--data-dir", str(tmp_path)]) == WRONG
    assert "is of a newer Tickbridge (schema 9" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_handy_options_are_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--log-level", "loud"]) == WRONG
    assert "log.level = loud: must be debug, info, warning or error" in capsys.readouterr().err


def test_unknown_exchange_is_named_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["symbols", "kukoin"]) == WRONG
    assert capsys.readouterr().err == "tickbridge: kukoin is no exchange here: did you mean kucoin?\n"


@pytest.mark.real
def test_check_tells_what_is_well(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["check", "--data-dir", str(tmp_path / "ticks")]) == OK
    told = capsys.readouterr().out
    assert "wrong" not in told
    for what in ("settings", "symbols", "page", "data folder", "mosquitto", "broker files"):
        assert f"ok     {what}" in told


@pytest.mark.real
def test_check_tells_everything_that_is_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "tickbridge.toml").write_text(
        "data_dir = 'file/ticks'\n[broker]\ntls = true\nca_file = 'none.pem'\npassword_file = 'none'\n"
        "[dashboard]\ncert_file = 'none.crt'\n[exchanges.kucoin]\nsymbols = []\n"
    )
    assert main(["check"]) == WRONG
    wrong = [told for told in capsys.readouterr().out.splitlines() if told.startswith("wrong")]
    assert [told.split()[1] for told in wrong] == ["symbols", "password", "certificates", "page", "data"]
    assert "a file stands where a folder should be: choose another folder with --data-dir" in wrong[-1]


def warned(capsys: pytest.CaptureFixture[str], *sets: str) -> list[str]:
    """What `check` warns of with these settings, which are not wrong."""
    assert main(["check", *(part for one in sets for part in ("--set", one))]) == OK
    lines = capsys.readouterr().out.splitlines()
    return [line.removeprefix("warn").strip() for line in lines if line.startswith("warn")]


@pytest.mark.real
def test_check_warns_when_no_exchange_is_enabled(capsys: pytest.CaptureFixture[str]) -> None:
    (told,) = warned(capsys, "exchanges.kucoin.enabled=false", "exchanges.binance.enabled=false")
    assert told.startswith("exchanges     none is enabled, so no price will come: set exchanges.kucoin.enabled or")


@pytest.mark.real
@pytest.mark.parametrize("section", ["homeassistant", "display"])
def test_check_warns_of_a_pattern_that_matches_nothing(section: str, capsys: pytest.CaptureFixture[str]) -> None:
    (told,) = warned(capsys, f"{section}.enabled=true", f"{section}.symbols=BTC-*,binance:KCS-*")
    assert (
        told.split() == f"{section} {section}.symbols: binance:KCS-* matches no symbol of exchanges.*.symbols".split()
    )


@pytest.mark.real
def test_check_cannot_know_what_a_whole_market_has(capsys: pytest.CaptureFixture[str]) -> None:
    sets = (
        "homeassistant.enabled=true",
        "exchanges.kucoin.whole_market=true",
        "homeassistant.symbols=PEPE-*,binance:PEPE-*",
    )
    (told,) = warned(capsys, *sets)
    assert "binance:PEPE-* matches no symbol" in told


@pytest.mark.real
def test_check_warns_of_symbols_that_are_switched_off(capsys: pytest.CaptureFixture[str]) -> None:
    (told,) = warned(capsys, "homeassistant.symbols=BTC-*")
    assert told.endswith("has symbols, but nothing is told of them: set homeassistant.enabled = true")


def test_symbols_are_found_by_all_their_words() -> None:
    instruments = [
        Instrument("DOGE-USDT", "DOGE", "USDT", "DOGE-USDT", "0.00001"),
        Instrument("BTC-USDT", "BTC", "USDT", "XBTUSDTM", None, None, "halted"),
    ]
    assert [one.symbol for one in matching(instruments, [])] == ["BTC-USDT", "DOGE-USDT"]
    assert [one.symbol for one in matching(instruments, ["doge", "usdt"])] == ["DOGE-USDT"]
    assert [one.symbol for one in matching(instruments, ["xbt"])] == ["BTC-USDT"]
    assert line(instruments[0]).split() == ["DOGE-USDT", "price", "step", "0.00001"]
    assert line(instruments[1]).split() == ["BTC-USDT", "(XBTUSDTM)", "halted"]


@pytest.mark.real
def test_symbols_fail_with_one_line_when_the_exchange_is_away() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: whoever connects is refused
        host = f"http://127.0.0.1:{closed.getsockname()[1]}"
        command = [
            sys.executable,
            "-m",
            "bridge.cli",
            "symbols",
            "kucoin",
            "--set",
            f"exchanges.kucoin.rest_host={host}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("tickbridge: 127.0.0.1 refuses the connection")
    assert len(done.stderr.splitlines()) == 1
