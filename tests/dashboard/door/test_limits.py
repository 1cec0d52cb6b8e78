"""How often and how large one may ask."""

from pathlib import Path

import httpx
import pytest

from dashboard.door.limits import MOST_BODY, MOST_URL
from tests.dashboard.door.visit import House, log_in, settings


def house(tmp_path: Path, **page: object) -> House:
    return House(settings(tmp_path, login="off", **page))


async def test_an_address_gets_a_minutes_worth_at_once_and_then_429(tmp_path: Path) -> None:
    one = house(tmp_path, requests_per_minute=5)
    greedy, other = one.visitor("10.0.0.1"), one.visitor("10.0.0.2")
    answers = [await greedy.get("/api/v1/health") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 12
    assert "dashboard.requests_per_minute" in answers[-1].json()["error"]
    assert (await greedy.get("/healthz")).status_code == 200
    told = (await other.get("/api/v1/health")).json()["page"]
    assert told == {"limited": 2, "too_large": 0, "busy": 0}


async def test_who_did_not_log_in_is_limited_as_well(tmp_path: Path) -> None:
    client = House(settings(tmp_path, requests_per_minute=2)).visitor()
    assert [(await client.get("/api/v1/health")).status_code for _ in range(3)] == [401, 401, 429]


async def test_nought_is_no_limit(tmp_path: Path) -> None:
    client = house(tmp_path, requests_per_minute=0).visitor()
    assert {(await client.get("/api/v1/health")).status_code for _ in range(50)} == {200}


async def test_what_a_stranger_says_of_his_address_is_not_believed(tmp_path: Path) -> None:
    client = house(tmp_path, requests_per_minute=1).visitor()
    answers = [await client.get("/api/v1/health", headers={"x-forwarded-for": f"10.0.0.{n}"}) for n in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]


async def test_long_addresses_large_bodies_and_those_without_a_length_are_refused(tmp_path: Path) -> None:
    one = house(tmp_path)
    client = one.visitor()

    async def endless() -> object:
        yield b"x"

    answers = [
        await client.get(f"/api/v1/errors?kind={'x' * MOST_URL}"),
        await client.get("/" + "x" * MOST_URL),
        await client.post("/api/v1/health", content=b"x" * (MOST_BODY + 1)),
        await client.post("/api/v1/health", content=endless()),
    ]
    assert [answer.status_code for answer in answers] == [414, 414, 413, 411]
    assert {answer.headers["connection"] for answer in answers} == {"close"}
    assert one.door.status()["too_large"] == 4


@pytest.mark.parametrize("length", ["-1", "1e9", "99999999999999999999", "٣"])
async def test_an_odd_length_is_no_way_around(tmp_path: Path, length: str) -> None:
    headers = httpx.Headers([(b"content-length", length.encode())])
    answer = await house(tmp_path).visitor().get("/api/v1/health", headers=headers)
    assert answer.status_code in (200, 413)


async def test_a_password_that_is_too_long_to_be_one_is_not_read(tmp_path: Path) -> None:
    client = House(settings(tmp_path)).visitor()
    assert (await log_in(client, "x" * MOST_BODY)).status_code == 413
