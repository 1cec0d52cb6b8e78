"""`docker compose up` of the demo, as a project of its own on free ports, from the checkout's own files."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.broker import free_ports
from tests.engine import image, require
from tests.missing import missing

ROOT = Path(__file__).parents[1]
FILES = ("compose.yaml", "compose.demo.yaml")
UP_S, DOWN_S, SHORT_S = 1200.0, 120.0, 60.0


class Stack:
    """Up, down, and what its containers say."""

    def __init__(self) -> None:
        require("influxdb", "telegraf", "mosquitto", "python")
        names = ("PAGE_PORT", "MQTT_PORT", "MQTT_WS_PORT", "INFLUX_PORT", "GRAFANA_PORT")
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.choices: dict[str, str] = {}
        """What its owner would write into `.env`."""
        self.project = f"tickbridge-test-{os.getpid()}"
        self._image = f"tickbridge:{self.project}"
        self.page = f"http://127.0.0.1:{self.ports['PAGE_PORT']}"
        self.influx = f"http://127.0.0.1:{self.ports['INFLUX_PORT']}"
        if shutil.which("docker") is None or self._run("version", check=False).returncode:
            missing("docker compose v2 is not installed")

    def up(self) -> None:
        """Start all and wait until every health check is content. The first one builds our image."""
        self._run("up", "--detach", "--wait", timeout=UP_S)

    def change(self, service: str) -> None:
        """Start one service anew with the choices as they are now."""
        self._run("up", "--detach", "--wait", "--no-deps", service, timeout=UP_S)

    def down(self, *options: str) -> None:
        """Stop and remove all containers; the volumes stay."""
        self._run("down", "--timeout", "10", *options, timeout=DOWN_S)

    def remove(self) -> None:
        """The end: nothing of it is left."""
        self.down("--volumes")
        subprocess.run(["docker", "image", "rm", self._image], check=False, capture_output=True, timeout=DOWN_S)

    def logs(self, *services: str) -> str:
        """The last words of every service, or all of these."""
        tail = () if services else ("--tail", "40")
        return self._run("logs", "--no-color", *tail, *services, check=False).stdout

    def running(self) -> dict[str, str]:
        """Each service that runs, and its health."""
        lines = self._run("ps", "--format", "json").stdout.splitlines()
        return {one["Service"]: one["Health"] for one in map(json.loads, lines)}

    def exec(self, service: str, *command: str) -> str:
        """What a command inside a service's container prints."""
        return self._run("exec", "-T", service, *command).stdout

    def keys(self) -> dict[str, str]:
        """Every password and token by its file's name."""
        show = ["sh", "-c", 'for file in *; do printf "%s %s\\n" "$file" "$(cat "$file")"; done']
        volume = f"{self.project}_keys:/keys:ro"
        line = [
            "docker",
            "run",
            "--rm",
            "-v",
            volume,
            "-w",
            "/keys",
            "--entrypoint",
            show[0],
            image("python"),
            *show[1:],
        ]
        told = subprocess.run(line, check=True, capture_output=True, text=True, timeout=SHORT_S).stdout
        return dict(row.split(" ", 1) for row in told.splitlines())

    def _run(self, *command: str, check: bool = True, timeout: float = SHORT_S) -> "subprocess.CompletedProcess[str]":
        files = [part for file in FILES for part in ("-f", str(ROOT / file))]
        line: Sequence[str] = ("docker", "compose", "--env-file", os.devnull, *files, "-p", self.project, *command)
        environment = {
            **os.environ,
            **{name: str(port) for name, port in self.ports.items()},
            **self.choices,
            "TICKBRIDGE_IMAGE": self._image,
            "ENV_FILE": os.devnull,  # whatever choices this machine's user has made
        }
        done = subprocess.run(line, capture_output=True, text=True, timeout=timeout, check=False, env=environment)
        if check and done.returncode:
            raise RuntimeError(
                f"docker compose {' '.join(command)} failed:\n{done.stderr[-3000:]}\n{self.logs()[-6000:]}"
            )
        return done
