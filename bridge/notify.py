"""What systemd is told of this process (sd_notify): a datagram to $NOTIFY_SOCKET. Without that nothing happens."""

import logging
import os
import socket
from collections.abc import Mapping, MutableMapping

log = logging.getLogger(__name__)

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
MOST_STATUS = 500


class Notifier:
    """`say` never waits and never raises: a manager that does not listen is no trouble of ours."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self.watchdog_s = _watchdog_s(environ) if self._address else None
        """Within so long WATCHDOG=1 is expected again; None: nobody waits for it."""

    def say(self, *lines: str) -> None:
        """Such as `READY=1`, `STATUS=online`; each line one assignment."""
        if not self._address:
            return
        text = "\n".join(" ".join(line.splitlines())[:MOST_STATUS] for line in lines)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.setblocking(False)
                line.sendto(text.encode(), self._address)
        except OSError as error:
            log.debug("the service manager is not told %s: %s", lines, error)


def forget(environ: MutableMapping[str, str] = os.environ) -> None:
    """What systemd expects of this process, no child must say in its place."""
    for name in VARIABLES:
        environ.pop(name, None)


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """WATCHDOG_USEC, unless it is meant for another process."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        seconds = int(environ.get("WATCHDOG_USEC", "0")) / 1e6
    except ValueError:
        return None
    return seconds if seconds > 0 else None
