"""What was published and what is missing: counted in memory (`Tally`), kept on disk (`Ledger`)."""

from bridge.ledger.rows import ALIVE, Job, Published, Query, Run, next_run
from bridge.ledger.store import RUNS_KEPT_DAYS, Ledger, Loss
from bridge.ledger.tally import Tally

__all__ = ["ALIVE", "RUNS_KEPT_DAYS", "Job", "Ledger", "Loss", "Published", "Query", "Run", "Tally", "next_run"]
