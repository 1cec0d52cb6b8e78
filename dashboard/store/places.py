"""Which buckets there are, who writes them and how long they keep. The same table as the embedded store's. Pure."""

from msgspec import Struct

from bridge.settings import Settings

DAY_S = 86_400
STATES_DAYS = 30
ROLLUPS = "rollups"
HOUR_S = 3600
SHARDS_S = ((730, 28 * DAY_S), (180, 7 * DAY_S), (2, DAY_S), (1, HOUR_S))
"""Days kept, and how much time one group of files covers then: InfluxDB's own choice, but for what is kept longest.

Years of candles in weekly files would be hundreds of open files. A whole group is deleted at once.
"""


class Place(Struct, frozen=True):
    """One bucket: its name with the prefix, days to keep (0: for ever), and whether Telegraf writes it."""

    name: str
    days: int
    telegraf: bool = True

    @property
    def seconds(self) -> int:
        return self.days * DAY_S

    @property
    def shard_seconds(self) -> int:
        days = self.days or SHARDS_S[0][0]
        return next(seconds for least, seconds in SHARDS_S if days >= least)

    @property
    def kept(self) -> str:
        return f"keeps {self.days} days" if self.days else "keeps for ever"


def bucket(settings: Settings, name: str) -> str:
    """A bucket's whole name."""
    return settings.influx.bucket_prefix + name


def places(settings: Settings) -> list[Place]:
    """All buckets as the settings want them."""
    kept = settings.history
    days = {
        "prices": kept.prices_days,
        "trades": kept.trades_days,
        "candles": kept.candles_days,
        "gaps": kept.gaps_days,
        "errors": kept.errors_days,
        "states": STATES_DAYS,
    }
    told = [Place(bucket(settings, name), count) for name, count in days.items()]
    return [*told, Place(bucket(settings, ROLLUPS), 0, telegraf=False)]
