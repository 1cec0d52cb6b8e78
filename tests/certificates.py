"""A small authority of its own, and certificates for a broker, made by openssl."""

import subprocess
from pathlib import Path

NAMES = "DNS:localhost,DNS:pi.local,IP:127.0.0.1"
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """Its certificate is `file`; whoever trusts that trusts what it signs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.file = folder / "ca.crt"
        self._key = folder / "ca.key"

    @classmethod
    def new(cls, folder: Path, name: str = "Tickbridge at home") -> "Authority":
        """Made now, in a new folder."""
        folder.mkdir(parents=True)
        authority = cls(folder)
        extensions = ("basicConstraints=critical,CA:TRUE,pathlen:0", "keyUsage=critical,keyCertSign,cRLSign")
        added = [part for one in extensions for part in ("-addext", one)]
        files = ("-keyout", authority._key, "-out", authority.file)
        _openssl("req", "-x509", *KEY, *files, "-days", 3650, "-subj", f"/CN={name}", *added)
        return authority

    def certificate(self, name: str, *, names: str = NAMES, days: int = 397) -> tuple[Path, Path]:
        """A server's certificate and key; `days` below zero: it has expired."""
        wish, key, file, extensions = (self._folder / f"{name}.{end}" for end in ("csr", "key", "crt", "ext"))
        usage = "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n"
        extensions.write_text(f"{usage}subjectAltName={names}\n")
        _openssl("req", "-new", *KEY, "-keyout", key, "-out", wish, "-subj", f"/CN={name}")
        signed_by = ("-CA", self.file, "-CAkey", self._key, "-CAcreateserial", "-extfile", extensions)
        _openssl("x509", "-req", "-in", wish, *signed_by, "-out", file, "-days", days)
        return file, key


def _openssl(*arguments: object) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
