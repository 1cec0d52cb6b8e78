"""The down-sampling scripts in flux/, and what they need to know as Flux text.

Values become Flux literals here and nowhere else, so nothing that a name contains can become code.
"""

from collections.abc import Mapping
from pathlib import Path

_HERE = Path(__file__).parent / "flux"
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "$": "\\x24"})


def script(name: str) -> str:
    """The script of this name."""
    return (_HERE / f"{name}.flux").read_text(encoding="utf-8")


def literal(text: str) -> str:
    """A Flux string. `$` is escaped because `${…}` inside a string is code."""
    return f'"{text.translate(_ESCAPES)}"'


def names(buckets: Mapping[str, str]) -> str:
    """The buckets as Flux variables."""
    return "".join(f"{variable} = {literal(bucket)}\n" for variable, bucket in buckets.items())
