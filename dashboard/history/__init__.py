"""What was published, kept: one contract (`base.History`) and two stores behind it.

`sqlite.py` is the embedded one, `recorder.py` feeds it from the broker. `influx/` reads what Telegraf writes.
"""

from typing import TYPE_CHECKING

from bridge.settings import Settings
from dashboard.history.base import History, Numbered, Page, Sequence, Span, Stored
from dashboard.history.reading import SqliteReading
from dashboard.history.schema import FILE

if TYPE_CHECKING:
    from dashboard.history.influx import InfluxHistory

__all__ = ["History", "Numbered", "Page", "Sequence", "Span", "Stored", "open_for_reading", "open_influx"]


def open_for_reading(settings: Settings) -> History:
    """The history, for a program that only asks and may run beside the dashboard: `async with` closes it.

    Raises StoreError, with the cure, if there is none or it cannot be read.
    """
    if settings.history.store == "influx":
        return open_influx(settings)
    return SqliteReading(settings.data_dir / FILE, settings.history)


def open_influx(settings: Settings) -> "InfluxHistory":
    """The history in InfluxDB. Nothing is asked of it yet, so nothing can be wrong with it yet."""
    from dashboard.history.influx import InfluxHistory  # noqa: PLC0415 - a second that the embedded store need not wait

    return InfluxHistory(settings)
