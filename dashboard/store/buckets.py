"""The buckets, made or given the retention that the settings have now."""

from collections.abc import Iterator, Sequence

from influxdb_client import BucketRetentionRules, InfluxDBClient
from influxdb_client.domain.bucket import Bucket

from dashboard.store.places import Place
from dashboard.store.reach import unless_missing


def ensure_buckets(client: InfluxDBClient, org_id: str, wanted: Sequence[Place]) -> Iterator[tuple[Bucket, str]]:
    """Each bucket with a line on what became of it."""
    for place in wanted:
        found = _find(client, org_id, place.name)
        if found is None:
            made = client.buckets_api().create_bucket(
                bucket_name=place.name, retention_rules=[_rule(place)], org=org_id
            )
            yield made, f"bucket {place.name}: made, {place.kept}"
        elif _seconds(found) == place.seconds:
            yield found, f"bucket {place.name}: there, {place.kept}"
        else:
            found.retention_rules = [_rule(place)]
            yield client.buckets_api().update_bucket(found), f"bucket {place.name}: changed, {place.kept}"


def _find(client: InfluxDBClient, org_id: str, name: str) -> Bucket | None:
    told = unless_missing(lambda: client.buckets_api().find_buckets(name=name, org_id=org_id))
    return next((one for one in (told.buckets if told else None) or [] if one.name == name), None)


def _rule(place: Place) -> BucketRetentionRules:
    return BucketRetentionRules(
        type="expire", every_seconds=place.seconds, shard_group_duration_seconds=place.shard_seconds
    )


def _seconds(found: Bucket) -> int:
    return next((int(rule.every_seconds) for rule in found.retention_rules or []), 0)
