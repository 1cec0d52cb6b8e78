"""What is missing comes again by REST, as far as an exchange tells it: gaps by themselves, backfills on request."""

from bridge.fills.backfill import Backfill, Backfills, Unwilling
from bridge.fills.filler import Filler
from bridge.fills.first import first_candles
from bridge.fills.jobs import Jobs, Progress
from bridge.fills.source import Source

__all__ = ["Backfill", "Backfills", "Filler", "Jobs", "Progress", "Source", "Unwilling", "first_candles"]
