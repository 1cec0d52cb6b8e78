"""A real Home Assistant without a head, on free loopback ports, from a virtual environment of its own."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp

from tests.broker import free_ports

ENV = "TICKBRIDGE_HOMEASSISTANT"
WITHOUT = f"set {ENV} to the folder that `scripts/homeassistant` has prepared (700 MB, Python 3.13)"
START_S = 90.0
ENTRY = {
    "created_at": "2025-01-01T00:00:00+00:00", "modified_at": "2025-01-01T00:00:00+00:00", "disabled_by": None,
    "discovery_keys": {}, "domain": "mqtt", "entry_id": "01HZZZZZZZZZZZZZZZZZZZZZZZ", "minor_version": 2,
    "options": {"discovery": True, "discovery_prefix": "homeassistant"}, "pref_disable_new_entities": False,
    "pref_disable_polling": False, "source": "user", "subentries": [], "title": "broker",
    "unique_id": None, "version": 1,
}  # fmt: skip


def venv() -> Path | None:
    """The virtual environment that the environment names."""
    named = os.environ.get(ENV)
    return Path(named) if named else None


class Hass:
    """Its configuration folder outlives a stop; `broker_port` is where it looks for MQTT."""

    def __init__(self, folder: Path, broker_port: int, user: tuple[str, str] | None = None) -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        self._broker_port = broker_port
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None
        self._http: aiohttp.ClientSession | None = None
        self._token = ""

    # --- its life -----------------------------------------------------------------------------------
    async def start(self) -> None:
        """Until its MQTT integration is set up."""
        self._write_files()
        home = venv()
        assert home is not None
        env = {**os.environ, "PATH": f"{home / 'bin'}:{os.environ['PATH']}"}
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it takes no time
                [home / "bin" / "hass", "-c", self.folder, "--skip-pip"], env=env, stdout=output, stderr=output
            )
        self._http = self._http or aiohttp.ClientSession(f"http://127.0.0.1:{self.port}")
        await self.until(self._answers, START_S)
        self._token = self._token or await self._onboard()
        await self.until(self._is_running, START_S)

    async def stop(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, 30)
            process.kill()
            process.wait()

    async def close(self) -> None:
        await self.stop()
        if self._http is not None:
            await self._http.close()

    # --- what it knows ------------------------------------------------------------------------------
    async def states(self) -> dict[str, str]:
        """Every entity's state."""
        rows = await self._get("/api/states")
        return {row["entity_id"]: row["state"] for row in rows}

    async def attributes(self, entity: str) -> dict[str, Any]:
        return dict((await self._get(f"/api/states/{entity}"))["attributes"])

    async def registry(self, what: str = "entity") -> list[dict[str, Any]]:
        """The registry of entities or devices, with those that are disabled."""
        return list(await self._ask({"type": f"config/{what}_registry/list"}))

    async def render(self, template: str) -> str:
        """What a template says now."""
        return str(await self._post("/api/template", {"template": template}))

    async def act(self, service: str, **data: Any) -> None:
        """Call a service, like `automation.reload`."""
        await self._post(f"/api/services/{service.replace('.', '/')}", data)

    async def automate(self, *automations: dict[str, Any]) -> None:
        """These automations instead of those before."""
        configuration = self.folder / "configuration.yaml"
        text = configuration.read_text()
        if "automation:" not in text:
            configuration.write_text(f"{text}automation: !include automations.yaml\n")
        (self.folder / "automations.yaml").write_text(json.dumps(automations))
        await self.act("automation.reload")

    async def until(self, condition: Callable[[], Any], within_s: float = 30.0) -> float:
        """Wait for an asynchronous condition; how many seconds it took."""
        began = monotonic()
        while not await condition():
            assert monotonic() - began < within_s, f"not within {within_s} s\n{self.log()[-4000:]}"
            await asyncio.sleep(0.1)
        return monotonic() - began

    def log(self) -> str:
        """What it logged and printed."""
        files = (self.folder / "home-assistant.log.1", self.folder / "home-assistant.log", self.folder / "output")
        return "\n".join(file.read_text(errors="replace") for file in files if file.exists())

    def complaints(self) -> list[str]:
        """Warnings and worse."""
        lines = self.log().splitlines()
        return [line for line in lines if any(f" {level} " in line for level in ("WARNING", "ERROR", "CRITICAL"))]

    # --- inside -------------------------------------------------------------------------------------
    def _write_files(self) -> None:
        storage = self.folder / ".storage"
        if storage.exists():
            return
        storage.mkdir(parents=True)
        (self.folder / "configuration.yaml").write_text(
            f"http:\n  server_host: 127.0.0.1\n  server_port: {self.port}\napi:\nlogger:\n  default: info\n"
        )
        data: dict[str, Any] = {"broker": "127.0.0.1", "port": self._broker_port, "protocol": "5"}
        if self._user is not None:
            data |= {"username": self._user[0], "password": self._user[1]}
        entries = {"entries": [ENTRY | {"data": data}]}
        stored = {"version": 1, "minor_version": 5, "key": "core.config_entries", "data": entries}
        (storage / "core.config_entries").write_text(json.dumps(stored))

    async def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()[-4000:]
        assert self._http is not None
        with suppress(aiohttp.ClientError):
            async with self._http.get("/manifest.json") as answer:
                return answer.status == 200
        return False

    async def _is_running(self) -> bool:
        return "birth message sent" in self.log() and (await self._get("/api/config"))["state"] == "RUNNING"

    async def _onboard(self) -> str:
        assert self._http is not None
        client = f"http://127.0.0.1:{self.port}/"
        user = {"client_id": client, "name": "a", "username": "a", "password": "a-secret", "language": "en"}
        async with self._http.post("/api/onboarding/users", json=user) as answer:
            code = (await answer.json())["auth_code"]
        form = {"grant_type": "authorization_code", "code": code, "client_id": client}
        async with self._http.post("/auth/token", data=form) as answer:
            return str((await answer.json())["access_token"])

    async def _get(self, path: str) -> Any:
        assert self._http is not None
        async with self._http.get(path, headers={"Authorization": f"Bearer {self._token}"}) as answer:
            return await answer.json()

    async def _post(self, path: str, body: dict[str, Any]) -> str:
        assert self._http is not None
        async with self._http.post(path, json=body, headers={"Authorization": f"Bearer {self._token}"}) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.text()

    async def _ask(self, what: dict[str, Any]) -> Any:
        assert self._http is not None
        async with self._http.ws_connect("/api/websocket") as socket:
            await socket.receive_json()
            await socket.send_json({"type": "auth", "access_token": self._token})
            await socket.receive_json()
            await socket.send_json({"id": 1, **what})
            return (await socket.receive_json())["result"]


@asynccontextmanager
async def homeassistant(folder: Path, broker_port: int, user: tuple[str, str] | None = None) -> AsyncIterator[Hass]:
    """A running one."""
    hass = Hass(folder, broker_port, user)
    try:
        await hass.start()
        yield hass
    finally:
        await hass.close()
