"""Where the broker is, and how long messages for it are remembered."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from bridge.settings.values import Folder, Port, Seconds, Secret, Section, read_secret, shaped

AUTOSAVE_S = 30
"""Seconds between two saves of our brokers, unless told otherwise."""


class Broker(Section):
    """Where the MQTT broker is and who we are there."""

    host: str = "127.0.0.1"
    port: Port = 1883
    user: str | None = None
    password: Secret = None
    password_file: Folder | None = None
    tls: bool = False
    ca_file: Folder | None = None
    client_tag: Annotated[str, shaped(r"[A-Za-z0-9]{0,32}", "at most 32 letters and digits")] = ""
    keepalive_s: Annotated[int, Field(ge=5, le=600)] = 10
    connect_timeout_s: Seconds = 10.0
    gather_ms: Annotated[float, Field(ge=0, le=1000)] = 10.0
    max_inflight: Annotated[int, Field(ge=1, le=65535)] = 4096

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("has both password and password_file: keep one of them")
        return self

    def secret(self) -> str | None:
        """The password itself, from the setting or its file. Raises SettingsError if the file cannot be read."""
        return self.password if self.password_file is None else read_secret("broker.password_file", self.password_file)


class Outbox(Section):
    """The log of stream messages: how much and how long it remembers."""

    bytes: Annotated[int, Field(ge=1_000_000)] = 64 * 1024 * 1024
    keep_s: Annotated[float, Field(ge=2, le=86_400)] = 90.0
    autosave_s: Annotated[int, Field(ge=1, le=3600)] = AUTOSAVE_S

    @model_validator(mode="after")
    def _reaches_back(self) -> Self:
        """A broker killed outright forgets what came since its last save, and one save may have failed."""
        if self.keep_s < 2 * self.autosave_s:
            raise ValueError("needs keep_s of at least 2 * autosave_s: else what a killed broker forgets is gone")
        return self
