"""Network errors in people's words: what does not work, with whom, and what to look at first."""

import errno
import socket
import ssl
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

NO_NETWORK = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL})
MAX_WORDS = 200
WORDS: Mapping[type[BaseException], str] = {
    socket.gaierror: "the name {host} cannot be looked up: is there an internet connection?",
    ssl.SSLCertVerificationError: "the certificate of {host} is not valid (is the clock right?): {error}",
    ssl.SSLError: "no encrypted connection to {host}: {error}",
    ConnectionRefusedError: "{host} refuses the connection",
    TimeoutError: "{host} does not answer",
    ConnectionError: "{host} closed the connection",
}
"""The first that fits counts."""


def words(error: BaseException, url: str) -> str:
    """Why this address cannot be used, in one line."""
    host = _host(url)
    told = next((found for one in _chain(error) if (found := _told(one, host)) is not None), None)
    return (told or f"no connection to {host}: {str(error) or type(error).__name__}")[:MAX_WORDS]


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or url
    except ValueError:
        return url


def _told(error: BaseException, host: str) -> str | None:
    if isinstance(error, OSError) and error.errno in NO_NETWORK:
        return f"{host} cannot be reached: is there a network connection?"
    told = next((text for kind, text in WORDS.items() if isinstance(error, kind)), None)
    return None if told is None else told.format(host=host, error=getattr(error, "verify_message", error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it comes from."""
    while error is not None:
        yield error
        error = error.__cause__
