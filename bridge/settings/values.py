"""Kinds of values that several sections have, and what a person is told of one that is wrong."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bridge.errors import SettingsError

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Days = Annotated[int, Field(ge=0, le=36_500)]
Secret = Annotated[str | None, Field(repr=False)]
MAX_SECRET_BYTES = 4096


def shaped(pattern: str, words: str) -> AfterValidator:
    """A text that matches the whole pattern; `words` say to a person what is right."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {words}")
        return text

    return AfterValidator(check)


HttpHost = Annotated[str, shaped(r"https?://[^/\s@?#]+", "http(s)://host or http(s)://host:port, without a path")]
HostName = Annotated[str, shaped(r"[A-Za-z0-9.-]{1,253}", "a name like prices.example.org, without a port")]
WebsocketHost = Annotated[str, shaped(r"wss?://[^/\s@?#]+", "ws(s)://host or ws(s)://host:port, without a path")]
Folder = Annotated[Path, AfterValidator(Path.expanduser)]
"""`~` is the home folder; a relative path starts at the folder Tickbridge is started in."""


class Section(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_secret(name: str, path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")[:MAX_SECRET_BYTES].strip()
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "is no UTF-8 text"
        raise SettingsError(f"{name} = {path}: {problem}") from error
    if not text:
        raise SettingsError(f"{name} = {path}: is empty")
    return text
