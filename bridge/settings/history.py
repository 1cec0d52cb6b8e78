"""Which store keeps what is published, how long, and how it is audited."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bridge.errors import SettingsError
from bridge.settings.values import Days, Folder, HttpHost, Seconds, Secret, Section, read_secret, shaped


class History(Section):
    """Which store is read, and how long each kind is kept in either. Days of 0 keep for ever."""

    enabled: bool = True
    store: Literal["sqlite", "influx"] = "sqlite"
    prices_days: Days = 30
    trades_days: Days = 90
    candles_days: Days = 0
    gaps_days: Days = 0
    errors_days: Days = 30
    commit_s: Seconds = 10.0


class Influx(Section):
    """Where InfluxDB 2 is and what we may do there."""

    url: HttpHost = "http://127.0.0.1:8086"
    org: Annotated[str, Field(min_length=1, max_length=100)] = "tickbridge"
    bucket_prefix: Annotated[str, shaped(r"[A-Za-z0-9_-]{0,50}", "at most 50 letters, digits, _ and -")] = ""
    token: Secret = None
    token_file: Folder | None = None
    timeout_s: Seconds = 10.0

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if self.token is not None and self.token_file is not None:
            raise ValueError("has both token and token_file: keep one of them")
        return self

    def secret(self) -> str | None:
        """The token itself, from the setting or its file. Raises SettingsError if there is none in it."""
        token = self.token if self.token_file is None else read_secret("influx.token_file", self.token_file)
        if token is not None and not re.fullmatch(r"[!-~]+", token):  # anything else no HTTP header can carry
            where = "influx.token" if self.token_file is None else f"influx.token_file = {self.token_file}"
            raise SettingsError(f"{where}: is no token: one has no spaces, line ends or accents")
        return token


class Audit(Section):
    """The dashboard's continuous audit: how often it looks, and what it takes for settled."""

    enabled: bool = True
    every_s: Annotated[float, Field(ge=1, le=3600)] = 10.0
    settle_s: Annotated[float, Field(ge=1, le=3600)] = 15.0
    reach_s: Annotated[float, Field(ge=60, le=86_400)] = 600.0
