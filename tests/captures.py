"""Where the recorded frames are: $TICKBRIDGE_CAPTURES, by default ../shared/captures. CI fails without them."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.missing import missing

ROOT = Path(__file__).parent.parent


def folder() -> Path:
    return Path(os.environ.get("TICKBRIDGE_CAPTURES") or ROOT.parent / "shared" / "captures")


def capture(name: str) -> Path:
    """The path of a capture such as `kucoin/candle…jsonl`; skips (in CI: fails) by name where it is missing."""
    path = folder() / name
    if not path.exists():
        missing(f"the recorded frames {path} are missing: set TICKBRIDGE_CAPTURES to their folder")
    return path


def lines(name: str) -> Iterator[dict[str, Any]]:
    """The objects of a capture, in order."""
    path = capture(name)
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        for line in file:
            yield json.loads(line)


def frames(name: str) -> Iterator[tuple[int, str]]:
    """What was received: time in ns and the frame's text, byte for byte as recorded."""
    for line in lines(name):
        if line.get("t", "recv") == "recv" and "ts" in line:
            yield int(line["ts"] * 1e9), line["data"]
