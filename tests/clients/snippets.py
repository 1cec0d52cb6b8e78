"""The pieces of code in docs/clients.md: each stands once, there, and is run from there.

A fenced block whose first or second line names a file (`# prices.py`) is that file.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "clients.md"
FLOW = ROOT / "docs" / "clients" / "node-red.json"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"(?:#|//|<!--) (\S+)(?: -->)?$", re.MULTILINE)


def blocks(page: Path = PAGE) -> dict[str, str]:
    """Every fenced block by the name of its file; those that name none by their language."""
    found = {}
    for language, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        name = _NAME.match(text) or _NAME.match(text, text.find("\n") + 1)
        key = name[1] if name else language
        assert key not in found, f"{page.name} has two blocks {key}"
        found[key] = text
    return found


def topics(text: str) -> set[str]:
    """What looks like a topic or a filter of one in this text."""
    return set(re.findall(r"(?<![\w/.])[a-z]+/(?:kucoin|binance|bridge|#|\+)(?:/[\w.+#-]+)*", text))


def changed(text: str, changes: dict[str, str]) -> str:
    """The text with these places changed, each of which must be there."""
    for old, new in changes.items():
        assert old in text, f"{old!r} does not stand in the documentation any more"
        text = text.replace(old, new)
    return text
