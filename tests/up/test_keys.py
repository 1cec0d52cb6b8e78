"""What the services of compose.yaml are given: each only its own, made once, and read by nobody else."""

from pathlib import Path

import pytest
import yaml

from bridge.settings import Settings
from bridge.up.folder import FolderError
from bridge.up.keys import hand_out, main

ROOT = Path(__file__).parents[2]
TOKENS = {"telegraf.token": "may-write", "dashboard.token": "may-read", "admin.token": "may-all"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As `tickbridge store init` leaves it."""
    (tmp_path / "all").mkdir()
    for name, token in TOKENS.items():
        (tmp_path / "all" / name).write_text(token + "\n")
    return tmp_path


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_each_service_gets_its_own_and_no_more(folder: Path) -> None:
    hand_out(folder, Settings())
    told = {name: {path.name for path in (folder / name).iterdir()} for name in ("bridge", "telegraf", "dashboard")}
    assert told == {
        "bridge": {"password", "client-tag"},
        "telegraf": {"password", "client-tag", "token"},
        "dashboard": {"password", "client-tag", "token", "guest", "page"},
    }
    assert len({(folder / name / "client-tag").read_text() for name in told}) == 1
    assert (folder / "telegraf" / "token").read_text() == "may-write"
    assert (folder / "dashboard" / "token").read_text() == (folder / "grafana" / "token").read_text() == "may-read"
    assert "may-all" not in "".join(text for name, text in contents(folder).items() if not name.startswith("all/"))


def test_the_broker_knows_every_password_that_was_handed_out(folder: Path) -> None:
    hand_out(folder, Settings())
    users = dict(line.split(":") for line in (folder / "mosquitto" / "users").read_text().splitlines())
    assert set(users) == {"bridge", "dashboard", "telegraf", "homeassistant", "operator", "guest"}
    assert len(set(users.values())) == len(users)
    for name in ("bridge", "dashboard", "telegraf"):
        assert (folder / name / "password").read_text() == users[name]
    assert (folder / "dashboard" / "guest").read_text() == users["guest"]
    assert (folder / "dashboard" / "page").read_text() not in users.values()


def test_the_second_time_changes_nothing(folder: Path) -> None:
    hand_out(folder, Settings())
    first = contents(folder)
    hand_out(folder, Settings())
    assert contents(folder) == first


def test_the_access_list_has_the_prefix(folder: Path) -> None:
    hand_out(folder, Settings(prefix="home/pi"))
    assert "topic read home/pi/prices/#" in (folder / "mosquitto" / "acl").read_text()


def test_only_the_owner_reads_but_for_grafana_whose_group_does(folder: Path) -> None:
    hand_out(folder, Settings())
    modes = {name: (folder / name).stat().st_mode & 0o777 for name in contents(folder) if "token" not in name}
    assert {mode for name, mode in modes.items() if not name.startswith("grafana")} == {0o600}
    assert modes["grafana/password"] == 0o640


def test_a_token_that_is_not_there_is_named(folder: Path) -> None:
    (folder / "all" / "telegraf.token").unlink()
    with pytest.raises(FolderError, match=r"telegraf\.token"):
        hand_out(folder, Settings())


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main([str(tmp_path / "file")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_compose_mounts_every_folder_where_it_is_made() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    made = {volume.partition(":")[2].removeprefix("/handout/") for volume in services["setup"]["volumes"]}
    assert made == {"all", "mosquitto", "telegraf", "bridge", "dashboard", "grafana"}
    for name in made - {"all"}:
        assert f"keys-{name}:/keys:ro" in services[name]["volumes"], name
