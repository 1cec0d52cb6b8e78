"""Whether a process is gone; one that is dead and not yet waited for by its parent counts as gone."""

import os
from pathlib import Path


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:  # it ended just now, or the system has no /proc
        return Path("/proc/self").exists()
    return state in "ZX"
