"""What was published, kept: one contract (`base.History`) and two stores behind it.

`sqlite.py` is the embedded one, `recorder.py` feeds it from the broker. `influx/` reads what Telegraf writes.
"""

from bridge.settings import Settings
from dashboard.history.base import History, Numbered, Page, Sequence, Span, Stored
from dashboard.history.influx import InfluxHistory
from dashboard.history.reading import SqliteReading
from dashboard.history.schema import FILE

__all__ = ["History", "Numbered", "Page", "Sequence", "Span", "Stored", "open_for_reading"]


def open_for_reading(settings: Settings) -> History:
    """The history, for a program that only asks and may run beside the dashboard: `async with` closes it.

    Raises StoreError, with the cure, if there is none or it cannot be read.
    """
    if settings.history.store == "influx":
        return InfluxHistory(settings)
    return SqliteReading(settings.data_dir / FILE, settings.history)
