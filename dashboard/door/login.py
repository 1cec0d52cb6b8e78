"""Who may come in: people by password and session, programs by token. Knows nothing of pages."""

import hashlib
import hmac
import logging
import math
import time
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from bridge.errors import SettingsError
from bridge.settings import Settings
from dashboard.door.buckets import Buckets
from dashboard.door.sessions import Sessions
from dashboard.door.tokens import Tokens

LEAST_PASSWORD = 8
TRIES, TRIES_PER_MINUTE = 5, 2.0
"""Wrong passwords of one address: so many at once, then so many a minute."""
ALL_TRIES, ALL_TRIES_PER_MINUTE = 50, 20.0
"""Of all strangers together: a guesser may have many addresses."""
MOST_ADDRESSES = 4096
ALL = "all"
CURE = "set dashboard.password_file (or dashboard.password), or dashboard.login = off if anybody may see the page"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Guest:
    """Who tries. Strangers must not lock out who sits at this machine, nor a browser that was let in before."""

    address: str
    is_near: bool = False
    cookie: str = ""


class Login:
    """Raises SettingsError where there is no password to log in with."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tries = Buckets(TRIES_PER_MINUTE, TRIES, MOST_ADDRESSES)
        self._all_tries = Buckets(ALL_TRIES_PER_MINUTE, ALL_TRIES, 1)
        self.wrong = self.limited = 0
        self._sessions: Sessions | None = None
        self.reload()

    def reload(self) -> None:
        """Read password and tokens anew. Raises SettingsError, and then all stays as it was."""
        page = self._settings.dashboard
        password = _password(self._settings)
        tokens = Tokens(page.tokens_file)
        sessions = Sessions(self._settings.data_dir, password, page.session_days, self._sessions)
        self._digest, self.tokens, self._sessions = _digest(password), tokens, sessions

    @property
    def sessions(self) -> Sessions:
        """Of people."""
        assert self._sessions is not None
        return self._sessions

    @property
    def cookie(self) -> str:
        """Its name. Cookies know no ports, nor do containers know theirs: each dashboard of a host needs another."""
        return f"tickbridge-{self._settings.instance}-{self.sessions.place}"

    def knows(self, headers: Headers) -> bool:
        """Whether a request comes from somebody who logged in, or bears a token."""
        bearer = self.tokens.owner(headers.get("authorization", ""))
        return bearer is not None or self.sessions.holds(self.session(headers))

    def session(self, headers: Headers) -> str:
        """The session's cookie, or nothing."""
        return cookie_parser(headers.get("cookie", "")).get(self.cookie, "")

    def try_password(self, given: str, who: Guest, now_s: float | None = None) -> int | None:
        """None: right. 0: wrong. Else: not even looked at, and it may be tried again after so many seconds."""
        now_s = time.monotonic() if now_s is None else now_s
        known = self.sessions.known(who.cookie)
        key = who.address if known is None else f"session {known}"
        is_stranger = known is None and not who.is_near
        wait_s = self._tries.take(key, now_s) or (self._all_tries.take(ALL, now_s) if is_stranger else 0.0)
        if wait_s:
            self.limited += 1
            return math.ceil(wait_s)
        if hmac.compare_digest(_digest(given), self._digest):
            self._tries.forget(key)
            if is_stranger:
                self._all_tries.give_back(ALL)
            return None
        self.wrong += 1
        log.warning("log-in: a wrong password from %s", who.address)
        return 0


def _password(settings: Settings) -> str:
    password = settings.dashboard.secret()
    where = f"dashboard.login = {settings.dashboard.login}, dashboard.host = {settings.dashboard.host}"
    if password is None:
        raise SettingsError(f"{where}: visitors must log in, and there is no password: {CURE}")
    return checked(password)


def checked(password: str) -> str:
    """The password, if it is one. Raises SettingsError."""
    if len(password) < LEAST_PASSWORD:
        raise SettingsError(f"dashboard.password: has less than {LEAST_PASSWORD} characters: choose a longer one")
    return password


def _digest(password: str) -> bytes:
    """So that comparing takes the same time whatever the length."""
    return hashlib.sha256(password.encode("utf-8", "surrogatepass")).digest()
