"""`tickbridge store init`: an InfluxDB made ready, and kept so. Safe to run again, whatever interrupted it."""

import secrets
from collections.abc import Iterator
from pathlib import Path

from influxdb_client import InfluxDBClient, OnboardingRequest
from influxdb_client.service.setup_service import SetupService

from bridge.errors import StoreError
from bridge.settings import Settings
from dashboard.store.access import Access
from dashboard.store.buckets import ensure_buckets
from dashboard.store.places import places
from dashboard.store.reach import is_empty, reached, unless_missing
from dashboard.store.secrets_folder import ADMIN, Tokens, new_token, read_token
from dashboard.store.tasks import ensure_tasks

USER = "tickbridge"
PASSWORD_BYTES = 24


def init(settings: Settings, folder: Path, admin_token_file: Path | None = None) -> Iterator[str]:
    """Set up, then buckets, tokens and tasks; a line on each. Raises StoreError with the cure."""
    influx, tokens = settings.influx, Tokens(folder)
    given = read_token(admin_token_file) if admin_token_file is not None else None
    if admin_token_file is not None and given is None:
        raise StoreError(f"{admin_token_file}: is empty")
    admin = given or tokens.read(ADMIN)
    with reached(influx, admin or "") as client:
        if is_empty(client, influx.url):
            admin = admin or _new_admin(tokens)
            _set_up(client, settings, admin)
            yield f"InfluxDB at {influx.url}: set up, user {USER}, organization {influx.org}"
    if admin is None:
        raise StoreError(
            f"{influx.url}: InfluxDB is set up already, and {tokens.file(ADMIN)} is not there: "
            "give an all-access token by --admin-token-file"
        )
    with reached(influx, admin) as client:
        yield from _make_ready(client, settings, tokens)


def _new_admin(tokens: Tokens) -> str:
    """On disk before InfluxDB has it: a break between the two must not lock us out."""
    token = new_token()
    tokens.write(ADMIN, token)
    return token


def _set_up(client: InfluxDBClient, settings: Settings, token: str) -> None:
    """The password is needed by InfluxDB and by nobody else: the token may set another."""
    wish = OnboardingRequest(
        username=USER,
        password=secrets.token_urlsafe(PASSWORD_BYTES),
        org=settings.influx.org,
        bucket=places(settings)[0].name,
        retention_period_seconds=places(settings)[0].seconds,
        token=token,
    )
    SetupService(client.api_client).post_setup(wish)


def _make_ready(client: InfluxDBClient, settings: Settings, tokens: Tokens) -> Iterator[str]:
    org_id, line = _organization(client, settings.influx.org)
    yield line
    ours = places(settings)
    made = []
    for bucket, said in ensure_buckets(client, org_id, ours):
        made.append(bucket)
        yield said
    access = Access(client, settings.influx, org_id, tokens)
    written = [bucket for bucket, place in zip(made, ours, strict=True) if place.telegraf]
    yield access.ensure("telegraf", "write", written)
    yield access.ensure("dashboard", "read", made)
    yield from ensure_tasks(client, org_id, settings)


def _organization(client: InfluxDBClient, name: str) -> tuple[str, str]:
    api = client.organizations_api()
    found = [one for one in unless_missing(lambda: api.find_organizations(org=name)) or [] if one.name == name]
    if found:
        return str(found[0].id), f"organization {name}: there"
    return str(api.create_organization(name=name).id), f"organization {name}: made"
