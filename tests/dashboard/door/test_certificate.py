"""The page's certificate: what is accepted, what is refused and in which words, and how it grows old."""

import ssl
import subprocess
import time
from pathlib import Path

import pytest

from bridge.errors import SettingsError
from bridge.settings import Dashboard
from dashboard.door.certificate import DAY_S, SOON_DAYS, Certificate, shake_hands, trusting
from tests.authority import Authority
from tests.dashboard.door.visit import House, settings


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> tuple[Path, Path]:
    return authority.certificate("page")


def page(cert: Path, key: Path | None) -> Dashboard:
    return Dashboard(cert_file=cert, key_file=key)


def at(seconds: float) -> str:
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + seconds))


def test_a_good_one_tells_until_when(pair: tuple[Path, Path]) -> None:
    certificate = Certificate(page(*pair))
    told = certificate.status()
    assert told.keys() == {"until_ns"}
    assert told["until_ns"] / 1e9 == pytest.approx(time.time() + 30 * DAY_S, abs=600)
    assert certificate.context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_one_file_may_hold_both_and_a_chain(pair: tuple[Path, Path], authority: Authority, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(path.read_bytes() for path in (*pair, authority.ca)))
    assert Certificate(page(both, None)).problem() is None


def test_only_the_very_certificate_is_trusted_not_who_vouches_for_it(authority: Authority, tmp_path: Path) -> None:
    between = authority.below("between")
    (mine, key), (other, other_key) = between.certificate("mine"), between.certificate("imposter")
    chains = []
    for cert in (mine, other):
        chains.append(tmp_path / f"{cert.name}.chain")
        chains[-1].write_bytes(cert.read_bytes() + between.ca.read_bytes() + authority.ca.read_bytes())
    server, imposter = Certificate(page(chains[0], key)), Certificate(page(chains[1], other_key))
    assert server.problem() is None
    shake_hands(server.context, trusting(chains[0]))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(imposter.context, trusting(chains[0]))
    with pytest.raises(ValueError, match="holds no PEM certificate"):
        trusting(key)


def test_a_mismatch_is_said(pair: tuple[Path, Path], authority: Authority) -> None:
    _, other = authority.certificate("other")
    with pytest.raises(SettingsError, match="the key is not this certificate's"):
        Certificate(page(pair[0], other))


def test_files_that_are_not_there_cannot_be_read_or_are_none(pair: tuple[Path, Path], tmp_path: Path) -> None:
    none, folder, empty = tmp_path / "none", tmp_path, tmp_path / "empty"
    empty.write_text("")
    for files, told in (
        ((none, pair[1]), r"dashboard\.cert_file = .*: No such file"),
        ((pair[0], none), r"dashboard\.key_file = .*: No such file"),
        ((folder, pair[1]), r"dashboard\.cert_file = .*: Is a directory"),
        ((empty, pair[1]), "no PEM certificate"),
        ((pair[0], empty), "no PEM certificate and key"),
        ((pair[1], pair[0]), "no PEM certificate"),
        ((pair[0], None), "no PEM certificate and key"),
    ):
        with pytest.raises(SettingsError, match=told):
            Certificate(page(*files))


def test_a_key_with_a_password_does_not_wait_at_the_terminal(authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.certificate("locked")
    locked = tmp_path / "locked.key"
    command = ["openssl", "ec", "-in", key, "-aes256", "-passout", "pass:secret", "-out", locked]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    with pytest.raises(SettingsError, match="without a password"):
        Certificate(page(cert, locked))


def test_an_expired_one_is_refused(authority: Authority) -> None:
    with pytest.raises(SettingsError, match=r"cert_file = .*old\.crt: has expired: renew it"):
        Certificate(page(*authority.certificate("old", start=at(-9 * DAY_S), end=at(-60))))


def test_one_for_anything_but_servers_is_refused(authority: Authority) -> None:
    with pytest.raises(SettingsError, match="browsers refuse it"):
        Certificate(page(authority.ca, authority.ca.with_suffix(".key")))


def test_one_of_tomorrow_is_served_because_the_clock_may_be_wrong(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """A Pi without a clock starts in the past; exit 2 would be for ever."""
    certificate = Certificate(page(*authority.certificate("young", start=at(DAY_S), end=at(9 * DAY_S))))
    assert "is this machine's clock right?" in certificate.status()["problem"]
    assert "clock" in caplog.text
    valid, key = authority.certificate("valid")
    (authority.ca.parent / "young.crt").write_bytes(valid.read_bytes())
    (authority.ca.parent / "young.key").write_bytes(key.read_bytes())
    certificate.look()  # as if its day had come
    assert certificate.problem() is None


async def test_two_weeks_before_its_end_health_and_log_tell(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cert, key = authority.certificate("soon", end=at((SOON_DAYS - 1) * DAY_S))
    house = House(settings(tmp_path, cert_file=cert, key_file=key))
    assert "expires on 20" in house.door.status()["certificate"]["problem"]
    assert "soon.crt: the certificate expires on 20" in caplog.text
    told = (await house.visitor("127.0.0.1").get("/healthz")).json()
    assert "expires on 20" in told["certificate"]


def test_one_that_ends_while_it_is_served_is_said(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = Certificate(page(*pair))
    now_s = time.time()
    for days, told in ((29 - SOON_DAYS, None), (31 - SOON_DAYS, "expires on"), (31, "expired on")):
        monkeypatch.setattr("time.time", lambda days=days: now_s + days * DAY_S)
        problem = certificate.problem()
        assert (problem is None) if told is None else (problem is not None and told in problem)


def test_a_renewal_that_is_wrong_changes_nothing(pair: tuple[Path, Path], authority: Authority, tmp_path: Path) -> None:
    cert, key = tmp_path / "page.crt", tmp_path / "page.key"
    cert.write_bytes(pair[0].read_bytes())
    key.write_bytes(pair[1].read_bytes())
    certificate = Certificate(page(cert, key))
    until_s = certificate.until_s
    fresh, fresh_key = authority.certificate("fresh", end=at(60 * DAY_S))
    cert.write_bytes(fresh.read_bytes())  # and the key not yet
    with pytest.raises(SettingsError, match="the key is not this certificate's"):
        certificate.reload()
    assert certificate.until_s == until_s
    key.write_bytes(fresh_key.read_bytes())
    certificate.reload()
    assert certificate.until_s is not None
    assert certificate.until_s == pytest.approx(time.time() + 60 * DAY_S, abs=60)


def test_a_key_without_a_certificate_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="a key_file, but no cert_file"):
        Dashboard(key_file=Path("x"))
