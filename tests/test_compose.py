"""`docker compose up` from nothing: the page, the history, passwords of its own; and Grafana's dashboards on it."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.broker import binary, run_client, wait_until
from tests.compose import ROOT, Stack

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(1500)]
ROWS_S = 90.0
DASHBOARDS = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
DATA_SOURCE = ROOT / "grafana" / "provisioning" / "datasources" / "tickbridge.yaml"
TOLD_LATER = ('bucket: "gaps"', 'bucket: "errors"', 'bucket: "rollups"')
"""What the first minute of a demo may not have: gaps, data that cause errors, and down-sampling's first turn."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The demo, up from nothing."""
    one = Stack()
    try:
        one.up()
        yield one
    finally:
        one.remove()


def flux(stack: Stack, query: str, token: str) -> list[str]:
    """The rows of a query's answer, as CSV lines."""
    answer = httpx.post(
        f"{stack.influx}/api/v2/query",
        params={"org": "tickbridge"},
        content=query,
        headers={"Authorization": f"Token {token}", "Content-Type": "application/vnd.flux"},
        timeout=30.0,
    )
    assert answer.status_code == httpx.codes.OK, f"{query}\n{answer.text}"
    return [line for line in answer.text.splitlines() if line.startswith(",_result")]


def appears(stack: Stack, query: str, token: str) -> None:
    """Wait until the query has a row."""
    wait_until(lambda: bool(flux(stack, query, token)), ROWS_S, lambda: f"no row:\n{query}\n{stack.logs()}")


def test_every_service_is_up_and_healthy(stack: Stack) -> None:
    assert stack.running() == {
        "influxdb": "healthy",
        "mosquitto": "healthy",
        "telegraf": "healthy",
        "bridge": "healthy",
        "dashboard": "healthy",
        "simulator": "",
    }


def test_the_page_answers_and_shows_the_demo(stack: Stack) -> None:
    assert "<title>" in httpx.get(stack.page).text
    assert httpx.get(f"{stack.page}/api/v1/connect").json()["demo"] is True


def test_a_page_that_others_can_reach_asks_for_the_password_that_was_made(stack: Stack) -> None:
    stack.choices["BIND"] = "0.0.0.0"
    stack.change("dashboard")
    with httpx.Client(base_url=stack.page) as client:
        assert client.get("/api/v1/connect").status_code == httpx.codes.UNAUTHORIZED
        answer = client.post("/login", data={"password": stack.keys()["page.password"]})
        assert answer.status_code == httpx.codes.SEE_OTHER
        assert client.get("/api/v1/connect").json()["login"] is True


def test_rows_arrive_in_influxdb(stack: Stack) -> None:
    token = stack.keys()["dashboard.token"]
    for bucket in ("prices", "trades", "candles", "states"):
        query = f'from(bucket: "{bucket}") |> range(start: -30d, stop: 1h) |> limit(n: 1)'
        appears(stack, query, token)


def test_the_broker_refuses_whoever_has_no_password(stack: Stack) -> None:
    line = [binary("mosquitto_sub"), "-p", str(stack.ports["MQTT_PORT"]), "-t", "#", "-C", "1", "-W", "5"]
    refused = subprocess.run(line, capture_output=True, text=True, timeout=20, check=False)
    assert "not authori" in refused.stderr
    guest = ("-u", "guest", "-P", stack.keys()["guest.password"])
    # every topic that is retained comes at once, in any order
    run_client(["mosquitto_sub", *line[1:-6], *guest, "-t", "latest/kucoin/BTC-USDT", "-C", "1", "-W", "20", "-v"])


def test_nobody_can_guess_a_client_id_that_lives_long(stack: Stack) -> None:
    tag = stack.keys()["client-tag"]
    said = stack.logs("mosquitto")
    known = set(re.findall(r"New client connected from \S+ as (\S+) ", said))
    assert {f"tickbridge-bridge-{tag}", f"telegraf-{tag}-prices"} <= known, said


def test_no_service_may_know_more_than_its_own_keys(stack: Stack) -> None:
    assert set(stack.exec("bridge", "ls", "/keys").split()) == {"password", "client-tag"}
    assert set(stack.exec("telegraf", "ls", "/keys").split()) == {"password", "client-tag", "token"}
    for service in ("bridge", "dashboard", "telegraf", "mosquitto"):
        assert stack.exec(service, "id", "-u").strip() == "1883", service


def test_whoever_only_reads_cannot_write(stack: Stack) -> None:
    answer = httpx.post(
        f"{stack.influx}/api/v2/write",
        params={"org": "tickbridge", "bucket": "prices"},
        content="prices,exchange=a,symbol=b price=1",
        headers={"Authorization": f"Token {stack.keys()['dashboard.token']}"},
    )
    assert answer.status_code == httpx.codes.FORBIDDEN


def filled_in(query: str) -> str:
    """A dashboard's query as Grafana sends it."""
    names = {"prefix": "", "exchange": "kucoin", "symbol": "BTC-USDT", "interval": "1m"}
    known = re.sub(r"\$\{(\w+)\}", lambda found: names[found[1]], query)
    imports = "".join(re.findall(r"^import .*\n", known, re.M))
    head = "option v = {timeRangeStart: -1h, timeRangeStop: now(), windowPeriod: 5s}\n"
    return imports + head + known.removeprefix(imports)


def targets() -> Iterator[Any]:
    """Every query of every dashboard, named."""
    for file in DASHBOARDS:
        dashboard = json.loads(file.read_text(encoding="utf-8"))
        for one in dashboard["templating"]["list"]:
            if one["type"] == "query":
                yield pytest.param(one["query"], id=f"{file.stem}-{one['name']}")
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                yield pytest.param(target["query"], id=f"{file.stem}-{panel['title']}-{target['refId']}")


@pytest.mark.parametrize("query", list(targets()))
def test_a_query_of_a_dashboard_finds_rows(stack: Stack, query: str) -> None:
    whole = filled_in(query)
    token = stack.keys()["dashboard.token"]
    flux(stack, whole, token)
    if not any(late in whole for late in TOLD_LATER):
        appears(stack, whole, token)


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_is_what_the_provisioning_tells_of(file: Path) -> None:
    dashboard = json.loads(file.read_text(encoding="utf-8"))
    source = yaml.safe_load(DATA_SOURCE.read_text(encoding="utf-8"))["datasources"][0]
    assert dashboard["uid"] == f"tickbridge-{file.stem}"
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}
    assert source["jsonData"]["organization"] == "tickbridge"
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    inside = {volume.split(":")[1] for volume in services["grafana"]["volumes"]}
    provider = yaml.safe_load((ROOT / "grafana/provisioning/dashboards/tickbridge.yaml").read_text(encoding="utf-8"))
    assert provider["providers"][0]["options"]["path"] in inside


def test_the_next_up_keeps_passwords_and_history(stack: Stack) -> None:
    keys = stack.keys()
    query = 'from(bucket: "prices") |> range(start: 0) |> filter(fn: (r) => r._field == "price")'
    query += ' |> first() |> keep(columns: ["_time", "_value", "exchange", "symbol"])'
    first = flux(stack, query, keys["dashboard.token"])
    stack.down()
    assert stack.running() == {}
    stack.up()
    assert stack.keys() == keys
    assert flux(stack, query, keys["dashboard.token"]) == first
    assert httpx.get(f"{stack.page}/healthz").status_code == httpx.codes.OK
    # the bridge was away, and says so; the dashboard's table shows it
    table = next(one.values[0] for one in targets() if one.id == "feeds-Gaps-A")
    appears(stack, filled_in(str(table)), keys["dashboard.token"])
