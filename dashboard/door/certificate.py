"""The page's certificate: loaded, proven, watched as it grows old, and read anew on SIGHUP.

What a certificate says of itself is asked in a handshake with ourselves, in memory: it proves in one go that key and
certificate belong together, that a browser's rules are met, and until when.
"""

import asyncio
import logging
import re
import ssl
import time
from pathlib import Path
from typing import Any

from bridge.errors import SettingsError
from bridge.settings import Dashboard

DAY_S = 86_400
SOON_DAYS = 14
LOOK_S = 6 * 3600.0
LOOK_AGAIN_S = 300.0
EXPIRED, NOT_YET = 10, 9
"""OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED and X509_V_ERR_CERT_NOT_YET_VALID."""
PEM = re.compile(rb"-----BEGIN ((?:TRUSTED |X509 )?CERTIFICATE)-----.*?-----END \1-----", re.DOTALL)
log = logging.getLogger(__name__)


class Certificate:
    """Raises SettingsError if it cannot be used."""

    def __init__(self, page: Dashboard) -> None:
        assert page.cert_file is not None
        self._cert, self._key = page.cert_file, page.key_file
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self.until_s: float | None = None
        """When it ends, seconds since the epoch; None: not known."""
        self.reload()

    def reload(self) -> None:
        """Read the files anew; connections from now on get the new one. Raises SettingsError: the old one stays."""
        fresh = _load(self._cert, self._key)
        until_s = _until_s(fresh, self._cert)
        self.context.load_cert_chain(self._cert, self._key)
        self.until_s = until_s
        self._warn()

    async def run(self) -> None:
        """Look again and again how old it is."""
        while True:
            await asyncio.sleep(LOOK_S if self.until_s is not None else LOOK_AGAIN_S)
            self.look()

    def look(self) -> None:
        """What is wrong with it by now is logged. A clock that was set right may have made it valid."""
        if self.until_s is not None:
            self._warn()
            return
        try:
            self.reload()
        except SettingsError as error:
            log.error("%s", error)

    def status(self) -> dict[str, Any]:
        """For health: until when, and what is wrong with that."""
        told: dict[str, Any] = {} if self.until_s is None else {"until_ns": int(self.until_s) * 1_000_000_000}
        problem = self.problem()
        return told if problem is None else {**told, "problem": problem}

    def problem(self) -> str | None:
        """What a person should do something about."""
        if self.until_s is None:
            return "the certificate is not valid yet: is this machine's clock right?"
        return ends_soon(self.until_s)

    def _warn(self) -> None:
        if (problem := self.problem()) is not None:
            log.warning("%s: %s", self._cert, problem)


def ends_soon(until_s: float) -> str | None:
    """What is to be done about a certificate that is good until then, seconds since the epoch; None: nothing yet."""
    days = (until_s - time.time()) / DAY_S
    if days <= 0:
        return f"the certificate expired on {_day(until_s)}: renew it"
    return f"the certificate expires on {_day(until_s)}: renew it" if days < SOON_DAYS else None


def _load(cert: Path, key: Path | None) -> ssl.SSLContext:
    for name, path in (("cert_file", cert), ("key_file", key)):
        _read(name, path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = f"dashboard.cert_file = {cert}, dashboard.key_file = {key or 'not set'}"
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except ssl.SSLError as error:
        why = {
            "KEY_VALUES_MISMATCH": "the key is not this certificate's",
            "EE_KEY_TOO_SMALL": "the key is too short for today's browsers",
        }.get(error.reason or "", "these are no PEM certificate and key without a password")
        raise SettingsError(f"{files}: {why}") from error
    return context


def _read(name: str, path: Path | None) -> None:
    try:
        if path is not None:
            path.read_bytes()
    except OSError as error:
        raise SettingsError(f"dashboard.{name} = {path}: {error.strerror}") from error


def _no_password() -> str:
    """OpenSSL would ask at the terminal, and wait there for ever."""
    return ""


def _until_s(server: ssl.SSLContext, cert: Path) -> float | None:
    """When the certificate ends; None: it is not valid yet. Raises SettingsError for one that no browser takes."""
    try:
        told = shake_hands(server, trusting(cert))
    except ssl.SSLCertVerificationError as error:
        if error.verify_code == NOT_YET:
            return None
        if error.verify_code == EXPIRED:
            raise SettingsError(f"dashboard.cert_file = {cert}: has expired: renew it") from error
        raise SettingsError(f"dashboard.cert_file = {cert}: browsers refuse it: {error.verify_message}") from error
    return float(ssl.cert_time_to_seconds(str(told["notAfter"])))


def trusting(cert: Path) -> ssl.SSLContext:
    """A client that trusts this very certificate and nothing else, whatever name it has: not those behind it in a file
    with a chain, which would vouch for all the world. Raises OSError; ValueError if the file holds none.
    """
    found = PEM.search(cert.read_bytes())
    if found is None:
        raise ValueError(f"{cert}: holds no PEM certificate")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cadata=found[0].decode("ascii", "replace"))
    return client


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> dict[str, Any]:
    """What the client learns of the server's certificate."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking, answering = client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True)
    for side in (asking, answering, asking):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:  # the other one's turn
            continue
    return dict(asking.getpeercert() or {})


def _day(at_s: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at_s))
