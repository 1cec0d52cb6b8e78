"""The tokens of programs: a file with a name and a token on each line."""

import hashlib
import hmac
import re
from pathlib import Path

from bridge.errors import SettingsError

MOST_BYTES = 64 * 1024
MOST_TOKENS = 200
LINE = re.compile(r"(?P<name>[\w.-]{1,64})[ \t]+(?P<token>[A-Za-z0-9._~+/=-]{20,256})")
"""RFC 6750's characters; whatever is shorter can be guessed."""
SCHEME = "bearer"


class Tokens:
    """Their digests by name: the tokens themselves are not kept."""

    def __init__(self, path: Path | None) -> None:
        """Raises SettingsError with the line that is wrong (never its text)."""
        self._digests = _read(path) if path is not None else {}

    def __len__(self) -> int:
        return len(self._digests)

    def owner(self, authorization: str) -> str | None:
        """Whose token an Authorization header bears; None: nobody's."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != SCHEME:
            return None
        given = _digest(token.strip())
        found = [name for name, known in self._digests.items() if hmac.compare_digest(given, known)]
        return found[0] if found else None


def _read(path: Path) -> dict[str, bytes]:
    try:
        text = path.read_bytes()[: MOST_BYTES + 1].decode()
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(path, getattr(error, "strerror", None) or "is no UTF-8 text") from error
    if len(text) > MOST_BYTES:
        raise _wrong(path, f"is larger than {MOST_BYTES} bytes")
    found: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = LINE.fullmatch(line.strip())
        if match is None:
            raise _wrong(path, f"line {number}: must be a name, a blank and a token of 20 or more letters and digits")
        if match["name"] in found:
            raise _wrong(path, f"line {number}: {match['name']} has a token already")
        found[match["name"]] = _digest(match["token"])
    if len(found) > MOST_TOKENS:
        raise _wrong(path, f"has more than {MOST_TOKENS} tokens")
    return found


def _wrong(path: Path, why: str) -> SettingsError:
    return SettingsError(f"dashboard.tokens_file = {path}: {why}")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
