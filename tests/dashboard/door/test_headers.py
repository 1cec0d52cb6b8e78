"""The security headers, read from every kind of answer of every route."""

from pathlib import Path

import httpx
import pytest

from bridge.settings import Settings
from dashboard.description import description
from tests.dashboard.door.visit import TOKEN, House, settings

ROUTES = [path.format(exchange="kucoin", symbol="BTC-USDT") for path in description()["paths"]]
WANTED = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "manifest-src": "'self'",
    "connect-src": "'self' ws://pi.local:9001",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}


def policy(answer: httpx.Response) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in answer.headers["content-security-policy"].split(";"))
    return {name: value for name, _, value in parts}


@pytest.fixture
def static(tmp_path: Path) -> Path:
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "index.html").write_text("<!doctype html>")
    (tmp_path / "static" / "main-4F5JQX2Z.js").write_text("1")
    return tmp_path / "static"


@pytest.mark.parametrize(
    "address", [*ROUTES, "/", "/main-4F5JQX2Z.js", "/login", "/login.css", "/nothing", "/x" * 3000]
)
@pytest.mark.parametrize("headers", [{}, {"authorization": f"Bearer {TOKEN}"}, {"host": "evil.example"}])
async def test_every_answer_has_them(tmp_path: Path, static: Path, address: str, headers: dict[str, str]) -> None:
    answer = await House(settings(tmp_path), static=static).visitor().get(address, headers=headers)
    assert {name: answer.headers.get(name) for name in WANTED} == WANTED
    assert "microphone=()" in answer.headers["permissions-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert policy(answer) == POLICY | ({"connect-src": "'self' ws://evil.example:9001"} if "host" in headers else {})
    assert "strict-transport-security" not in answer.headers
    if address.startswith("/api") or answer.status_code >= 300:
        assert answer.headers["cache-control"] in ("no-store", "no-cache")


async def test_a_crash_has_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(Settings(data_dir=tmp_path))
    monkeypatch.setattr(house.door, "status", lambda: 1 / 0)
    answer = await house.visitor().get("/api/v1/health")
    assert (answer.status_code, policy(answer)) == (500, POLICY)
    assert {name: answer.headers.get(name) for name in WANTED} == WANTED


async def test_answers_of_the_api_are_kept_nowhere(tmp_path: Path) -> None:
    client = House(settings(tmp_path)).visitor()
    for address in ROUTES:
        answer = await client.get(address, headers={"authorization": f"Bearer {TOKEN}"})
        assert answer.headers["cache-control"] == "no-store", address


@pytest.mark.parametrize(
    ("scheme", "days", "told"), [("http", 30, None), ("https", 2, "max-age=172800"), ("https", 0, None)]
)
async def test_browsers_are_told_to_stay_encrypted_only_where_it_is(
    tmp_path: Path, scheme: str, days: int, told: str | None
) -> None:
    client = House(settings(tmp_path, hsts_days=days), scheme=scheme).visitor()
    for address in ("/", "/healthz", "/login"):
        assert (await client.get(address)).headers.get("strict-transport-security") == told


async def test_a_broker_with_tls_is_reached_by_wss_and_by_nothing_else(tmp_path: Path) -> None:
    client = House(settings(tmp_path, login="off", mqtt_websocket_tls=True, mqtt_websocket_port=9443)).visitor()
    answer = await client.get("/api/v1/connect")
    assert policy(answer)["connect-src"] == "'self' wss://pi.local:9443"
    assert answer.json()["mqtt"] == {"port": 9443, "tls": True}


async def test_a_broker_elsewhere_is_reached_there_and_not_at_the_pages_own_host(tmp_path: Path) -> None:
    client = House(
        settings(tmp_path, login="off", mqtt_websocket_host="house.local", mqtt_websocket_port=1884)
    ).visitor()
    answer = await client.get("/api/v1/connect")
    assert policy(answer)["connect-src"] == "'self' ws://house.local:1884"
    assert answer.json()["mqtt"] == {"host": "house.local", "port": 1884, "tls": False}
