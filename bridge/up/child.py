"""One child process: started, listened to, restarted with backoff when it dies or hangs, stopped in time."""

import asyncio
import ctypes
import logging
import os
import re
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from bridge.logs import level_of
from bridge.up.lifesign import Sign

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
EARNED_S = 60.0
"""Who lived this long is restarted at once again."""
MAX_LINE = 64 * 1024
NOT_STARTED = 126
"""The exit code of a process that the system could not make; a shell gives the same."""
LAST_LINES_S = 0.5
"""After its end, so long is waited for what it still had to say."""
_PR_SET_PDEATHSIG = 1
_PRIORITY = re.compile(r"<([0-7])>")
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d|\d{10,}): ")
"""Mosquitto's own time before each line, in seconds until it has read its configuration; `up` writes one itself."""
_WORDS = (("Error:", logging.ERROR), ("Warning:", logging.WARNING))
"""How Mosquitto marks its lines."""


@dataclass(frozen=True)
class Recipe:
    """How a child is started. `log_level`: of lines without a priority; `final_codes`: exits that no restart cures.

    `watched`: it gives signs of life, and is killed when they stop.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    log_level: int = logging.INFO
    keep_fds: tuple[int, ...] = ()
    final_codes: frozenset[int] = frozenset()
    watched: bool = False


class Child:
    """Keeps one process running. `changed` is called after every change of its state."""

    def __init__(self, recipe: Recipe, changed: Callable[[], None], sign: Sign | None = None) -> None:
        self.recipe = recipe
        self.name = recipe.name
        self.restarts = 0
        self.hangs = 0
        self.last_exit: int | None = None
        self.since_ns = time.time_ns()
        self.last_words: deque[str] = deque(maxlen=5)
        self.exited = asyncio.Event()
        self._changed = changed
        self._sign = sign
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._over = asyncio.Event()
        self._over.set()

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def stopping(self) -> bool:
        """Whether its end is wanted."""
        return self._stopping.is_set()

    async def keep(self) -> int:
        """Run it until `stop`, or until it ends with a final code; returns the last exit code.

        Raises OSError if its first start fails: a program is missing then, and no restart brings it.
        """
        self._over.clear()
        try:
            return await self._keep()
        finally:
            self._over.set()

    async def _keep(self) -> int:
        pause_s = FIRST_PAUSE_S
        code = 0
        while not self.stopping:
            began = time.monotonic()
            code = await self._run_if_it_can()
            if self.stopping or code in self.recipe.final_codes:
                return code
            if time.monotonic() - began >= EARNED_S:
                pause_s = FIRST_PAUSE_S
            log.warning("%s ended (%s): started again in %.0f s", self.name, ending(code), pause_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
                return code
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
            self.restarts += 1
        return code

    async def _run_if_it_can(self) -> int:
        try:
            return await self._run()
        except OSError as error:
            if self.last_exit is None:
                raise
            log.warning("%s cannot be started: %s", self.name, error)  # no memory for the moment, say: it may pass
            return NOT_STARTED

    async def _run(self) -> int:
        """Run it once; returns its exit code (negative: the signal that ended it)."""
        process = self._process = await self._start()
        if self.stopping:  # it was asked for while there was no process to ask
            process.kill()
        self.exited.clear()
        self._tell()
        listening = asyncio.create_task(self._listen(process))
        watching = asyncio.create_task(self._watch(process))
        try:
            self.last_exit = await process.wait()
            await asyncio.wait([listening], timeout=LAST_LINES_S)
        finally:
            watching.cancel()
            listening.cancel()
            if process.returncode is None:
                process.kill()
        self.exited.set()
        self._tell()
        return self.last_exit

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self.recipe.command,
            env={**os.environ, **self.recipe.environment, **(self._sign.environment if self._sign else {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=MAX_LINE,
            pass_fds=self.recipe.keep_fds,
            process_group=0,  # Ctrl-C in the terminal then reaches only us, and we stop the children in order
            preexec_fn=die_with(os.getpid()),
        )

    async def stop(self, within_s: float) -> None:
        """Ask it to end; after `within_s` it is killed."""
        self._stopping.set()
        self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._over.wait(), max(within_s, 0.05))
        except TimeoutError:
            log.warning("%s did not stop within %.1f s: killed", self.name, within_s)
            self.signal(signal.SIGKILL)
            await self._over.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):  # it ended a moment ago
                self._process.send_signal(number)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Kill it when it hangs: who is stopped or stuck obeys no SIGTERM. What was not sent yet becomes a gap."""
        if self._sign is None:
            return
        try:
            silent_s = await self._sign.lost()
        except Exception:  # ours is at fault, and the child may be well: it lives on, unwatched
            log.exception("%s: nobody sees any more whether it hangs, until it is started again", self.name)
            return
        self.hangs += 1
        log.error("%s hangs (no sign of life for %.0f s, its hang no. %d): killed", self.name, silent_s, self.hangs)
        with suppress(ProcessLookupError):  # it ended a moment ago
            process.kill()

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        """Pass its lines on. A line that never ends is cut, not kept."""
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readuntil(b"\n")
            except asyncio.IncompleteReadError as error:
                if error.partial:
                    self._pass_on(error.partial)
                return
            except asyncio.LimitOverrunError as error:
                line = await process.stdout.readexactly(error.consumed or MAX_LINE)
            self._pass_on(line)

    def _pass_on(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        level = next((level for word, level in _WORDS if word in text), self.recipe.log_level)
        if found := _PRIORITY.match(text):
            level, text = level_of(int(found[1])), text[found.end() :]
        if stamp := _STAMP.match(text):
            text = text[stamp.end() :]
        if text:
            self.last_words.append(text)
            logging.getLogger(self.name).log(level, "%s", text)

    def _tell(self) -> None:
        self.since_ns = time.time_ns()
        self._changed()


def ending(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def die_with(parent: int) -> Callable[[], None] | None:
    """What a new process does before it becomes the child: ask Linux for SIGTERM when the parent dies, however."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)

    return prepare
