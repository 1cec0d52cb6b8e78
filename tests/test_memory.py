"""Memory that a burst took goes back to the system."""

import subprocess
import sys

BURST = """
from pathlib import Path
from bridge.memory import frugal

def rss_mb():
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) / 1024

frugal()
bytes(300_000)
before = rss_mb()
blocks = [b"x" * 300_000 for _ in range(200)]
most = rss_mb()
del blocks[:-1]
print(before, most, rss_mb())
"""


def test_large_blocks_go_back_to_the_system_though_later_ones_are_still_in_use() -> None:
    told = subprocess.run([sys.executable, "-c", BURST], capture_output=True, text=True, check=True).stdout
    before, most, after = map(float, told.split())
    assert most - before > 50
    assert after - before < 5
