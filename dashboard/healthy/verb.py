"""`tickbridge healthy`: 0 if bridge and dashboard of this machine do their work, 1 with a line for each problem."""

import asyncio
import sys
import time
from collections.abc import Sequence

import msgspec
from msgspec import Struct, structs

from bridge.settings import Settings
from bridge.topics import Topics
from dashboard.audit.address import BRIDGE_FILE, FILE, beside, demo_hint
from dashboard.healthy import verdicts
from dashboard.healthy.looking import Ear, ask_page, lets_in
from dashboard.healthy.verdicts import Finding, wrong

HEAR_S = 12.0
"""Health is repeated every 10 s: who says nothing for so long says nothing."""
LOOK_S = 0.5
PARTS = ("bridge", "dashboard")


class Wish(Struct, frozen=True):
    """What was typed. `wait_s`: how long all may take to be well; `parts`: which processes belong to this machine."""

    wait_s: float = 0.0
    json: bool = False
    exchanges_may_fail: bool = False
    parts: Sequence[str] = PARTS
    typed: bool = False
    """The broker was named on the command line: then it is that one, not what the processes have left."""
    proof_may_wait: bool = False


def run(settings: Settings, wish: Wish) -> int:
    """Look, print, and say whether all is well: 0, or 1."""
    findings = asyncio.run(look(settings, wish))
    well = all(finding.ok for finding in findings)
    if wish.json:
        told = {"ok": well, "checks": findings}
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
    else:
        sys.stdout.write("".join(f"{finding.line()}\n" for finding in findings))
    return 0 if well else 1


async def look(settings: Settings, wish: Wish) -> list[Finding]:
    """Again and again until all is well, or the time is over."""
    ways = _ways(settings, wish)
    listener = "dashboard" if "dashboard" in ways else next(iter(ways))
    ear = Ear(ways[listener])
    listening: asyncio.Task[None] | None = None
    let_in: dict[str, Finding] = {}
    until_s = time.monotonic() + max(wish.wait_s, HEAR_S)
    try:
        while True:
            users = await _users(ways, let_in)
            if listening is None and listener in let_in:
                listening = asyncio.create_task(ear.run())
            findings = await _once(settings, wish, ear, users)
            over = time.monotonic() >= until_s or (not wish.wait_s and _hopeless(findings))
            if over or all(finding.ok for finding in findings):
                return findings
            await asyncio.sleep(LOOK_S)
    finally:
        if listening is not None:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


def _ways(settings: Settings, wish: Wish) -> dict[str, Settings]:
    """With which users the broker is to be asked: those of the processes that run, else the settings'."""
    files = {"bridge": BRIDGE_FILE, "dashboard": FILE}
    near = {part: None if wish.typed else beside(settings, files[part]) for part in wish.parts}
    found = {part: way for part, way in near.items() if way is not None}
    return found or {"broker": settings}


async def _users(ways: dict[str, Settings], let_in: dict[str, Finding]) -> list[Finding]:
    """Each user is let in once."""
    found = []
    for part, way in ways.items():
        who = "broker" if len(ways) == 1 else f"{part}'s user"
        finding = let_in.get(part) or await lets_in(way, who)
        if not finding.ok and part == "broker" and (hint := demo_hint(way)):
            finding = structs.replace(finding, cure=hint)
        if finding.ok:
            let_in[part] = finding
        found.append(finding)
    return found


async def _once(settings: Settings, wish: Wish, ear: Ear, found: list[Finding]) -> list[Finding]:
    names = Topics(settings.prefix, settings.shard)
    if ear.problem:
        if all(finding.ok for finding in found):  # who is not let in hears nothing
            cure = "is health/# and latest/# allowed to this user?"
            found.append(wrong("topics", f"cannot be heard: {ear.problem}", cure))
    elif "bridge" in wish.parts:
        found.append(verdicts.bridge(ear.heard, names))
        found += verdicts.put_aside(ear.heard.states.get(names.health("bridge"), {}), "bridge")
        enabled = [name for name in type(settings.exchanges).model_fields if getattr(settings.exchanges, name).enabled]
        may_fail = wish.exchanges_may_fail
        found += [verdicts.exchange(name, ear.heard, names, may_fail=may_fail) for name in enabled]
    return [*found, *await _page(settings, wish)] if "dashboard" in wish.parts else found


async def _page(settings: Settings, wish: Wish) -> list[Finding]:
    told = await ask_page(settings)
    if isinstance(told, str):
        return [wrong("page", told, "start the dashboard; its log says why it ended")]
    return verdicts.page(told, proof_may_wait=wish.proof_may_wait)


def _hopeless(findings: Sequence[Finding]) -> bool:
    """Without the broker or the page no listening helps."""
    return any(
        not finding.ok and finding.what in ("broker", "bridge's user", "dashboard's user") for finding in findings
    )
