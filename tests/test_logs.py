"""The program's own words: levels by area, the journal's form, a file that turns over and outlives a full disk."""

import errno
import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge import logs
from bridge.errors import SettingsError
from bridge.logs import FileHandler, configure, level_of, priority
from bridge.settings import Log


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    areas = [*logs.CHATTY, "area.loud"]
    levels = {area: logging.getLogger(area).level for area in areas}
    yield
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    for area in areas:
        logging.getLogger(area).setLevel(levels[area])


def test_journal_has_priorities_and_no_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(Log(to="journal"), tmp_path, "bridge")
    logging.getLogger("bridge.session").warning("lost\nagain")
    logging.getLogger("bridge.session").info("up")
    assert capsys.readouterr().err == "<4>bridge.session: lost\n<4>again\n<6>bridge.session: up\n"


def test_area_has_its_own_level(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(Log(level="warning", areas={"area.loud": "debug"}, to="journal"), tmp_path, "bridge")
    logging.getLogger("area.loud").debug("heard")
    logging.getLogger("area").info("not heard")
    assert capsys.readouterr().err == "<7>area.loud: heard\n"


def test_chatty_libraries_speak_only_of_trouble(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(Log(level="debug", to="journal"), tmp_path, "bridge")
    logging.getLogger("websockets").info("frame")
    logging.getLogger("websockets").error("trouble")
    assert capsys.readouterr().err == "<3>websockets: trouble\n"


def test_terminal_has_times_and_levels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(Log(), tmp_path, "bridge")
    logging.getLogger("bridge.rest").info("here")
    assert capsys.readouterr().err.split()[2:] == ["INFO", "bridge.rest:", "here"]


def test_file_turns_over_and_keeps_so_many(tmp_path: Path) -> None:
    configure(Log(to="file", file_bytes=10_000, file_count=2), tmp_path, "bridge")
    for _ in range(400):
        logging.getLogger("bridge").info("x" * 60)
    files = sorted(path.name for path in (tmp_path / "log").iterdir())
    assert files == ["bridge.log", "bridge.log.1", "bridge.log.2"]
    assert all(path.stat().st_size <= 10_000 for path in (tmp_path / "log").iterdir())


def test_file_that_cannot_be_opened_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    with pytest.raises(SettingsError, match=r"log\.to = file: .*/log/bridge\.log cannot be written"):
        configure(Log(to="file"), tmp_path, "bridge")


class FullDisk(io.StringIO):
    def write(self, text: str, /) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_full_disk_is_told_once_and_what_was_lost_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.log"
    handler = FileHandler(path, maxBytes=10_000, encoding="utf-8")
    handler.setFormatter(logging.Formatter(logs.JOURNAL))
    record = logging.LogRecord("bridge", logging.INFO, __file__, 1, "word", (), None)
    room, handler.stream = handler.stream, FullDisk()
    handler.emit(record)
    handler.emit(record)
    handler.stream = room
    handler.emit(record)
    handler.close()
    assert path.read_text() == "bridge: word\nbridge.logs: 2 lines could not be written here\n"
    assert capsys.readouterr().err == f"tickbridge: {path} cannot be written: [Errno 28] No space left on device\n"


@pytest.mark.parametrize(
    ("level", "number"), [(logging.CRITICAL, 3), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (5, 7)]
)
def test_priorities_are_syslogs(level: int, number: int) -> None:
    assert priority(level) == number
    assert level_of(number) <= logging.ERROR
    assert priority(level_of(number)) == number
