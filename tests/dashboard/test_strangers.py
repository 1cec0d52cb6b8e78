"""What strangers can make the log say: little, and nothing of what they send."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bridge.logs import configure
from bridge.settings import Log
from dashboard.strangers import LOGGER, TELL_S, Hush
from tests.dashboard.door.test_process import BEARER, on_a_port
from tests.dashboard.door.visit import TOKEN, log_in
from tests.dashboard.served import ask, served


@pytest.fixture
def fresh() -> Iterator[None]:
    """As in a process that just began."""
    logger = logging.getLogger(LOGGER)
    before, logger.filters = logger.filters, []
    yield
    logger.filters = before


def record(text: str, *values: object, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord(LOGGER, level, __file__, 0, text, values, None)


def test_each_kind_is_told_once_a_minute_and_then_with_a_count() -> None:
    now_s = 0.0
    hush = Hush(lambda: now_s)
    assert [hush.filter(record("garbage of %s", n)) for n in range(5)] == [True] + [False] * 4
    assert hush.filter(record("another"))
    now_s = TELL_S
    later = record("garbage of %s", 9)
    assert hush.filter(later)
    assert later.getMessage() == "garbage of 9 (4 more like this since the last one)"
    now_s = 3 * TELL_S
    assert hush.filter(later := record("garbage of %s", 9))
    assert later.getMessage() == "garbage of 9"


def test_two_crashes_are_two_kinds() -> None:
    hush = Hush(lambda: 0.0)

    def crash(way: int) -> logging.LogRecord:
        told = record("crash", level=logging.ERROR)
        try:
            if way:
                raise ValueError
            raise KeyError
        except (ValueError, KeyError) as error:
            told.exc_info = type(error), error, error.__traceback__
        return told

    assert [hush.filter(crash(way)) for way in (0, 1, 0, 1)] == [True, True, False, False]


@pytest.mark.real
async def test_refused_websockets_and_garbage_write_next_to_nothing(
    tmp_path: Path, fresh: None, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(on_a_port(tmp_path)) as page:
        for _ in range(5):
            with pytest.raises(InvalidStatus):
                await connect(page.ws)
            reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
            writer.write(b"\x16\x03\x01 garbage\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 400")
            writer.close()
    told = [one.getMessage() for one in caplog.records if one.name == LOGGER and one.levelno >= logging.WARNING]
    assert told == ["Invalid HTTP request received."]


@pytest.mark.real
async def test_a_uvicorn_that_is_debugged_writes_down_no_token_and_no_cookie(tmp_path: Path, fresh: None) -> None:
    root, area = logging.getLogger(), logging.getLogger("uvicorn")
    before, handlers, level = root.level, root.handlers[:], area.level
    try:
        root.handlers = []
        configure(Log(level="debug", areas={"uvicorn": "debug", LOGGER: "debug"}, to="file"), tmp_path, "page")
        async with served(on_a_port(tmp_path)) as page, httpx.AsyncClient(base_url=page.http) as client:
            assert (await log_in(client)).status_code == httpx.codes.SEE_OTHER
            cookie = next(iter(client.cookies.values()))
            async with page.reader(additional_headers=BEARER) as line:
                assert (await ask(line, subscribe=["health/#"]))["ok"] is True
            async with page.reader(additional_headers={"cookie": "; ".join(map("=".join, client.cookies.items()))}):
                pass
    finally:
        for one in root.handlers:
            one.close()
        root.handlers = handlers
        root.setLevel(before)
        area.setLevel(level)
        logging.getLogger(LOGGER).setLevel(logging.NOTSET)
    said = (tmp_path / "log" / "page.log").read_text()
    assert "[accepted]" in said
    told = "".join(line for line in said.splitlines() if "uvicorn" in line)  # the visitor's own library logs here, too
    assert not any(secret in told for secret in (TOKEN, cookie))
