"""The door, made of the settings: routes and middleware of the application, and what health tells of it."""

import logging
from typing import Any

from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from bridge.errors import SettingsError
from bridge.settings import Settings
from dashboard.door.certificate import Certificate
from dashboard.door.gate import Gate
from dashboard.door.headers import Rules
from dashboard.door.limits import Rates, Refusals, Sizes
from dashboard.door.login import Login
from dashboard.door.pages import LoginPages

log = logging.getLogger(__name__)


class Door:
    """Raises SettingsError where visitors must log in and cannot, or where the certificate is none."""

    def __init__(self, settings: Settings) -> None:
        self._page = settings.dashboard
        self._instance = settings.instance
        self._refusals = Refusals()
        self.login = Login(settings) if self._page.asks_login else None
        self.certificate = Certificate(self._page) if self._page.cert_file is not None else None

    def routes(self) -> list[BaseRoute]:
        return LoginPages(self.login, self._instance).routes() if self.login is not None else []

    def middleware(self) -> list[Middleware]:
        return [
            Middleware(Sizes, refusals=self._refusals),
            Middleware(Rates, per_minute=self._page.requests_per_minute, refusals=self._refusals),
            Middleware(Gate, login=self.login),
        ]

    def rules(self, websocket_port: int) -> Rules:
        """The headers of every answer."""
        return Rules(websocket_port, self._page)

    def busy(self) -> None:
        """A question was turned away because too many were being answered."""
        self._refusals.busy += 1

    def reload(self) -> None:
        """Read certificate, password and tokens anew; what is wrong with one is logged, and the old one stays."""
        for part in (self.login, self.certificate):
            try:
                if part is not None:
                    part.reload()
            except SettingsError as error:
                log.error("%s: the one from before stays", error)
        log.info("the page's certificate, password and tokens were read again")

    def status(self) -> dict[str, Any]:
        """For health."""
        told: dict[str, Any] = self._refusals.status()
        if self.login is not None:
            told["login"] = {"wrong": self.login.wrong, "limited": self.login.limited, "tokens": len(self.login.tokens)}
        if self.certificate is not None:
            told["certificate"] = self.certificate.status()
        return told
