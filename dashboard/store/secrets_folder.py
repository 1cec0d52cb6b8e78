"""The folder with the tokens: one file each, which only its owner can read. No token is ever printed."""

import os
import secrets
from pathlib import Path

from bridge.errors import StoreError

MOST_BYTES = 4096
ADMIN = "admin"
TOKEN_BYTES = 48


class Tokens:
    """`<name>.token` files in one folder, made (0700) when the first is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, name: str) -> Path:
        return self.folder / f"{name}.token"

    def read(self, name: str) -> str | None:
        """The token, or None where there is no such file, or nothing in it. Raises StoreError."""
        path = self.file(name)
        return read_token(path) if path.exists() else None

    def write(self, name: str, token: str) -> None:
        """0600 from the first byte on; readers see the old file or the new one. Raises StoreError."""
        path = self.file(name)
        part = path.with_name(f".{path.name}.part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            part.unlink(missing_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(token + "\n")
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror or error}: choose another folder with --tokens-dir") from error


def read_token(path: Path) -> str | None:
    """What a token file holds; None: nothing. Raises StoreError."""
    try:
        return path.read_text(encoding="utf-8")[:MOST_BYTES].strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: {getattr(error, 'strerror', None) or 'is no text'}") from error


def new_token() -> str:
    """Nobody can guess it."""
    return secrets.token_urlsafe(TOKEN_BYTES)
