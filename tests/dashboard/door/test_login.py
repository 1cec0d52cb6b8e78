"""The log-in as a visitor sees it: what is shut, the way in, the way out, and how guessing is slowed down."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from starlette.routing import Route

from bridge.errors import SettingsError
from bridge.settings import Dashboard, Settings
from dashboard.description import description
from dashboard.door.door import Door
from dashboard.door.login import ALL_TRIES, LEAST_PASSWORD, TRIES
from dashboard.door.look import look
from tests.dashboard.door.visit import PASSWORD, TOKEN, House, log_in, settings

API = [path.format(exchange="kucoin", symbol="BTC-USDT") for path in description()["paths"] if path.startswith("/api")]
WELL = 503
"""What a door that is open leads to here: there is no store, and no page that was built."""
ROOT = Path(__file__).parents[3]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(settings(tmp_path))


def cookie(answer: httpx.Response) -> str:
    return answer.headers["set-cookie"]


# --- what is shut --------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [*API, "/api/v1/nothing", "/api/"])
async def test_the_api_answers_401_and_says_how_to_log_in(house: House, address: str) -> None:
    answer = await house.visitor().get(address)
    assert answer.status_code == 401
    assert "Authorization: Bearer" in answer.json()["error"]
    assert answer.headers["www-authenticate"] == 'Bearer realm="tickbridge"'
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("address", "way"),
    [
        ("/", "/login"),
        ("/?a=b", "/login?next=%2F%3Fa%3Db"),
        ("/main-4F5JQX2Z.js", "/login?next=%2Fmain-4F5JQX2Z.js"),
        ("/licences%20x.txt", "/login?next=%2Flicences%2520x.txt"),
        ("/login/", "/login?next=%2Flogin%2F"),
        ("//healthz", "/login?next=%2F%2Fhealthz"),
    ],
)
async def test_people_are_led_to_the_log_in(house: House, address: str, way: str) -> None:
    answer = await house.visitor().get(f"http://pi.local:8000{address}")
    assert (answer.status_code, answer.headers["location"]) == (303, way)
    assert answer.headers["cache-control"] == "no-store"


async def test_what_stays_open_tells_nothing(house: House) -> None:
    client = house.visitor()
    assert (await client.get("/healthz")).json() == {"ok": True}
    form = await client.get("/login")
    assert (form.status_code, form.headers["cache-control"]) == (200, "no-store")
    assert (await client.get("/login.css")).headers["content-type"].startswith("text/css")
    assert TOKEN not in form.text
    assert PASSWORD not in form.text


async def test_another_method_gets_no_redirect(house: House) -> None:
    assert (await house.visitor().post("/")).status_code == 401
    assert (await house.visitor().delete("/logout")).status_code == 401


# --- the way in ----------------------------------------------------------------------------------


async def test_the_password_opens_everything_and_a_restart_shuts_nothing(house: House, tmp_path: Path) -> None:
    client = house.visitor()
    answer = await log_in(client)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    for address in ("/", "/api/v1/symbols", "/api/v1/connect"):
        assert (await client.get(address)).status_code in (200, WELL)
    assert (await client.get("/healthz")).json().keys() == {"ok", "store", "broker"}
    assert (await client.get("/api/v1/connect")).json()["login"] is True
    again = House(settings(tmp_path)).visitor()
    again.cookies = client.cookies
    assert (await again.get("/api/v1/connect")).status_code == 200
    assert (await again.get("/login")).status_code == 303


async def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(house: House, tmp_path: Path) -> None:
    told = cookie(await log_in(house.visitor())).lower()
    assert all(f"; {word}" in told for word in ("httponly", "samesite=strict", "path=/", f"max-age={400 * 86_400}"))
    assert "secure" not in told
    encrypted = House(settings(tmp_path), scheme="https")
    assert "; secure" in cookie(await log_in(encrypted.visitor())).lower()


async def test_two_dashboards_of_one_machine_have_two_cookies(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    one, other = House(settings(tmp_path / "a")), House(settings(tmp_path / "b"))
    first, second = one.visitor(), other.visitor()
    for client in (first, second):
        await log_in(client)
    first.cookies.update(second.cookies)
    assert len(first.cookies) == 2, "as a browser has them: cookies know no ports"
    assert (await first.get("/api/v1/connect")).status_code == 200
    assert one.door.login is not None
    name = one.door.login.cookie
    one.door.reload()
    assert House(settings(tmp_path / "a")).door.login.cookie == name == one.door.login.cookie


@pytest.mark.parametrize(
    ("wanted", "led"),
    [
        ("/#kucoin/BTC-USDT", "/#kucoin/BTC-USDT"),
        ("/api/v1/symbols?format=csv", "/api/v1/symbols?format=csv"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nset-cookie: b=c", "/"),
        ("/\t/evil.example", "/"),
        ("/" + "x" * 2500, "/"),
        ("", "/"),
    ],
)
async def test_it_leads_back_to_where_one_wanted_to_go_and_never_elsewhere(house: House, wanted: str, led: str) -> None:
    answer = await log_in(house.visitor(), way=f"/login?next={quote(wanted, safe='')}")
    assert (answer.status_code, answer.headers["location"]) == (303, led)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://pi.local:9999"},
        {"origin": "null"},
        {"origin": ""},
    ],
)
async def test_another_sites_page_logs_nobody_in_or_out(house: House, headers: dict[str, str]) -> None:
    client = house.visitor()
    refused = await log_in(client, **headers)
    assert (refused.status_code, "set-cookie" in refused.headers) == (403, False)
    await log_in(client)
    assert (await client.post("/logout", headers=headers)).status_code == 403
    assert (await client.get("/api/v1/connect")).status_code == 200


async def test_a_browser_that_tells_no_origin_tells_the_site(house: House) -> None:
    client = house.visitor()
    form = {"password": PASSWORD}
    assert (await client.post("/login", data=form, headers={"sec-fetch-site": "cross-site"})).status_code == 403
    assert (await client.post("/login", data=form)).status_code == 303, "a program"


@pytest.mark.parametrize("body", [b"", b"password=", b"password=%ff", b"x=1&" * 20, b"\xff\xfe", b"password[]=a"])
async def test_any_other_form_is_a_wrong_password(house: House, body: bytes) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert (await house.visitor().post("/login", content=body, headers=headers)).status_code == 403


async def test_only_forms_are_read(house: House) -> None:
    assert (await house.visitor().post("/login", json={"password": PASSWORD})).status_code == 415


async def test_a_password_may_have_any_letters(tmp_path: Path) -> None:
    odd = "ünï &=+%20 😀 pass"
    assert (await log_in(House(settings(tmp_path, password=odd)).visitor(), odd)).status_code == 303


# --- tokens --------------------------------------------------------------------------------------


async def test_a_token_opens_everything_too(house: House) -> None:
    client = house.visitor()
    right = {"authorization": f"Bearer {TOKEN}"}
    assert (await client.get("/api/v1/connect", headers=right)).status_code == 200
    assert (await client.get("/", headers=right)).status_code == WELL
    assert (await client.get("/api/v1/connect", headers={"authorization": f"Bearer {TOKEN}x"})).status_code == 401


async def test_a_session_holds_beside_a_header_that_is_for_somebody_else(house: House) -> None:
    client = house.visitor()
    await log_in(client)
    assert (await client.get("/api/v1/connect", headers={"authorization": "Basic eDp5"})).status_code == 200


# --- the way out ---------------------------------------------------------------------------------


async def test_a_log_out_ends_the_session_also_for_a_copy_of_its_cookie(house: House) -> None:
    client, thief = house.visitor(), house.visitor()
    await log_in(client)
    thief.cookies.update(dict(client.cookies))
    assert (await thief.get("/api/v1/connect")).status_code == 200
    answer = await client.post("/logout", headers={"origin": "http://pi.local:8000"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert "max-age=0" in cookie(answer).lower()
    for one in (client, thief):
        assert (await one.get("/api/v1/connect")).status_code == 401


async def test_a_new_password_ends_all_sessions_and_sighup_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    house = House(settings(tmp_path, password=None, password_file=file))
    client = house.visitor()
    await log_in(client)
    file.write_text("another horse")
    house.door.reload()
    assert (await client.get("/api/v1/connect")).status_code == 401
    assert (await log_in(client, "another horse")).status_code == 303


async def test_what_is_wrong_at_sighup_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    house = House(settings(tmp_path))
    (tmp_path / "tokens").write_text("nonsense")
    house.door.reload()
    assert "line 1" in caplog.text
    right = {"authorization": f"Bearer {TOKEN}"}
    assert (await house.visitor().get("/api/v1/connect", headers=right)).status_code == 200


# --- guessing ------------------------------------------------------------------------------------


async def test_wrong_passwords_are_limited_for_each_address(house: House) -> None:
    guesser = house.visitor("10.0.0.66")
    for _ in range(TRIES):
        refused = await log_in(guesser, "guess-guess")
        assert (refused.status_code, "That is not the password" in refused.text) == (403, True)
    for password in ("guess-guess", PASSWORD):
        limited = await log_in(guesser, password)
        assert limited.status_code == 429
        assert 0 < int(limited.headers["retry-after"]) <= 30
        assert re.search(r"wait \d+ s", limited.text)
    assert (await log_in(house.visitor())).status_code == 303
    assert house.door.status()["login"] == {"wrong": TRIES, "limited": 2, "tokens": 1}


async def test_wrong_passwords_of_all_addresses_together_are_limited(house: House) -> None:
    answers = [await log_in(house.visitor(f"10.0.{n}.1"), "guess-guess") for n in range(ALL_TRIES + 5)]
    assert [answer.status_code for answer in answers] == [403] * ALL_TRIES + [429] * 5


async def test_a_right_password_counts_for_nothing(house: House) -> None:
    client = house.visitor()
    assert {(await log_in(client)).status_code for _ in range(3 * TRIES)} == {303}


async def exhaust(house: House) -> None:
    """Strangers use up what all of them may try."""
    for n in range(ALL_TRIES):
        await log_in(house.visitor(f"10.0.{n}.1"), "guess-guess")
    assert (await log_in(house.visitor("10.1.0.1"))).status_code == 429


@pytest.mark.parametrize("near", ["127.0.0.1", "::1", "127.0.0.2"])
async def test_strangers_lock_nobody_out_who_sits_at_the_machine(house: House, near: str) -> None:
    await exhaust(house)
    client = house.visitor(near)
    assert [(await log_in(client, "guess-guess")).status_code for _ in range(TRIES + 1)] == [403] * TRIES + [429]
    assert (await log_in(house.visitor("127.0.0.3"))).status_code == 303


async def test_strangers_lock_no_browser_out_that_was_let_in_before(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, left = house.visitor("10.9.9.9"), house.visitor("10.9.9.8")
    for one in (client, left):
        await log_in(one)
    gone_cookies = dict(left.cookies)
    await left.post("/logout", headers={"origin": "http://pi.local:8000"})
    left.cookies.update(gone_cookies)
    now_s = time.time()
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now_s + 100 * 86_400)
    assert (await client.get("/api/v1/connect")).status_code == 401, "its session ended"
    await exhaust(house)
    assert (await log_in(left)).status_code == 429, "who logged out is a stranger"
    neighbour = house.visitor("10.9.9.9")
    assert (await log_in(neighbour)).status_code == 429, "the cookie, not its address"
    neighbour.cookies.update({name: f"{value[:-9]}AAAAAAAAA" for name, value in client.cookies.items()})
    assert (await log_in(neighbour)).status_code == 429, "and one that we signed"
    tries = [(await log_in(client, "guess-guess")).status_code for _ in range(TRIES + 1)]
    assert tries == [403] * TRIES + [429], "it may guess no more than anybody"


async def test_right_passwords_of_many_use_nothing_up(house: House) -> None:
    for n in range(ALL_TRIES + 5):
        assert (await log_in(house.visitor(f"10.0.{n}.1"))).status_code == 303


async def test_the_log_tells_who_guesses_and_never_what(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await log_in(house.visitor("10.0.0.66"), "guess-guess")
    await log_in(house.visitor("10.0.0.66"))
    assert "a wrong password from 10.0.0.66" in caplog.text
    assert "guess-guess" not in caplog.text
    assert PASSWORD not in caplog.text


# --- when it is wanted ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "asks"),
    [
        ({}, False),
        ({"host": "localhost"}, False),
        ({"host": "127.0.0.2"}, False),
        ({"host": "::1"}, False),
        ({"host": "0.0.0.0"}, True),
        ({"host": "::"}, True),
        ({"host": "192.168.1.7"}, True),
        ({"host": "pi"}, True),
        ({"trusted_proxies": ("127.0.0.1",)}, True),
        ({"hosts": ("prices.example.org",)}, True),
        ({"login": "on"}, True),
        ({"host": "0.0.0.0", "login": "off"}, False),
    ],
)
def test_auto_asks_as_soon_as_others_can_reach_the_page(page: dict[str, object], asks: bool) -> None:
    assert Dashboard(**page).asks_login is asks


def test_without_a_password_the_cure_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"password_file.*dashboard\.login = off"):
        Door(settings(tmp_path, password=None))
    with pytest.raises(SettingsError, match=f"less than {LEAST_PASSWORD} characters"):
        Door(settings(tmp_path, password="short"))


def test_check_tells_what_would_end_the_page_and_makes_nothing(tmp_path: Path) -> None:
    assert look(settings(tmp_path)) == "http, log-in by password, 1 tokens"
    assert look(settings(tmp_path, login="off")) == "http, no log-in"
    assert "`up` makes one" in look(settings(tmp_path, password=None))
    for wrong in (
        {"password": "short"},
        {"password": None, "password_file": tmp_path / "no"},
        {"tokens_file": tmp_path},
    ):
        with pytest.raises(SettingsError):
            look(settings(tmp_path, **wrong))
    assert [path.name for path in tmp_path.iterdir()] == ["tokens"]


async def test_a_form_that_never_comes_is_not_waited_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.door.pages.FORM_S", 0.05)

    async def drips() -> AsyncIterator[bytes]:
        yield b"password="
        await asyncio.Event().wait()

    headers = {"content-type": "application/x-www-form-urlencoded", "content-length": "100"}
    answer = await house.visitor().post("/login", content=drips(), headers=headers)
    assert (answer.status_code, answer.headers["connection"]) == (408, "close")


async def test_without_log_in_all_is_open_and_there_is_no_log_in(tmp_path: Path) -> None:
    client = House(Settings(data_dir=tmp_path)).visitor()
    assert (await client.get("/healthz")).json().keys() == {"ok", "store", "broker"}
    assert (await client.get("/api/v1/connect")).json()["login"] is False
    assert (await client.get("/login")).status_code == 404


def test_without_log_in_no_key_is_made(tmp_path: Path) -> None:
    Door(Settings(data_dir=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_the_log_in_has_the_pages_own_colours() -> None:
    def colours(path: str) -> list[tuple[str, str]]:
        return re.findall(r"(--[\w-]+): ([^;]+);", (ROOT / path).read_text())

    assert set(colours("dashboard/door/login.css")) <= set(colours("dashboard/web/style.css"))


def test_no_route_is_forgotten(house: House) -> None:
    """What a route without a test of its own would let out: every one of the API is asked above."""
    shut = {route.path for route in house.api.routes() if isinstance(route, Route)} - {"/healthz"}
    assert shut <= set(description()["paths"])
