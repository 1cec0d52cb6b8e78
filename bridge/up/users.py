"""The broker's users: made once, each in a file of its own that only we can read."""

import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bridge.access import USERS
from bridge.errors import TickbridgeError
from bridge.up.folder import make_writable, trouble, write_whole

PLACE = "users"
"""Their folder."""
PAGE = "page"
"""No user of the broker: what people log in to the page with."""
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without the letters that are taken for others when a password is read aloud or typed from a screen."""
LENGTH = 16
HASH_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Users:
    """Where each user's password is. `guest` may only read; its password is shown to everyone who sees the page."""

    folder: Path

    def file(self, name: str) -> Path:
        """The file that holds only this user's password."""
        return self.folder / f"{name}.password"

    def password(self, name: str) -> str:
        """The password itself."""
        return self.file(name).read_text(encoding="utf-8").strip()

    @property
    def tag_file(self) -> Path:
        """The file of what stands at the end of our client ids, so that nobody can guess them."""
        return self.folder / "client-tag"

    @property
    def tag(self) -> str:
        """The tag itself."""
        return self.tag_file.read_text(encoding="utf-8").strip()


def make_users(folder: Path) -> Users:
    """The users in this folder, and the tag; what is missing is made. Raises FolderError."""
    make_writable(folder)
    users = Users(folder)
    for file in (*map(users.file, (*USERS, PAGE)), users.tag_file):
        try:
            if not file.exists():
                write_whole(file, "".join(secrets.choice(ALPHABET) for _ in range(LENGTH)) + "\n", 0o600)
        except OSError as error:
            raise trouble(file, error) from error
    return users


def write_password_file(users: Users, path: Path, mosquitto_passwd: str) -> None:
    """Mosquitto's own hashed password file. No password ever stands in a command line, where every process sees it."""
    plain = path.with_name(path.name + ".new")
    try:
        write_whole(plain, "".join(f"{name}:{users.password(name)}\n" for name in USERS), 0o600)
        done = subprocess.run(
            [mosquitto_passwd, "-U", str(plain)], capture_output=True, text=True, timeout=HASH_TIMEOUT_S, check=False
        )
        if done.returncode:
            raise TickbridgeError(f"{mosquitto_passwd} -U failed: {(done.stderr or done.stdout).strip()[:200]}")
        plain.chmod(0o600)
        plain.replace(path)
    except subprocess.TimeoutExpired as error:
        raise TickbridgeError(f"{mosquitto_passwd} -U did not end within {HASH_TIMEOUT_S:.0f} s") from error
    except OSError as error:
        raise trouble(path, error) from error
    finally:
        plain.unlink(missing_ok=True)
