"""Visitors of the application: no sockets, so that a test is fast."""

from pathlib import Path
from typing import Any

import httpx

from bridge.settings import Dashboard, Settings
from dashboard.api import Api
from dashboard.app import create_app
from dashboard.door.door import Door
from dashboard.live import LiveStates

PASSWORD = "correct horse"
TOKEN = "0123456789abcdef0123456789abcdef"
HOST = "pi.local:8000"


def settings(folder: Path, **page: Any) -> Settings:
    """With log-in and a token of a program called notebook; `page` changes the settings of the dashboard."""
    tokens = folder / "tokens"
    tokens.write_text(f"# programs\nnotebook {TOKEN}\n")
    page = {"login": "on", "password": PASSWORD, "tokens_file": tokens, **page}
    return Settings(data_dir=folder, dashboard=Dashboard(**page))


class House:
    """One application, and visitors of different addresses."""

    def __init__(self, settings: Settings, *, scheme: str = "http", static: Path = Path("/nowhere")) -> None:
        self.door = Door(settings)
        self.api = Api(settings, LiveStates(settings), None, None)
        self._app = create_app(self.api, settings.dashboard.mqtt_websocket_port, static, door=self.door)
        self._scheme = scheme

    def visitor(self, address: str = "192.168.1.7") -> httpx.AsyncClient:
        """A browser with cookies, that follows no redirect by itself."""
        transport = httpx.ASGITransport(self._app, client=(address, 4711), raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=f"{self._scheme}://{HOST}")


async def log_in(
    client: httpx.AsyncClient, password: str = PASSWORD, way: str = "/login", **more: Any
) -> httpx.Response:
    """Fill in the form."""
    headers = {"origin": str(client.base_url).rstrip("/"), **more}
    return await client.post(way, data={"user": "tickbridge", "password": password}, headers=headers)
