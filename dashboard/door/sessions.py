"""The sessions of people: a signed cookie with its time in it, so that a restart ends none.

The signature hangs on the password: a new one ends all sessions. What was logged out is remembered until it would
have ended by itself.
"""

import hashlib
import hmac
import logging
import os
import secrets
import time
from pathlib import Path
from typing import Self

import msgspec
from itsdangerous import BadSignature, TimestampSigner

from bridge.aside import put_aside
from bridge.errors import SettingsError, StoreError

FOLDER, KEY, ENDED = "login", "key", "ended.json"
KEY_BYTES = 32
DAY_S = 86_400
MOST_ENDED = 10_000
MOST_COOKIE = 200
log = logging.getLogger(__name__)
_decode = msgspec.json.Decoder(dict[str, int]).decode


class Sessions:
    """`folder`: where the key and what was logged out are kept. Raises SettingsError if that cannot be."""

    def __init__(self, folder: Path, password: str, days: int, before: Self | None = None) -> None:
        """`before`: what the settings were read anew for; who logged out of it stays so, whatever a disk says."""
        self._folder = folder / FOLDER
        self.seconds = days * DAY_S
        self._ended = self._read_ended()
        key = _key(self._folder)
        self.place = hmac.digest(key, b"cookie's name", "sha256").hex()[:12]
        """The same for one data folder, another for every other."""
        mark = hmac.digest(key, password.encode(), "sha256").hex()
        self._signer = TimestampSigner(key, salt=f"tickbridge session {mark}", digest_method=hashlib.sha256)
        if before is not None:
            missing = before._ended.keys() - self._ended.keys()
            self._ended = {**self._ended, **before._ended}
            if missing:
                self._save()

    def begin(self) -> str:
        """A new session's cookie."""
        return self._signer.sign(secrets.token_urlsafe(16)).decode()

    def holds(self, cookie: str) -> bool:
        """Whether this is a session that runs."""
        name = self._name(cookie)
        return name is not None and name not in self._ended

    def known(self, cookie: str) -> str | None:
        """Whose browser logged in once and never out, also if that is long ago: the session's name."""
        name = self._name(cookie, at_any_time=True)
        return None if name in self._ended else name

    def end(self, cookie: str) -> None:
        """Log out: this cookie is worth nothing any more, wherever it was copied to."""
        name = self._name(cookie)
        if name is None:
            return
        now_s = int(time.time())
        running = {one: until_s for one, until_s in self._ended.items() if until_s > now_s}
        running[name] = now_s + self.seconds
        self._ended = dict(list(running.items())[-MOST_ENDED:])
        self._save()

    def _save(self) -> None:
        try:
            _write(self._folder / ENDED, msgspec.json.encode(self._ended))
        except OSError as error:
            log.warning("%s: %s: a restart forgets who logged out", self._folder / ENDED, error.strerror)

    def _name(self, cookie: str, *, at_any_time: bool = False) -> str | None:
        if len(cookie) > MOST_COOKIE:
            return None
        try:
            return self._signer.unsign(cookie, max_age=None if at_any_time else self.seconds).decode()
        except (BadSignature, UnicodeError):
            return None

    def _read_ended(self) -> dict[str, int]:
        path = self._folder / ENDED
        try:
            return _decode(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, msgspec.DecodeError) as error:
            _end_all(path, error)
            return {}


def _end_all(path: Path, problem: Exception) -> None:
    """Who logged out is not known any more: with a new key nobody's session lives again."""
    try:
        aside = put_aside(path)
        (path.parent / KEY).unlink(missing_ok=True)
    except (OSError, StoreError) as error:
        raise SettingsError(f"{path}: cannot be read ({problem}), nor moved away: {error}") from error
    log.warning("%s: cannot be read (%s): it is %s now, and everybody must log in again", path, problem, aside.name)


def _key(folder: Path) -> bytes:
    """The key that signs, made at the first start. A broken one is made anew: that only ends the sessions."""
    path = folder / KEY
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists():
            key = path.read_bytes()
            if len(key) == KEY_BYTES:
                return key
            log.warning("%s: is no key: a new one is made, everybody must log in again", path)
        key = secrets.token_bytes(KEY_BYTES)
        _write(path, key)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}: make data_dir writable, or choose another") from error
    return key


def _write(path: Path, content: bytes) -> None:
    """0600 from the first byte on; a power cut leaves the old file or the new one."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
