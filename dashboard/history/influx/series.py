"""What is asked for: a bucket's rows of some series, as Flux of fixed words; every value is a name beside it. Pure."""

from collections.abc import Mapping

from msgspec import Struct

MOST_NS = 2**63 - 2
TAGS: Mapping[str, tuple[str, ...]] = {
    "prices": ("exchange", "symbol"),
    "trades": ("exchange", "symbol"),
    "candles": ("exchange", "symbol", "interval"),
    "gaps": ("exchange", "shard"),
    "errors": ("exchange", "shard"),
}
"""The tags of each stream's rows, in the order of its topic's levels."""


class Series(Struct, frozen=True):
    """Rows of one kind with these tags (`""`: without the tag); `fields`: only these of them."""

    kind: str
    tags: Mapping[str, str]
    fields: tuple[str, ...] = ()
    bucket: str = ""

    def data(self) -> str:
        """A Flux function `data()` that gives the rows between `start` and `stop`; `values()` are what it needs.

        A function, because InfluxDB counts and finds within its storage only where one source has one successor.
        """
        tagged = (f"r.{tag} == {tag}" if value else f"not exists r.{tag}" for tag, value in self.tags.items())
        where = [_measurement(self.kind), *tagged]
        if self.fields:
            where.append("(" + " or ".join(f'r._field == "{field}"' for field in self.fields) + ")")
        return (
            "data = () => from(bucket: bucket) |> range(start: time(v: start), stop: time(v: stop)) "
            f"|> filter(fn: (r) => {' and '.join(where)}) "
        )

    @property
    def of_bucket(self) -> str:
        return self.bucket or self.kind


def _measurement(kind: str) -> str:
    """Some store `latest`, once a second, in place of every tick: it is as good a price."""
    if kind == "prices":
        return '(r._measurement == "prices" or r._measurement == "latest")'
    return f'r._measurement == "{kind}"'


def series_of(topic: str) -> Series:
    """The series of a stream topic (without prefix)."""
    kind, *levels = topic.split("/")
    names = TAGS[kind]
    return Series(kind, dict(zip(names, [*levels, ""][: len(names)], strict=True)))


def topic_of(kind: str, tags: Mapping[str, str]) -> str:
    return "/".join([kind, *(tags[name] for name in TAGS[kind] if tags.get(name))])
