"""MQTT filters as readers write them: checked, kept to our own topics, and matched. Pure."""

import re
from collections.abc import Callable, Sequence

from bridge.topics import STATE_ROOTS, STREAM_ROOTS

PLAIN_TEXT = "display"
"""The only root whose payloads are no JSON."""
ROOTS = tuple(root for root in (*STATE_ROOTS, *STREAM_ROOTS) if root != PLAIN_TEXT)
MOST_BYTES = 400
MOST_LEVELS = 8


def expanded(text: str) -> tuple[str, ...]:
    """The same filter for the broker: a wildcard in its first level stands for our roots, never for others' topics.

    Raises ValueError with the reason if it is no filter, or of no topic of ours.
    """
    _check(text)
    root, _, rest = text.partition("/")
    if root == "#":
        return tuple(f"{one}/#" for one in ROOTS)
    if root == "+":
        return tuple(f"{one}/{rest}" if rest else one for one in ROOTS)
    if root not in ROOTS:
        raise ValueError(f"{text[:60]!r}: no topics begin with {root[:40]!r} (there are {', '.join(ROOTS)})")
    return (text,)


def _check(text: str) -> None:
    levels = text.split("/")
    if not text or len(text.encode("utf-8", "replace")) > MOST_BYTES or len(levels) > MOST_LEVELS:
        raise ValueError(f"{text[:60]!r}: a filter has 1 to {MOST_BYTES} bytes and at most {MOST_LEVELS} levels")
    if not text.isprintable():
        raise ValueError(f"{text[:60]!r}: a filter has no control characters")
    if any(level not in ("+", "#") and ("+" in level or "#" in level) for level in levels):
        raise ValueError(f"{text[:60]!r}: + and # stand alone in their level")
    if "#" in levels[:-1]:
        raise ValueError(f"{text[:60]!r}: # is the last level")


def matcher(filters: Sequence[str]) -> Callable[[str], bool]:
    """Whether any of some filters means a topic, as MQTT says it: `a/#` means `a`, too."""
    exact = {one for one in filters if not one.endswith("#") and "+" not in one}
    wild = re.compile("|".join(f"(?:{_pattern(one)})" for one in filters if one not in exact) or r"\b\B").fullmatch
    return lambda topic: topic in exact or wild(topic) is not None


def _pattern(one: str) -> str:
    if one == "#":
        return ".*"
    text = re.escape(one.removesuffix("/#")).replace(r"\+", "[^/]*")
    return text + "(?:/.*)?" if one.endswith("/#") else text
