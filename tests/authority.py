"""A certificate authority of a test's own, by the system's openssl."""

import subprocess
from pathlib import Path

DAY_S = 86_400


class Authority:
    """`ca` is what clients trust; `certificate` makes one for 127.0.0.1 and localhost."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.ca, self._key = folder / f"{name}.crt", folder / f"{name}.key"
        subject = ("-subj", f"/CN=Test authority {name}", "-days", "30")
        _openssl("req", "-x509", *_new_key(self._key), *subject, "-out", self.ca, "-addext", "keyUsage=keyCertSign")

    def certificate(self, name: str, *, start: str | None = None, end: str | None = None) -> tuple[Path, Path]:
        """Certificate and key; `start` and `end` like 20260101000000Z, by default from now for 30 days."""
        cert, key, request = (self._folder / f"{name}.{ending}" for ending in ("crt", "key", "csr"))
        extensions = self._folder / f"{name}.ext"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
        _openssl("req", *_new_key(key), "-subj", f"/CN={name}", "-out", request)
        signing = ("-CA", self.ca, "-CAkey", self._key, "-CAcreateserial", "-extfile", extensions)
        if start is None and end is None:
            _openssl("x509", "-req", "-in", request, *signing, "-days", "30", "-out", cert)
        else:
            self._dated(request, extensions, cert, (start, end))
        return cert, key

    def below(self, name: str) -> "Authority":
        """One that this one vouches for: servers send its certificate behind their own."""
        lower = Authority(self._folder / name, name)
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        extensions.write_text("basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n")
        _openssl("req", "-new", "-key", lower._key, "-subj", f"/CN={name}", "-out", request)
        signing = ("-CA", self.ca, "-CAkey", self._key, "-CAcreateserial", "-extfile", extensions)
        _openssl("x509", "-req", "-in", request, *signing, "-days", "30", "-out", lower.ca)
        return lower

    def _dated(self, request: Path, extensions: Path, cert: Path, span: tuple[str | None, str | None]) -> None:
        """`openssl ca` alone can date a certificate freely, and wants a folder for it."""
        (self._folder / "index.txt").write_text("")
        config = self._folder / "ca.cnf"
        config.write_text(
            f"[ca]\ndefault_ca=own\n[own]\ndatabase={self._folder}/index.txt\nnew_certs_dir={self._folder}\n"
            f"rand_serial=yes\ndefault_md=sha256\npolicy=any\nunique_subject=no\n[any]\ncommonName=supplied\n"
        )
        dates = ("-startdate", span[0] or "20200101000000Z", "-enddate", span[1] or "20991231000000Z")
        who = ("-cert", self.ca, "-keyfile", self._key, "-config", config, "-extfile", extensions)
        _openssl("ca", "-batch", "-notext", *who, *dates, "-in", request, "-out", cert)


def _new_key(path: Path) -> tuple[str | Path, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", path)


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr[-1000:]}")
