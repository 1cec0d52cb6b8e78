"""`tickbridge store init` on a real InfluxDB: what it makes, keeps and changes, and what it says when it cannot."""

import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.cli import main
from tests.broker import free_ports
from tests.containers import Influx
from tests.flux import query, stored, write

pytestmark = pytest.mark.real
KINDS = ("prices", "trades", "candles", "gaps", "errors", "states", "rollups")


class Shop:
    """One InfluxDB, one folder of tokens, and the verb as it is typed."""

    def __init__(self, url: str, folder: Path, org: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.url, self.folder, self.org, self._capsys = url, folder, org, capsys

    def init(self, *more: str, prefix: str = "", code: int = 0) -> str:
        """Run it; everything that it said."""
        where = ["--url", self.url, "--org", self.org, "--tokens-dir", str(self.folder)]
        done = main(["store", "init", *where, "--set", f"influx.bucket_prefix={prefix}", *more])
        told = self._capsys.readouterr()
        assert done == code, told
        for token in self.folder.glob("*.token"):
            assert token.read_text().strip() not in told.out + told.err
        return told.out + told.err

    def token(self, name: str) -> str:
        return (self.folder / f"{name}.token").read_text().strip()

    def get(self, what: str, name: str = "admin") -> Any:
        answer = httpx.get(
            f"{self.url}/api/v2/{what}", headers={"Authorization": f"Token {self.token(name)}"}, timeout=10
        )
        return answer.raise_for_status().json()

    def buckets(self, prefix: str = "") -> dict[str, int]:
        """Ours, and how many seconds they keep."""
        return {
            one["name"]: one["retentionRules"][0]["everySeconds"] if one["retentionRules"] else 0
            for one in self.get("buckets?limit=100")["buckets"]
            if one["type"] == "user" and one["name"].removeprefix(prefix) in KINDS and one["name"].startswith(prefix)
        }


@pytest.fixture
def shop(influx: Influx, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shop:
    """The file's InfluxDB, with its all-access token already in the folder."""
    folder = tmp_path / "tokens"
    folder.mkdir()
    (folder / "admin.token").write_text(influx.token)
    return Shop(influx.url, folder, influx.org, capsys)


def test_an_empty_influxdb_is_set_up_with_buckets_tokens_and_tasks(
    fresh_influx: Influx, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop(fresh_influx.url, tmp_path / "tokens", "my house $", capsys)
    told = shop.init()
    assert "set up, user tickbridge, organization my house $" in told
    day = 86_400
    assert shop.buckets() == {
        "prices": 30 * day,
        "trades": 90 * day,
        "candles": 0,
        "gaps": 0,
        "errors": 30 * day,
        "states": 30 * day,
        "rollups": 0,
    }
    assert sorted(file.name for file in shop.folder.iterdir()) == ["admin.token", "dashboard.token", "telegraf.token"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in shop.folder.iterdir()} == {0o600}
    assert stat.S_IMODE(shop.folder.stat().st_mode) == 0o700
    names = {task["name"] for task in shop.get("tasks")["tasks"] if task["status"] == "active"}
    assert names == {f"tickbridge rollup {name}" for name in ("1m", "1h", "1d", "late")}


def test_a_second_run_keeps_everything(shop: Shop) -> None:
    shop.init(prefix="again_")
    before = {name: shop.token(name) for name in ("telegraf", "dashboard")}
    told = shop.init(prefix="again_")
    assert {name: shop.token(name) for name in before} == before
    assert {line.partition(": ")[2].split(",")[0] for line in told.splitlines()} == {"there", "kept"}


def test_retention_follows_the_settings(shop: Shop) -> None:
    for days in (7, 0, 1, 800):
        shop.init("--set", f"history.candles_days={days}", prefix="kept_")
        assert shop.buckets("kept_")["kept_candles"] == days * 86_400


def test_telegraf_may_only_write_and_not_the_roll_ups(shop: Shop) -> None:
    shop.init(prefix="may_")
    token = shop.token("telegraf")
    write(shop.url, shop.org, token, "may_prices", "prices price=1")
    with pytest.raises(AssertionError, match="insufficient permissions"):
        write(shop.url, shop.org, token, "may_rollups", "x price=1")
    with pytest.raises(AssertionError, match=r"could not find bucket|unauthorized|not found"):
        query(shop.url, shop.org, token, 'from(bucket: "may_prices") |> range(start: 0)')


def test_the_dashboard_may_read_ours_and_write_nothing(shop: Shop) -> None:
    shop.init(prefix="look_")
    assert set(shop.buckets("look_")) == {f"look_{kind}" for kind in KINDS}
    told = {one["name"] for one in shop.get("buckets?limit=100", "dashboard")["buckets"]}
    assert told == {f"look_{kind}" for kind in KINDS}
    assert stored(shop.url, shop.org, shop.token("dashboard"), "look_prices") == []
    with pytest.raises(AssertionError, match="insufficient permissions"):
        write(shop.url, shop.org, shop.token("dashboard"), "look_prices", "prices price=1")


def test_a_lost_token_is_made_anew_and_the_old_one_is_worth_nothing(shop: Shop) -> None:
    shop.init(prefix="lost_")
    old = shop.token("telegraf")
    (shop.folder / "telegraf.token").unlink()
    assert "made anew, the old one is revoked" in shop.init(prefix="lost_")
    write(shop.url, shop.org, shop.token("telegraf"), "lost_prices", "prices price=1")
    with pytest.raises(AssertionError, match="unauthorized"):
        write(shop.url, shop.org, old, "lost_prices", "prices price=1")


def test_an_all_access_token_may_lie_elsewhere(shop: Shop, tmp_path: Path) -> None:
    (shop.folder / "admin.token").rename(tmp_path / "mine")
    told = shop.init(prefix="mine_", code=1)
    assert "is set up already" in told
    assert "--admin-token-file" in told
    shop.init("--admin-token-file", str(tmp_path / "mine"), prefix="mine_")
    assert not (shop.folder / "admin.token").exists()


def test_an_organization_that_is_missing_is_made(shop: Shop) -> None:
    shop.org = "second house"
    assert "organization second house: made" in shop.init(prefix="two_")
    assert "organization second house: there" in shop.init(prefix="two_")


def test_a_wrong_token_is_said_plainly(shop: Shop) -> None:
    (shop.folder / "admin.token").write_text("wrong")
    told = shop.init(code=1)
    assert len(told.splitlines()) == 1
    assert "does not know this token" in told


def test_a_token_that_may_too_little_is_said_plainly(shop: Shop) -> None:
    shop.init(prefix="weak_")
    weak = shop.folder.parent / "weak"
    weak.write_text(shop.token("dashboard"))
    told = shop.init("--admin-token-file", str(weak), prefix="weaker_", code=1)
    assert len(told.splitlines()) == 1
    assert "all-access token by --admin-token-file" in told


@contextmanager
def stranger(status: int, body: bytes, headers: dict[str, str]) -> Iterator[str]:
    """A web server that is no InfluxDB 2."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "headers", "named"),
    [
        (404, b"404 page not found", {"X-Influxdb-Version": "1.8.10"}, "InfluxDB 1.8.10 answers there"),
        (401, b"", {"X-Influxdb-Version": "3.10.1"}, "InfluxDB 3.10.1 answers there"),
        (404, b"", {}, "something else (HTTP 404) answers there"),
        (200, b"<html>", {"Content-Type": "text/html"}, "something else (HTTP 200) answers there"),
        (200, b'"x"', {"Content-Type": "application/json"}, "something else (HTTP 200) answers there"),
    ],
)
def test_what_is_no_influxdb_2_is_named(
    status: int,
    body: bytes,
    headers: dict[str, str],
    named: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with stranger(status, body, headers) as url:
        told = Shop(url, tmp_path / "tokens", "x", capsys).init(code=1)
    assert len(told.splitlines()) == 1
    assert named in told
    assert "needs InfluxDB 2" in told
    assert not (tmp_path / "tokens").exists()


def test_where_nothing_answers_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    told = Shop(url, tmp_path, "x", capsys).init(code=1)
    assert told == f"tickbridge: {url}: no answer (Connection refused): start InfluxDB 2, or set influx.url\n"
