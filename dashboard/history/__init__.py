"""What was published, kept: one contract (`base.History`) and two stores behind it.

`sqlite.py` is the embedded one, `recorder.py` feeds it from the broker. `influx/` reads what Telegraf writes.
"""

from dashboard.history.base import History, Page, Span, Stored

__all__ = ["History", "Page", "Span", "Stored"]
