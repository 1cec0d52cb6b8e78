"""Who may do what: Telegraf only writes its buckets, the dashboard only reads ours. Each has one token in one file."""

from collections.abc import Sequence

from influxdb_client import Authorization, InfluxDBClient, Permission, PermissionResource
from influxdb_client.domain.bucket import Bucket
from influxdb_client.rest import ApiException

from bridge.settings import Influx
from dashboard.store.reach import reached
from dashboard.store.secrets_folder import Tokens

Right = tuple[str, str]
"""What may be done (`read`, `write`), and the bucket's id."""


class Access:
    """Keeps one token of each name. `mark` tells ours from the tokens of other programs on the same InfluxDB."""

    def __init__(self, client: InfluxDBClient, influx: Influx, org_id: str, tokens: Tokens) -> None:
        self._client = client
        self._influx = influx
        self._org_id = org_id
        self._tokens = tokens

    def ensure(self, name: str, action: str, buckets: Sequence[Bucket]) -> str:
        """Keep the token that is in the file if it is the only one and has these rights, else make it anew.

        What it replaces is revoked. Returns a line on what became of it.
        """
        mark = f"tickbridge {self._influx.bucket_prefix}{name}"
        rights = {(action, str(bucket.id)) for bucket in buckets}
        ours = [one for one in self._all() if one.description == mark]
        file = self._tokens.file(name)
        may = f"may only {action}"
        if len(ours) == 1 and _rights(ours[0]) == rights and self._is_known(name, ours[0]):
            return f"token {file}: kept, {may}"
        self._tokens.write(name, self._make(mark, rights))
        for old in ours:
            self._client.authorizations_api().delete_authorization(old)
        return f"token {file}: {'made anew, the old one is revoked' if ours else 'made'}, {may}"

    def _all(self) -> list[Authorization]:
        return list(self._client.authorizations_api().find_authorizations(org_id=self._org_id))

    def _make(self, mark: str, rights: set[Right]) -> str:
        permissions = [
            Permission(action, PermissionResource(type="buckets", id=bucket_id, org_id=self._org_id))
            for action, bucket_id in sorted(rights)
        ]
        wish = Authorization(org_id=self._org_id, permissions=permissions, description=mark)
        return str(self._client.authorizations_api().create_authorization(authorization=wish).token)

    def _is_known(self, name: str, ours: Authorization) -> bool:
        """Whether the file's token is this one. InfluxDB 2.9 shows no tokens: then it must be of use."""
        token = self._tokens.read(name)
        if token is None or not ours.token:
            return token is not None and self._is_of_use(token)
        return token == str(ours.token)

    def _is_of_use(self, token: str) -> bool:
        with reached(self._influx, token) as client:
            try:
                client.buckets_api().find_buckets(limit=1)
            except ApiException as error:
                if error.status == 401:
                    return False
                raise
        return True


def _rights(one: Authorization) -> set[Right]:
    return {(told.action, str(told.resource.id)) for told in one.permissions or []}
