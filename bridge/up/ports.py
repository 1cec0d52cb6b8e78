"""Ports: the wished one if it is free, else one near it."""

import socket

from bridge.errors import TickbridgeError

NEAR = 50
"""So many ports above the wished one are tried before any free one is taken."""


def is_free(host: str, port: int) -> bool:
    """Whether this process could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def choose(host: str, wished: int, taken: set[int]) -> int:
    """A free port, near the wished one if it is not free itself; it is added to `taken`. 0 wishes for any."""
    near = range(wished, min(wished + NEAR, 65536)) if wished else ()
    port = next((port for port in near if port not in taken and is_free(host, port)), None)
    chosen = port if port is not None else _any(host)
    taken.add(chosen)
    return chosen


def _any(host: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError as error:
            raise TickbridgeError(f"{host}: this machine cannot listen there: {error.strerror}") from error
        port: int = probe.getsockname()[1]
        return port
