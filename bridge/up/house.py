"""From wish to running house, and down again in order."""

import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from bridge.errors import TickbridgeError
from bridge.lan import lan_address
from bridge.loading import Loaded, options_as_texts
from bridge.logs import configure
from bridge.notify import forget
from bridge.saving import FLAGS, RECORDER_SESSION, touched
from bridge.settings import Settings
from bridge.up import plan as plans
from bridge.up.broker import find_program, prepare
from bridge.up.brokersign import BrokerSign
from bridge.up.child import Child
from bridge.up.folder import FolderLock, make_writable
from bridge.up.plan import EVERYWHERE, GUEST, LOOPBACK, Plan, Ports
from bridge.up.ports import choose
from bridge.up.supervisor import Supervisor
from bridge.up.users import PAGE, PLACE, Users, make_users
from bridge.up.welcome import moved, welcome

log = logging.getLogger(__name__)

STOP_ORDER = ("bridge", "dashboard", "simulator", "mosquitto")
READY_S = 15.0
MQTTS = 8883
FIRST_SESSION_S = 8.0
"""On the very first start the bridge waits so long for the recorder, so that nothing is published unheard."""
FLAG_POLL_S = 0.25
PORT_TRIES = 3
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Wish:
    """What the command line asked of `up` itself."""

    lan: bool = False
    demo: bool = False
    seed: int = 1


def run(loaded: Loaded, sets: Sequence[str], wish: Wish) -> int:
    """Everything, until Ctrl-C; returns the exit code. Raises TickbridgeError if it cannot start."""
    forget()
    settings = loaded.settings
    data_dir = (settings.data_dir / "demo" if wish.demo else settings.data_dir).absolute()
    make_writable(settings.data_dir)
    make_writable(data_dir)
    with FolderLock(data_dir) as lock:
        configure(settings.log, data_dir, "tickbridge")
        plan = Plan(
            settings=settings,
            file=loaded.file,
            texts=options_as_texts(sets),
            data_dir=data_dir,
            ports=find_ports(settings, wish),
            lan=wish.lan,
            demo=wish.demo,
            seed=wish.seed,
            lock_fd=lock.fd,
        )
        return asyncio.run(_live(_with_users(plan)))


def find_ports(settings: Settings, wish: Wish) -> Ports:
    """The usual ports, or free ones near them; a line is logged for each that was taken."""
    host = EVERYWHERE if wish.lan else LOOPBACK
    taken: set[int] = set()
    wished = {
        "MQTT": settings.broker.port,
        "websockets": settings.dashboard.mqtt_websocket_port,
        "page": settings.dashboard.port,
    }
    if settings.dashboard.cert_file is not None:
        wished["MQTT over TLS"] = MQTTS
    found = {name: choose(host, port, taken) for name, port in wished.items()}
    for line in moved(wished, found):
        log.warning("%s", line)
    simulated = (choose(LOOPBACK, 0, taken), choose(LOOPBACK, 0, taken)) if wish.demo else (0, 0)
    return Ports(found["MQTT"], found["websockets"], found["page"], *simulated, found.get("MQTT over TLS", 0))


def _with_users(plan: Plan) -> Plan:
    folder = plan.data_dir / PLACE
    if not Users(folder).tag_file.exists():
        # the recorder gets another client id: its session is a new one, and waited for as on the very first start
        (plan.data_dir / RECORDER_SESSION).unlink(missing_ok=True)
    users = make_users(folder)
    secrets = {name: users.file(name) for name in ("bridge", "dashboard", PAGE)}
    return replace(plan, secrets=secrets, tag=users.tag, guest=users.password(GUEST))


async def _live(plan: Plan) -> int:
    supervisor = Supervisor(plan.data_dir)
    _obey_signals(supervisor)
    try:
        await _start(plan, supervisor)
        return await supervisor.watch()
    finally:
        await supervisor.stop_all(STOP_ORDER)


def _obey_signals(supervisor: Supervisor) -> None:
    def ask() -> None:
        if supervisor.stop.is_set():
            supervisor.kill_all()
        else:
            log.info("stopping")
            supervisor.stop.set()

    # nohup and systemd's like have SIGHUP ignored, and so it stays
    wanted = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    for number in wanted:
        asyncio.get_running_loop().add_signal_handler(number, ask)


async def _start(plan: Plan, supervisor: Supervisor) -> None:
    plan, mosquitto = await _start_broker(plan, supervisor)
    if supervisor.stop.is_set():
        return
    if plan.demo:
        simulator = supervisor.start(plans.simulator(plan))
        await supervisor.listening(simulator, LOOPBACK, (plan.ports.kucoin, plan.ports.binance), READY_S)
    flag = plan.data_dir / RECORDER_SESSION
    known = touched(flag)
    if not known:
        from bridge.up.old_session import forget_session  # noqa: PLC0415 - 0.1 s, and mostly not needed

        await forget_session(plan, f"{plan.settings.instance}-recorder")
    supervisor.also(_save_when_asked(plan.data_dir, mosquitto), "save when asked")
    page = supervisor.start(plans.dashboard(plan))
    if plan.settings.history.enabled and not known:
        await _appears(flag, page, supervisor)
    if supervisor.stop.is_set():
        return
    supervisor.start(plans.bridge(plan))
    if not await supervisor.listening(page, LOOPBACK, (plan.ports.page,), READY_S):
        log.warning("the page does not answer yet")
    if not supervisor.stop.is_set():
        file = plans.page_password(plan)
        told = None if file is None else log_in(file, sys.stdout)
        sys.stdout.write(welcome(plan, lan_address() if plan.lan else None, told) + "\n")
        sys.stdout.flush()


def log_in(file: Path, output: TextIO) -> str:
    """The password for a person at a terminal; elsewhere, where it would stay in a log, only its file."""
    return file.read_text(encoding="utf-8").strip() if output.isatty() else f"in {file}"


async def _start_broker(plan: Plan, supervisor: Supervisor) -> tuple[Plan, Child]:
    """Another program may take a port between our look and Mosquitto's: then other ports."""
    for _ in range(PORT_TRIES):
        command = (find_program("mosquitto"), "-c", str(prepare(plan)))
        sign = BrokerSign(LOOPBACK, plan.ports.mqtt, GUEST, plan.guest)
        child = supervisor.start(plans.broker(plan, command), sign)
        ports = (plan.ports.mqtt, plan.ports.websocket)
        if await supervisor.listening(child, LOOPBACK, ports, READY_S) or supervisor.stop.is_set():
            return plan, child
        words = " ".join(child.last_words) or "it said nothing"
        await supervisor.drop(child)
        if "in use" not in words:
            break
        wish = Wish(plan.lan, plan.demo, plan.seed)
        plan = replace(plan, ports=find_ports(plan.settings, wish))
    raise TickbridgeError(f"mosquitto does not start: {words[-300:]}")


async def _appears(flag: Path, page: Child, supervisor: Supervisor) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(FIRST_SESSION_S):
            while not touched(flag) and page.last_exit is None and not supervisor.stop.is_set():
                await asyncio.sleep(FLAG_POLL_S)


async def _save_when_asked(folder: Path, mosquitto: Child) -> None:
    """Mosquitto keeps what is new only in memory until its next save: some of it must be on the disk at once."""
    seen = [touched(folder / flag) for flag in FLAGS]
    while True:
        await asyncio.sleep(FLAG_POLL_S)
        if (now := [touched(folder / flag) for flag in FLAGS]) != seen:
            seen = now
            mosquitto.signal(signal.SIGUSR1)
