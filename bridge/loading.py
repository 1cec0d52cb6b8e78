"""From file, environment and command line to one `Settings`: each layer over the one before.

Every value remembers where it came from, so that an error can name the file, variable or option.
"""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin

from pydantic import ValidationError

from bridge.errors import SettingsError
from bridge.mistakes import SECRETS, dotted, explain, names, readable_by_all
from bridge.settings import Section, Settings

ENV = "TICKBRIDGE_"
ENV_CONFIG = "TICKBRIDGE_CONFIG"
NOT_SETTINGS = frozenset({ENV_CONFIG, "TICKBRIDGE_CAPTURES", "TICKBRIDGE_HOMEASSISTANT", "TICKBRIDGE_PARTS"})
"""Variables of ours that are no settings: where the file is, the tests' recordings and Home Assistant, CI's parts."""
ENV_IMAGE = "TICKBRIDGE_IMAGE"
"""Begins the variables that name Docker images."""
FILE_NAME = "tickbridge.toml"
MAX_FILE_BYTES = 1_000_000

Keys = tuple[str, ...]


class Given(NamedTuple):
    """One value and where it stands: a file's name, a variable, or an option."""

    path: Keys
    value: Any
    where: str


class Mistake(str):
    """In place of a value: why what was given is none."""


class Loaded(NamedTuple):
    """The settings, and the file they came from (None: there was none)."""

    settings: Settings
    file: Path | None


def load(config: Path | None = None, sets: Sequence[str] = (), environ: Mapping[str, str] = os.environ) -> Loaded:
    """Put all layers together. `sets` are `section.key=value`. Raises SettingsError, one line per mistake."""
    file = find_file(config, environ)
    given = [*(_from_file(file) if file else ()), *_from_environment(environ), *_from_options(sets)]
    mistakes = [f"{one.where}: {one.value}" for one in given if isinstance(one.value, Mistake)]
    usable = [one for one in given if not isinstance(one.value, Mistake)]
    tree: dict[str, Any] = {}
    for one in usable:
        _plant(tree, one.path, one.value)
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        mistakes += explain(error, {one.path: one.where for one in usable})
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    return Loaded(settings, file)


def find_file(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The first of: the option, $TICKBRIDGE_CONFIG, this folder, the user's own. The first two must exist.

    An empty $TICKBRIDGE_CONFIG means no file at all.
    """
    named = config or (Path(environ[ENV_CONFIG]) if environ.get(ENV_CONFIG) else None)
    if named is not None:
        if not named.is_file():
            raise SettingsError(f"{'--config' if config else ENV_CONFIG} = {named}: there is no such file")
        return named
    if ENV_CONFIG in environ:
        return None
    home = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    found = (path for path in (Path(FILE_NAME), home / "tickbridge" / FILE_NAME) if path.is_file())
    return next(found, None)


def as_environment(texts: Mapping[str, str]) -> dict[str, str]:
    """Settings by dotted name as the variables that a child process is given."""
    return {ENV + name.upper().replace(".", "__"): text for name, text in texts.items()}


def options_as_texts(sets: Sequence[str]) -> dict[str, str]:
    """`section.key=value` options by dotted name. Raises SettingsError for one without `=`."""
    texts = {}
    for option in sets:
        name, equals, text = option.partition("=")
        if not equals or not name.strip():
            raise SettingsError(f"--set {option}: must be written section.key=value, like broker.port=1884")
        texts[name.strip().lower()] = text.strip()
    return texts


# --- the layers --------------------------------------------------------------------------------------


def _from_file(file: Path) -> Iterator[Given]:
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_FILE_BYTES + 1)
        if len(text) > MAX_FILE_BYTES:
            raise SettingsError(f"{file}: is larger than {MAX_FILE_BYTES} bytes")
        tables = tomllib.loads(text.decode())
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file}: is not UTF-8 text (byte {error.start})") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: is not TOML: {error}") from error
    yield from _leaves((), tables, str(file))


def _leaves(above: Keys, table: Mapping[str, Any], where: str) -> Iterator[Given]:
    for key, value in table.items():
        path = (*above, key)
        if isinstance(value, dict) and value:
            yield from _leaves(path, value, where)
        elif not isinstance(value, dict) or _annotation(path) is None:
            yield Given(path, value, where)


def _from_environment(environ: Mapping[str, str]) -> Iterator[Given]:
    for name in sorted(environ):
        if name.startswith(ENV) and not name.startswith(ENV_IMAGE) and name not in NOT_SETTINGS:
            path = _address(name.removeprefix(ENV).lower().split("__"))
            yield Given(path, _value(path, environ[name]), name)


def _from_options(sets: Sequence[str]) -> Iterator[Given]:
    for name, text in options_as_texts(sets).items():
        path = _address(name.split("."))
        secret = text and path[-1] in SECRETS
        yield Given(path, Mistake(readable_by_all(path)) if secret else _value(path, text), "command line")


# --- from text to value ------------------------------------------------------------------------------


def _address(parts: Sequence[str]) -> Keys:
    """The path of a setting; below a table of free names (log.areas) the rest is one name with its dots."""
    for depth in range(1, len(parts)):
        if get_origin(_annotation(parts[:depth])) is dict:
            return (*parts[:depth], ".".join(parts[depth:]))
    return tuple(parts)


def _annotation(path: Sequence[str]) -> Any:
    """The type of the setting at this path; None where there is none."""
    kind: Any = Settings
    for part in path:
        if not (isinstance(kind, type) and issubclass(kind, Section)) or part not in kind.model_fields:
            return None
        kind = kind.model_fields[part].annotation
    return kind


def _value(path: Keys, text: str) -> Any:
    """What a variable or option says: lists are JSON or parted by commas, nothing is None where that is allowed."""
    kind = _annotation(path)
    origin = get_origin(kind)
    if isinstance(kind, type) and issubclass(kind, Section):
        return Mistake(
            f"{dotted(path)} is a section: set one of its keys, like {next(names(kind, dotted(path) + '.'))}"
        )
    if origin is dict or (origin in (tuple, frozenset) and text.startswith("[")):
        return _json(path, text or "{}")
    if origin in (tuple, frozenset):
        return [one.strip() for one in text.split(",") if one.strip()]
    if not text and origin in (UnionType, Union) and type(None) in get_args(kind):
        return None
    return text


def _json(path: Keys, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        return Mistake(f"{dotted(path)} = {text[:60]}: is not JSON: {error}")


def _plant(tree: dict[str, Any], path: Keys, value: Any) -> None:
    """Set one value in the tree; what stood in the way is replaced."""
    for part in path[:-1]:
        if not isinstance(tree.get(part), dict):
            tree[part] = {}
        tree = tree[part]
    tree[path[-1]] = value
