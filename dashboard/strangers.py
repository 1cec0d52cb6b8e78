"""What uvicorn writes about strangers' requests: each kind once a minute with a count, and never what they send.

Otherwise anybody could fill the log; and below INFO it writes requests down with their cookies and tokens.
"""

import logging
import time
from collections.abc import Callable

LOGGER = "uvicorn.error"
"""So uvicorn calls all its lines, whatever their level; those of its websockets, too."""
TELL_S = 60.0

Kind = tuple[str, int]


class Hush(logging.Filter):
    """Of each kind of warning one a minute goes through; the next one tells how many did not."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock_s = clock_s
        self._told: dict[Kind, tuple[float, int]] = {}
        """When it was last told, and how many were held back since."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return record.levelno >= logging.INFO
        kind, now_s = _kind(record), self._clock_s()
        told_s, held = self._told.get(kind, (now_s - TELL_S, 0))
        if now_s - told_s < TELL_S:
            self._told[kind] = told_s, held + 1
            return False
        self._told[kind] = now_s, 0
        if held:
            record.msg, record.args = f"{record.getMessage().rstrip()} ({held} more like this since the last one)", ()
        return True


def install() -> None:
    """Once in a process, however often the page is served."""
    logger = logging.getLogger(LOGGER)
    if not any(isinstance(one, Hush) for one in logger.filters):
        logger.addFilter(Hush())


def _kind(record: logging.LogRecord) -> Kind:
    """The text before its values are filled in, and of a crash the line that it comes from."""
    trace = record.exc_info[2] if record.exc_info else None
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return str(record.msg), trace.tb_lineno if trace is not None else 0
