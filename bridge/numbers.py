"""Digits as they came: which text may stand in a payload as a JSON number. Pure."""

import re
from decimal import Decimal
from math import isfinite

_JSON_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII).fullmatch
_LOOSE_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII).fullmatch
_INTEGER = re.compile(r"-?\d+", re.ASCII).fullmatch
_LONGEST = 400


def number(text: str) -> str:
    """The text itself if it is a JSON number, else its shortest equal form.

    Raises ValueError for what is no number, not finite as a float64, or an integer beyond int64.
    """
    if len(text) > _LONGEST or not _LOOSE_NUMBER(text):
        raise ValueError(f"{text[:40]!r} is not a number")
    if not isfinite(float(text)):
        raise ValueError(f"{text[:40]!r} is not finite")
    if not _JSON_NUMBER(text):
        text = _shortest(text)
    if _INTEGER(text) and not -(2**63) <= int(text) < 2**63:
        raise ValueError(f"{text[:40]!r} is an integer beyond 64 bits")
    return text


def _shortest(text: str) -> str:
    plain = format(Decimal(text), "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return plain if len(plain) <= 40 else repr(float(text))
