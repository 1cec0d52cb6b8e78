"""Where the program's own words go: the terminal, a rotating file, or the journal."""

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

from bridge.errors import SettingsError
from bridge.settings import Log

TERMINAL = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
JOURNAL = "%(name)s: %(message)s"
CHATTY = ("asyncio", "picows", "websockets", "aiohttp", "uvicorn", "mqtt")
"""Libraries whose own lines are of no use below a warning; `log.areas` brings them back."""
PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.NOTSET, 7))
"""Level and syslog priority, as sd-daemon(3) has it."""


class JournalFormatter(logging.Formatter):
    """No time (the journal has its own), and each line begins with its priority: `<6>bridge.session: …`."""

    def format(self, record: logging.LogRecord) -> str:
        mark = f"<{priority(record.levelno)}>"
        return mark + super().format(record).replace("\n", f"\n{mark}")


class FileHandler(RotatingFileHandler):
    """A rotating file that outlives a full disk: what could not be written is counted, and told when it can again."""

    unwritten = 0

    def emit(self, record: logging.LogRecord) -> None:
        before = self.unwritten
        super().emit(record)
        if before and self.unwritten == before:
            self.unwritten = 0
            text = "%s lines could not be written here"
            super().emit(logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, (before,), None))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's own name)
        if not self.unwritten:
            sys.stderr.write(f"tickbridge: {self.baseFilename} cannot be written: {sys.exc_info()[1]}\n")
        self.unwritten += 1


def configure(settings: Log, data_dir: Path, name: str) -> None:
    """Set up logging for this process. A file is <data_dir>/log/<name>.log. Raises SettingsError."""
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(_handler(settings, data_dir, name))
    root.setLevel(settings.level.upper())
    for area in CHATTY:
        logging.getLogger(area).setLevel(max(logging.WARNING, root.level))
    for area, level in settings.areas.items():
        logging.getLogger(area).setLevel(level.upper())


def priority(level: int) -> int:
    """The syslog priority of a logging level."""
    return next(number for least, number in PRIORITIES if level >= least)


def level_of(priority_: int) -> int:
    """The logging level of a syslog priority."""
    return next((level for level, number in PRIORITIES[:-1] if priority_ <= number), logging.DEBUG)


def _handler(settings: Log, data_dir: Path, name: str) -> logging.Handler:
    if settings.to == "journal":
        handler: logging.Handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JournalFormatter(JOURNAL))
        return handler
    handler = logging.StreamHandler(sys.stderr) if settings.to == "terminal" else _file(settings, data_dir, name)
    handler.setFormatter(logging.Formatter(TERMINAL, datefmt="%Y-%m-%d %H:%M:%S"))
    return handler


def _file(settings: Log, data_dir: Path, name: str) -> FileHandler:
    path = data_dir / "log" / f"{name}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileHandler(path, maxBytes=settings.file_bytes, backupCount=settings.file_count, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"log.to = file: {path} cannot be written: {error.strerror}") from error
