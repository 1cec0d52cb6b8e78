"""What was published, kept: one contract (`base.History`) and the embedded store behind it.

`sqlite.py` is the store, `recorder.py` feeds it from the broker. Another store is one more file with the same contract.
"""

from dashboard.history.base import History, Page, Span, Stored

__all__ = ["History", "Page", "Span", "Stored"]
