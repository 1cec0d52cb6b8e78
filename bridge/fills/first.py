"""The first chart is not empty: the last day's 1 m candles come by REST at start, as a fill."""

import logging
from collections.abc import Sequence

from bridge.errors import FeedLost, FrameError
from bridge.events import Symbol
from bridge.fills.jobs import Progress
from bridge.fills.source import Source
from bridge.topics import MINUTE_NS

log = logging.getLogger(__name__)

INTERVAL = "1m"
HOUR_NS = 60 * MINUTE_NS


async def first_candles(source: Source, symbols: Sequence[Symbol]) -> None:
    """Symbol by symbol, what no run has told of the last hours; what cannot be had is logged and told by the job."""
    until_ns = source.clock.now_ns() // MINUTE_NS * MINUTE_NS
    since_ns = until_ns - source.settings.feed.first_candles_h * HOUR_NS
    job_id = f"{source.streams.run}-{source.name}-first-candles"
    job = Progress(job_id, "fill", source.name, "candles", since_ns, until_ns, len(symbols), interval=INTERVAL)
    source.jobs.tell(job, "running")
    failed = 0
    work = source.candles()
    for symbol in symbols:
        try:
            for span in work.missing(symbol, INTERVAL, since_ns, until_ns):
                await work.fill(symbol, INTERVAL, span, job, lambda count: None)
        except (FeedLost, FrameError) as problem:
            failed += 1
            log.warning("%s: no candles of %s by REST: %s", source.name, symbol, problem)
        job.done += 1
        source.jobs.advance(job)
    source.streams.end_fill(job.id)
    reason = f"{failed} of {len(symbols)} symbols failed" if failed else None
    source.jobs.tell(job, "failed" if failed else "done", reason)
