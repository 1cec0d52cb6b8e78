"""Writes docs/settings.md: types and bounds from the models, meanings from the sample file, so that none drifts.

Use: python scripts/settings_page.py > docs/settings.md
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic.fields import FieldInfo

from bridge.loading import ENV, as_environment
from bridge.settings import Section, Settings

SAMPLE = Path(__file__).parents[1] / "bridge" / "tickbridge.sample.toml"
NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}

HEAD = f"""# Settings

This page is made from the program itself (`make docs`), so it is never out of date.

* Later wins: defaults < `tickbridge.toml` < environment < command line.
* The file is looked for at `--config`, `$TICKBRIDGE_CONFIG`, `./tickbridge.toml` and
  `~/.config/tickbridge/tickbridge.toml` (`$XDG_CONFIG_HOME`); the first one found is used.
  [`bridge/tickbridge.sample.toml`](../bridge/tickbridge.sample.toml) is one with every setting.
* Any setting as a variable: `{ENV}`, the section, two underscores, the key, such as `{ENV}BROKER__PORT=1884`.
  Lists are parted by commas: `{ENV}EXCHANGES__KUCOIN__SYMBOLS=BTC-USDT,ETH-USDT`.
* Any setting but passwords and tokens on the command line: `--set broker.port=1884`, as often as you like.
* `tickbridge check` says what is wrong with them, in which file or variable, without starting anything.
"""


def described(sample: str) -> dict[str, str]:
    """What the sample says about each setting, by dotted name, and about each section."""
    told: dict[str, str] = {}
    section = ""
    lines: list[str] = []
    for line in sample.splitlines():
        if found := re.match(r"\[(.+)\]", line):
            section = found[1] + "."
            told[found[1]] = " ".join(lines)
            lines = []
        elif found := re.match(r"#?(\w+) = ", line):
            told[section + found[1]] = " ".join(lines)
            lines = []
        elif line.startswith("# "):
            lines.append(line[2:])
        elif not line:
            lines = []
    return told


def sections(kind: type[Section] = Settings, above: str = "") -> Iterator[tuple[str, type[Section]]]:
    """Every section with settings of its own, by dotted name, in the order of the models."""
    if any(not section_of(field.annotation) for field in kind.model_fields.values()):
        yield above, kind
    for name, field in kind.model_fields.items():
        if below := section_of(field.annotation):
            yield from sections(below, f"{above}.{name}".strip("."))


def page() -> str:
    """The whole page."""
    sample = SAMPLE.read_text(encoding="utf-8")
    told, defaults = described(sample), tomllib.loads(sample)
    parts = [HEAD]
    for name, kind in sections():
        parts.append(f"## {f'`[{name}]`' if name else 'At the top'}\n")
        if told.get(name):
            parts.append(told[name] + "\n")
        parts.append(_table(name, kind, told, defaults))
    return "\n".join(parts)


def _table(name: str, kind: type[Section], told: dict[str, str], defaults: dict[str, Any]) -> str:
    for part in name.split(".") if name else ():
        defaults = defaults[part]
    rows = ["| key | default | what | |", "|---|---|---|---|"]
    for key, field in kind.model_fields.items():
        if not section_of(field.annotation):
            full = f"{name}.{key}".strip(".")
            rows.append(f"| `{key}` | {_default(defaults.get(key))} | {told[full]} | {_kind(field)} |")
    example = next(iter(as_environment({f"{name}.{next(iter(kind.model_fields))}".strip("."): ""})))
    return "\n".join(rows) + (f"\n\nAs a variable: `{example}` and so on.\n" if name else "\n")


def _default(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return f"`{', '.join(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`" if value != "" else "empty"


def _kind(field: FieldInfo) -> str:
    words = _type(field.annotation)
    bounds = [mark for mark in _marks(field) if isinstance(mark, Ge | Gt | Le)]
    for mark in bounds:
        if isinstance(mark, Ge):
            words += f", at least {mark.ge}"
        elif isinstance(mark, Gt):
            words += f", more than {mark.gt}"
        else:
            words += f", at most {mark.le}"
    return words


def _marks(field: FieldInfo) -> list[Any]:
    return [
        *field.metadata,
        *(mark for part in get_args(field.annotation) for mark in getattr(part, "__metadata__", ())),
    ]


def _type(kind: Any) -> str:
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Literal:
        return ", ".join(inside[:-1]) + f" or {inside[-1]}"
    if origin in (tuple, frozenset):
        return f"list of {_type(inside[0])}"
    if origin is dict:
        return f"area to {_type(inside[1])}"
    if inside:  # Annotated, or a choice of a type and None
        return _type(inside[0])
    return ", ".join(kind) if issubclass(kind, Enum) else NAMES[kind]


def section_of(kind: Any) -> type[Section] | None:
    """The section that this type is, if it is one."""
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


if __name__ == "__main__":
    sys.stdout.write(page())
