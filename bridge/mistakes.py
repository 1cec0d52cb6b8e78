"""What is wrong with the settings, in a person's words: one line each, with the nearest right name. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bridge.settings import Section, Settings

SHOWN = 60
"""So many characters of a wrong value are repeated."""
VARIABLE = "TICKBRIDGE_"
"""Begins the name of a setting that stands in the environment."""
SECRETS = ("password", "mqtt_password", "token")
"""Settings whose value is repeated nowhere."""

WORDS = (
    ("bool", "true or false"),
    ("int", "a whole number"),
    ("float", "a number"),
    ("string", "a text"),
    ("path", "the path of a file or folder"),
    ("tuple", 'a list, like ["one", "two"]'),
    ("frozen_set", 'a list, like ["one", "two"]'),
    ("dict", "a section with keys of its own"),
    ("model", "a section with keys of its own"),
)
"""What is right, by how pydantic's name of the mistake begins."""
BOUNDS = {"greater_than_equal": "at least {ge}", "less_than_equal": "at most {le}", "greater_than": "more than {gt}"}

Keys = tuple[str, ...]


def dotted(path: Sequence[str | int]) -> str:
    """A setting's name as people write it; a number is the place in a list, and left out."""
    return ".".join(part for part in path if isinstance(part, str) and part != "[key]")


def readable_by_all(path: Keys) -> str:
    """Why a secret may not stand in a command line, and where it may."""
    name, variable = dotted(path), VARIABLE + "__".join(path).upper()
    file = f"{name}_file or " if f"{name}_file" in names() else ""
    return f"{name}: whoever is on this machine can read it in the list of processes: use {file}the variable {variable}"


def explain(error: ValidationError, origins: Mapping[Keys, str]) -> list[str]:
    """One line for every mistake: where it stands, which setting, its value, and what would be right."""
    lines = [_line(one, origins) for one in error.errors(include_url=False)]
    return list(dict.fromkeys(lines))


def names(kind: type[Section] = Settings, above: str = "") -> Iterator[str]:
    """The dotted name of every setting."""
    for name, field in kind.model_fields.items():
        below = field.annotation
        if isinstance(below, type) and issubclass(below, Section):
            yield from names(below, f"{above}{name}.")
        else:
            yield above + name


def nearest(wrong: str, right: Sequence[str]) -> str | None:
    """The name that was probably meant."""
    close = get_close_matches(wrong.lower(), right, n=1, cutoff=0.6)
    return close[0] if close else None


def _line(one: ErrorDetails, origins: Mapping[Keys, str]) -> str:
    path = tuple(part for part in one["loc"] if isinstance(part, str) and part != "[key]")
    where = _origin(path, origins)
    if one["type"] == "extra_forbidden":
        return f"{where}: {dotted(path)} is no setting: {_unsplit(path, where) or _meant(path)}"
    return f"{where}: {dotted(path)}{_shown(path, one)}: {_cure(one)}"


def _origin(path: Keys, origins: Mapping[Keys, str]) -> str:
    """The place of this value, of the list or table around it, or of what stands below it."""
    for length in range(len(path), 0, -1):
        if found := origins.get(path[:length]):
            return found
    below = [where for keys, where in origins.items() if keys[: len(path)] == path]
    return below[-1] if below else "settings"


def _meant(path: Keys) -> str:
    section = ".".join(path[:-1])
    everything = list(names())
    beside = sorted({_child(name, section) for name in everything if _inside(name, section)})
    if close := nearest(path[-1], beside):
        return f"did you mean {dotted((*path[:-1], close))}?"
    elsewhere = [name for name in everything if name.rpartition(".")[2] == path[-1].lower()]
    if elsewhere:
        return f"did you mean {' or '.join(elsewhere[:3])}?"
    return f"{section or 'the top level'} has {', '.join(beside)}" if beside else "there is nothing below it"


def _unsplit(path: Keys, where: str) -> str | None:
    """The setting that was meant if only what stands between its parts is wrong, as with a single `_` in a variable."""
    flat = "_".join(path).lower().replace("-", "_")
    found = next((name for name in names() if name.replace(".", "_") == flat), None)
    if found is None:
        return None
    is_variable = where.startswith(VARIABLE)
    return f"did you mean {VARIABLE + found.upper().replace('.', '__') if is_variable else found}?"


def _inside(name: str, section: str) -> bool:
    return not section or name.startswith(section + ".")


def _child(name: str, section: str) -> str:
    return (name.removeprefix(section + ".") if section else name).split(".")[0]


def _shown(path: Keys, one: ErrorDetails) -> str:
    value: Any = one["input"]
    if path[-1] in SECRETS or isinstance(value, dict) or one["type"] == "missing":
        return ""
    text = str(value)
    return f" = {text if len(text) <= SHOWN else text[:SHOWN] + '…'}"


def _cure(one: ErrorDetails) -> str:
    expected = str(one.get("ctx", {}).get("expected", ""))
    choices = [word.strip("' ") for word in expected.replace(" or ", ",").split(",") if word.strip()]
    if one["type"] in ("literal_error", "enum") and choices:
        close = nearest(str(one["input"]), choices)
        return f"must be {', '.join(choices[:-1])} or {choices[-1]}" + (f"; did you mean {close}?" if close else "")
    if one["type"] == "value_error":
        return one["msg"].removeprefix("Value error, ")
    if one["type"] in BOUNDS:
        return "must be " + BOUNDS[one["type"]].format(**{name: f"{value:.12g}" for name, value in one["ctx"].items()})
    return next((f"must be {right}" for kind, right in WORDS if one["type"].startswith(kind + "_")), one["msg"])
