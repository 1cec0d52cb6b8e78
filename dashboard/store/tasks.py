"""The down-sampling tasks that InfluxDB runs by itself: 1 m → 1 h → 1 d, and once an hour what came late.

Every minute the last three minutes are made anew (rows that Telegraf brought a little later), every hour those hours
of the last 25 whose bars count other rows than there are, and the hours and days that they touch.
"""

from collections.abc import Iterator

from influxdb_client import InfluxDBClient, TaskCreateRequest, TaskUpdateRequest
from influxdb_client.domain.task import Task
from msgspec import Struct

from bridge.settings import Settings
from dashboard.store.fluxtext import literal, names, script
from dashboard.store.places import ROLLUPS, bucket


class Plan(Struct, frozen=True):
    """One task: how often, how long after the full interval, what it says first and the scripts it runs."""

    name: str
    every: str
    offset: str
    before: str
    scripts: tuple[str, ...]


PLANS = (
    Plan(
        "rollup 1m",
        "1m",
        "10s",
        "stop = date.truncate(t: now(), unit: 1m)\nstart = date.sub(d: 3m, from: stop)\n",
        ("minute",),
    ),
    Plan(
        "rollup late",
        "1h",
        "2m",
        "until = date.truncate(t: now(), unit: 1h)\nsince = date.sub(d: 25h, from: until)\n",
        ("late", "minute"),
    ),
    Plan(
        "rollup 1h",
        "1h",
        "7m",
        'smaller = "1m"\nlarger = "1h"\nevery = 1h\n'
        "stop = date.truncate(t: now(), unit: 1h)\nstart = date.sub(d: 26h, from: stop)\n",
        ("larger",),
    ),
    Plan(
        "rollup 1d",
        "1h",
        "12m",
        'smaller = "1h"\nlarger = "1d"\nevery = 1d\n'
        "stop = date.truncate(t: now(), unit: 1d)\nstart = date.sub(d: 2d, from: stop)\n",
        ("larger",),
    ),
)


def buckets(settings: Settings) -> dict[str, str]:
    """The scripts' names for the buckets, and what these are called."""
    return {name: bucket(settings, name) for name in ("prices", "trades", ROLLUPS)}


def flux(plan: Plan, settings: Settings) -> tuple[str, str]:
    """A task's name and its whole text."""
    name = f"tickbridge {settings.influx.bucket_prefix}{plan.name}"
    head = f"option task = {{name: {literal(name)}, every: {plan.every}, offset: {plan.offset}}}\n"
    scripts = "\n".join(script(one) for one in plan.scripts)
    return name, f'import "date"\n\n{head}\n{names(buckets(settings))}{plan.before}\n{scripts}'


def ensure_tasks(client: InfluxDBClient, org_id: str, settings: Settings) -> Iterator[str]:
    """Make or renew every task; a line each."""
    api = client.tasks_api()
    for plan in PLANS:
        name, text = flux(plan, settings)
        found: list[Task] = [one for one in api.find_tasks(name=name) if one.org_id == org_id]
        if not found:
            api.create_task(task_create_request=TaskCreateRequest(org_id=org_id, flux=text, status="active"))
            yield f"task {name}: made, every {plan.every}"
        elif found[0].flux != text or found[0].status != "active":
            api.update_task_request(found[0].id, TaskUpdateRequest(flux=text, status="active"))
            yield f"task {name}: renewed, every {plan.every}"
        else:
            yield f"task {name}: there, every {plan.every}"
