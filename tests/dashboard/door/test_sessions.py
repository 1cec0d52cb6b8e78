"""Sessions: signed, with an end, ended by log-out and by a new password, over restarts."""

import stat
import time
from pathlib import Path

import pytest

from bridge.errors import SettingsError
from dashboard.door.sessions import Sessions

PASSWORD = "correct horse"


def test_a_session_holds_over_a_restart(tmp_path: Path) -> None:
    cookie = Sessions(tmp_path, PASSWORD, 30).begin()
    assert Sessions(tmp_path, PASSWORD, 30).holds(cookie)


def test_the_key_is_nobody_elses(tmp_path: Path) -> None:
    Sessions(tmp_path, PASSWORD, 30)
    assert stat.S_IMODE((tmp_path / "login" / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "login").stat().st_mode) == 0o700


def test_a_session_ends_after_its_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(tmp_path, PASSWORD, 2)
    cookie, now_s = sessions.begin(), time.time()
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now_s + 2 * 86_400 - 10)
    assert sessions.holds(cookie)
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now_s + 2 * 86_400 + 10)
    assert not sessions.holds(cookie)


def test_a_new_password_ends_all(tmp_path: Path) -> None:
    cookie = Sessions(tmp_path, PASSWORD, 30).begin()
    assert not Sessions(tmp_path, "another one", 30).holds(cookie)


def test_another_dashboard_has_another_key(tmp_path: Path) -> None:
    cookie = Sessions(tmp_path / "a", PASSWORD, 30).begin()
    assert not Sessions(tmp_path / "b", PASSWORD, 30).holds(cookie)


def test_a_log_out_ends_this_one_for_good(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path, PASSWORD, 30)
    mine, other = sessions.begin(), sessions.begin()
    sessions.end(mine)
    for one in (sessions, Sessions(tmp_path, PASSWORD, 30)):
        assert (one.holds(mine), one.holds(other)) == (False, True)


def test_what_is_logged_out_is_kept_only_until_it_would_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = Sessions(tmp_path, PASSWORD, 1)
    sessions.end(sessions.begin())
    now_s = time.time()
    monkeypatch.setattr("time.time", lambda: now_s + 3 * 86_400)
    sessions.end(sessions.begin())
    assert (tmp_path / "login" / "ended.json").read_text().count(":") == 1


@pytest.mark.parametrize("cookie", ["", "x", "a.b.c", "é.b.c", "x" * 5000, "a.aaaaaa.\udce9"])
def test_anything_else_is_no_session(tmp_path: Path, cookie: str) -> None:
    sessions = Sessions(tmp_path, PASSWORD, 30)
    assert not sessions.holds(cookie)
    sessions.end(cookie)
    assert not (tmp_path / "login" / "ended.json").exists()


def test_every_changed_letter_is_seen(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path, PASSWORD, 30)
    cookie = sessions.begin()
    for place in range(len(cookie) - 1):  # the last letter carries bits that mean nothing
        changed = cookie[:place] + ("A" if cookie[place] != "A" else "B") + cookie[place + 1 :]
        assert not sessions.holds(changed), place


def test_a_broken_key_ends_sessions_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Sessions(tmp_path, PASSWORD, 30)
    (tmp_path / "login" / "key").write_bytes(b"half")
    sessions = Sessions(tmp_path, PASSWORD, 30)
    assert sessions.holds(sessions.begin())
    assert "everybody must log in again" in caplog.text


@pytest.mark.parametrize("content", [b'{"a":', b"", b"\xff", b"[]", None])
def test_where_it_is_not_known_who_logged_out_everybody_is(
    tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    sessions = Sessions(tmp_path, PASSWORD, 30)
    mine, other = sessions.begin(), sessions.begin()
    sessions.end(mine)
    ended = tmp_path / "login" / "ended.json"
    ended.unlink()
    if content is None:
        ended.mkdir()
    else:
        ended.write_bytes(content)
    sessions = Sessions(tmp_path, PASSWORD, 30)
    assert not any(sessions.holds(cookie) for cookie in (mine, other))
    assert "everybody must log in again" in caplog.text
    assert sum(".damaged-" in path.name for path in ended.parent.iterdir()) == 1
    fresh = sessions.begin()
    assert Sessions(tmp_path, PASSWORD, 30).holds(fresh)


def test_who_logged_out_stays_so_when_the_settings_are_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    before = Sessions(tmp_path, PASSWORD, 30)
    mine, other = before.begin(), before.begin()
    with monkeypatch.context() as disk:
        disk.setattr("dashboard.door.sessions._write", full)
        before.end(mine)
        assert "a restart forgets" in caplog.text
        between = Sessions(tmp_path, PASSWORD, 30, before)
        assert (between.holds(mine), between.holds(other)) == (False, True)
    after = Sessions(tmp_path, PASSWORD, 30, between)
    for one in (after, Sessions(tmp_path, PASSWORD, 30)):
        assert (one.holds(mine), one.holds(other)) == (False, True), "the disk has room again"


def test_a_folder_that_cannot_be_written_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "login").write_text("a file")
    with pytest.raises(SettingsError, match="data_dir"):
        Sessions(tmp_path, PASSWORD, 30)
