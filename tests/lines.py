"""What telegraf.conf makes of a stream's message, as line protocol: for tests that need rows and no Telegraf.

That both make the same rows is itself tested, through a real one (tests/dashboard/history/test_contract.py).
"""

import re
from collections.abc import Iterable
from typing import Any

import httpx
import msgspec
from msgspec import Raw

from dashboard.history.influx.series import TAGS

BUCKETS = ("prices", "trades", "candles", "gaps", "errors", "states", "rollups")
_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_FLOATS = {
    *("price", "size", "bid", "bid_size", "ask", "ask_size", "open", "high", "low", "close", "volume"),
    *("quote_volume", "price_step", "size_step"),
}
_PLAIN = {
    "gaps": ("id", "channel", "cause", "state", "from_ns", "to_ns", "run", "n"),
    "errors": ("kind", "channel", "symbol", "reason", "frame", "run", "n"),
}


def lines_of(topic: str, payload: bytes, arrival_ns: int = 0) -> Iterable[tuple[str, str]]:
    """Bucket and line of each row that a message becomes."""
    kind, *levels = topic.split("/")
    if kind == "catalogue":
        for one in msgspec.json.decode(payload)["instruments"]:
            tags = f"{kind},exchange={_tag(levels[0])},symbol={_tag(one.pop('symbol'))}"
            yield (
                "candles",
                f"{tags} {_fields({name: Raw(msgspec.json.encode(v)) for name, v in one.items()})} {arrival_ns}",
            )
        return
    fields = _FIELDS.decode(payload)
    time_ns = int(bytes(fields.pop("time_ns")))
    if kind in _PLAIN:
        fields = {name: fields[name] for name in _PLAIN[kind] if name in fields}
        fields["payload"] = Raw(msgspec.json.encode(payload.decode()))
    tags = "".join(f",{name}={_tag(level)}" for name, level in zip(TAGS[kind], levels, strict=False))
    yield kind, f"{kind}{tags} {_fields(fields)} {time_ns}"


def rollup_line(symbol: str, interval: str, source: str, time_ns: int, **numbers: float) -> tuple[str, str]:
    """A row of `tickbridge store rollup`'s tasks."""
    fields = ",".join(f"{name}={value}" for name, value in numbers.items())
    return "rollups", f"rollups,exchange=kucoin,symbol={symbol},interval={interval},source={source} {fields} {time_ns}"


def _fields(fields: dict[str, Raw]) -> str:
    return ",".join(f"{name}={_value(name, bytes(raw).decode())}" for name, raw in fields.items())


def _value(name: str, text: str) -> str:
    if text.startswith('"'):
        told = msgspec.json.decode(text).replace("\\", "\\\\").replace('"', '\\"')
        return f'"{told}"'
    if name in _FLOATS or text in ("true", "false"):
        return text
    return text + "i"


def _tag(text: str) -> str:
    return re.sub(r"([, =])", r"\\\1", text)


class Lines:
    """Writes into the buckets of one prefix of an InfluxDB, which it makes."""

    def __init__(self, url: str, org: str, token: str, prefix: str) -> None:
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Token {token}"}, timeout=60.0)
        self._org, self.prefix = org, prefix

    def make_buckets(self, names: Iterable[str] = BUCKETS, seconds: int = 0) -> None:
        """`seconds`: how long rows are kept; 0: for ever."""
        org_id = self._get("/api/v2/orgs")["orgs"][0]["id"]
        rules = [{"type": "expire", "everySeconds": seconds}] if seconds else []
        for name in names:
            body = {"orgID": org_id, "name": self.prefix + name, "retentionRules": rules}
            self._http.post("/api/v2/buckets", json=body).raise_for_status()

    def drop_bucket(self, name: str) -> None:
        (found,) = self._get("/api/v2/buckets", name=self.prefix + name)["buckets"]
        self._http.delete(f"/api/v2/buckets/{found['id']}").raise_for_status()

    def write(self, lines: Iterable[tuple[str, str]]) -> None:
        """Bucket and line, in any order."""
        of: dict[str, list[str]] = {}
        for bucket, line in lines:
            of.setdefault(bucket, []).append(line)
        for bucket, told in of.items():
            query = {"org": self._org, "bucket": self.prefix + bucket, "precision": "ns"}
            answer = self._http.post("/api/v2/write", params=query, content="\n".join(told).encode())
            assert answer.is_success, answer.text

    def close(self) -> None:
        self._http.close()

    def _get(self, path: str, **query: str) -> Any:
        return self._http.get(path, params=query).raise_for_status().json()
