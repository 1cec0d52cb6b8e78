"""What InfluxDB's refusals mean and what cures them: one line each. Pure."""

import re

from bridge.errors import StoreError
from bridge.settings import Influx
from dashboard.history.base import StoreAway

BUSY = {408, 429, 500, 502, 503, 504}
NEEDED = "Tickbridge needs InfluxDB 2 (2.7 or later)"
_BUCKET = re.compile(r'(?:could not find bucket|database not found:) \\?"?([^"\\]{1,200})').search


def away(where: Influx, reason: str) -> StoreAway:
    """Nothing answers."""
    return StoreAway(f"InfluxDB does not answer at {where.url} ({reason}): start it, or set influx.url")


def refused(where: Influx, status: int, said: str) -> StoreError:
    """An answer that is no success, be it one of HTTP or within a good one."""
    if status in BUSY:
        return StoreAway(f"InfluxDB at {where.url} cannot answer now ({status}: {short(said)}): it is tried again")
    return StoreError(_what(where, status, said))


def unreadable(where: Influx) -> StoreError:
    """An answer that claims success and is none."""
    return StoreError(f"at {where.url} is no InfluxDB 2 (its answer cannot be read): {NEEDED}: set influx.url")


def _what(where: Influx, status: int, said: str) -> str:
    if status in (401, 403):
        cure = "set influx.token or influx.token_file to one that may read its buckets"
        return f"InfluxDB at {where.url} refuses the token ({status}): {cure}"
    if bucket := _BUCKET(said):
        return missing_bucket(where, bucket[1])
    if "organization" in said and "not found" in said:
        return f"InfluxDB at {where.url} has no organization {where.org!r}: set influx.org"
    if status == 404:
        return f"at {where.url} is no InfluxDB 2 ({status}): {NEEDED}: set influx.url"
    return f"InfluxDB at {where.url} refuses a query ({status}): {short(said)}"


def missing_bucket(where: Influx, bucket: str) -> str:
    cure = "run `tickbridge store init`, or set influx.bucket_prefix or another token"
    return f"InfluxDB at {where.url} has no bucket {bucket!r} that the token may read: {cure}"


def wrong_type(where: Influx, bucket: str, field: str, kind: str) -> str:
    cure = f"another program wrote it, and keeps Telegraf's rows out: delete its rows in bucket {bucket!r}"
    return f"InfluxDB at {where.url} holds the number {field!r} as {kind}: {cure}"


def wrong_version(where: Influx, version: str) -> StoreError | None:
    """What is wrong with the version that the server tells, if anything."""
    number = re.match(r"v?(\d+)\.", version)
    if number is None or number[1] == "2":
        return None
    return StoreError(f"InfluxDB {version[:40]} is behind {where.url}: {NEEDED}: set influx.url")


def short(said: str) -> str:
    """The message of an answer, on one line."""
    told = re.search(r'"(?:message|error)"\s*:\s*"((?:[^"\\]|\\.)*)"', said)
    return " ".join((told[1] if told else said).split())[:200] or "no reason given"
