"""Reaching InfluxDB: a client, and every way in which it can fail as one line with the cure."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from influxdb_client import InfluxDBClient
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.rest import ApiException
from influxdb_client.service.ping_service import PingService
from influxdb_client.service.setup_service import SetupService
from urllib3.exceptions import HTTPError

from bridge.errors import StoreError
from bridge.settings import Influx

SHOWN = 200
Found = TypeVar("Found")


@contextmanager
def reached(influx: Influx, token: str) -> Iterator[InfluxDBClient]:
    """A client with this token. Raises StoreError for whatever goes wrong while it is used."""
    timeout_ms = int(influx.timeout_s * 1000)
    with (
        plainly(influx.url),
        InfluxDBClient(influx.url, token=token, org=influx.org, timeout=timeout_ms, retries=False) as client,
    ):
        yield client


@contextmanager
def plainly(url: str) -> Iterator[None]:
    """Whatever the client raises becomes a StoreError of one line."""
    try:
        yield
    except ApiException as error:
        raise StoreError(_refusal(url, error)) from error
    except InfluxDBError as error:
        raise StoreError(f"{url}: {str(error)[:SHOWN]}") from error
    except HTTPError as error:
        reason = str(getattr(error, "reason", None) or error).rpartition(": ")[2].rpartition("] ")[2][:SHOWN]
        raise StoreError(f"{url}: no answer ({reason}): start InfluxDB 2, or set influx.url") from error


def is_empty(client: InfluxDBClient, url: str) -> bool:
    """Whether it waits to be set up. Raises StoreError unless an InfluxDB 2 answers."""
    try:
        told = SetupService(client.api_client).get_setup()
    except ApiException as error:
        raise StoreError(_stranger(url, _version(client), error.status)) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise StoreError(_stranger(url, _version(client), 200)) from error
    allowed = getattr(told, "allowed", None)
    if not isinstance(allowed, bool):
        raise StoreError(_stranger(url, _version(client), 200))
    return allowed


def unless_missing(ask: Callable[[], Found]) -> Found | None:
    """What it finds; None where InfluxDB says that there is none."""
    try:
        return ask()
    except ApiException as error:
        if error.status == 404:
            return None
        raise


def _version(client: InfluxDBClient) -> str:
    """What it calls itself, or nothing."""
    ping = PingService(client.api_client)
    try:
        version = str(ping.response_header(ping.get_ping_with_http_info(_return_http_data_only=False)))
        return "" if version == "unknown" else version
    except ApiException as error:
        return str(dict(error.headers or {}).get("X-Influxdb-Version") or "")


def _stranger(url: str, version: str, status: int) -> str:
    what = f"InfluxDB {version.lstrip('v')}" if version else f"something else (HTTP {status})"
    return f"{url}: {what} answers there: Tickbridge needs InfluxDB 2 (2.7 or later), set influx.url"


def _refusal(url: str, error: ApiException) -> str:
    said = str(error.message)[:SHOWN]
    if error.status == 401:
        return f"{url}: InfluxDB does not know this token: give an all-access token by --admin-token-file"
    if error.status == 403:
        return f"{url}: this token may not do that ({said}): give an all-access token by --admin-token-file"
    return f"{url}: {said} (HTTP {error.status})"
