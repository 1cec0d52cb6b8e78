"""The documentation's clients as processes of their own, against a real broker with our users and a real bridge."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from time import monotonic

from bridge.brokerfiles import Tls
from bridge.simulator import Simulator
from dashboard.web.build import MODULES, WEB, build, node_program
from tests.broker import PASSWORDS, Broker
from tests.clients.snippets import blocks, changed
from tests.running import environment, tickbridge

SYMBOL = "MOG-USDT"
"""Its price begins with six zeros: whoever makes a float of it shows something else."""
SILENCE_S = 5
"""In place of 35, so that a test need not wait for so long; the price is told anew every second."""
LOGIN = {"# -u": "-u", "# -P": "-P"}
PRICE = re.compile(r"0\.000000\d+")
HURRY = {
    "FEED__PROOF_S": 4, "FEED__PING_S": 1, "FEED__PONG_S": 2.5, "FEED__SILENCE_S": 5, "FEED__BACKOFF_FIRST_S": 0.1,
    "FEED__BACKOFF_MOST_S": 0.5, "FEED__FIRST_CANDLES_H": 0, "EXCHANGES__BINANCE__ENABLED": "false",
    "EXCHANGES__KUCOIN__SYMBOLS": SYMBOL,
}  # fmt: skip


class Clients:
    """The documentation's files in one folder, changed only in address, user, symbol and patience.

    `tls` and `ca`: over the encrypted ports.
    """

    def __init__(self, broker: Broker, folder: Path, tls: Tls | None = None, ca: Path | None = None) -> None:
        self.folder = folder
        self._ca = ca
        self._stack = ExitStack()
        folder.mkdir()
        (folder / MODULES).symlink_to(modules())
        page = blocks()
        patience = {"35": str(SILENCE_S), "BTC-USDT": SYMBOL}
        where = {"1883": str(tls.port if tls else broker.port), "the-password": PASSWORDS["guest"]}
        trusted = {"# --cafile /home/you/ca.crt": f"--cafile {ca}"} if ca else {}
        self._write("mosquitto_sub", changed(page["~/.config/mosquitto_sub"], where | LOGIN | trusted))
        self._write("price.sh", changed(page["price.sh"], patience))
        self._write("now.sh", changed(page["now.sh"], patience))
        self._write("online.sh", page["online.sh"])
        trusted = {'# client.tls_set("ca.crt")': f'client.tls_set("{ca}")'} if ca else {}
        python = {"# client.username": "client.username", "< 35": f"< {SILENCE_S}", "BTC-USDT": SYMBOL}
        self._write("prices.py", changed(page["prices.py"], where | python | trusted))
        self._write("price.mjs", changed(page["price.mjs"], {"35_000": str(SILENCE_S * 1000)}))
        self._write("show.mjs", changed(page["show.mjs"], guest(broker, SYMBOL) | ({"ws://": "wss://"} if ca else {})))

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def _environment(self) -> dict[str, str]:
        trusted = {"NODE_EXTRA_CA_CERTS": str(self._ca)} if self._ca else {}
        return os.environ | {"XDG_CONFIG_HOME": str(self.folder)} | trusted

    def start(self, *command: str, to: str) -> "Client":
        """One of them, until the end of the test."""
        return self._stack.enter_context(running(command, self.folder, self._environment(), self.folder / to))

    def run(self, *command: str, within_s: float = 20.0) -> subprocess.CompletedProcess[str]:
        """One of them to its end."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )

    def close(self) -> None:
        self._stack.close()


class Client:
    """A running client and what it said."""

    def __init__(self, name: str, output: Path) -> None:
        self.name = name
        self._output = output

    @property
    def said(self) -> list[str]:
        return self._output.read_text(encoding="utf-8").splitlines()

    @property
    def last(self) -> str:
        return next(reversed(self.said), "")

    def prices(self) -> list[str]:
        return [line for line in self.said if PRICE.fullmatch(line)]

    def refuses(self) -> bool:
        return self.last == "?"


@contextmanager
def running(command: tuple[str, ...], folder: Path, env: dict[str, str], output: Path) -> Iterator[Client]:
    """A process and its children; both are ended."""
    with output.open("w") as file:
        child = subprocess.Popen(
            command, cwd=folder, env=env, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield Client(command[-1], output)
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(10)


@asynccontextmanager
async def living(broker: Broker, folder: Path) -> AsyncIterator[tuple[Simulator, "subprocess.Popen[str]"]]:
    """A simulated exchange and the bridge."""
    async with Simulator(symbols=(SYMBOL,), invented=0, rate=20.0) as sim:
        env = environment(broker, folder, sim, BROKER__USER="bridge", BROKER__PASSWORD=PASSWORDS["bridge"], **HURRY)
        with tickbridge("run", folder, env, exit_code=None) as bridge:
            yield sim, bridge


async def until(condition: Callable[[], object], otherwise: Callable[[], str], within_s: float = 60.0) -> None:
    """Wait for a condition while the simulator goes on."""
    deadline = monotonic() + within_s
    while not condition():
        assert monotonic() < deadline, otherwise()
        await asyncio.sleep(0.1)


def guest(broker: Broker, symbol: str) -> dict[str, str]:
    """What a guest changes in the JavaScript."""
    user = f'{{ username: "guest", password: "{PASSWORDS["guest"]}" }};'
    return {"{}; // {": user + " // {", "9001": str(broker.ws_port), "BTC-USDT": symbol}


def modules() -> Path:
    """The page's own packages, MQTT.js among them."""
    if not (WEB / MODULES / "mqtt").is_dir():
        build(node_program())
    return WEB / MODULES


def bash() -> str:
    found = shutil.which("bash")
    assert found, "bash is not installed"
    return found
