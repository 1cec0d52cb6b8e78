"""What was heard and answered, judged: one finding a part, a problem with its cure. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct, field

from bridge.topics import Topics

WELL = ("online", "quiet")
PROVEN = ("complete", "repairing")
"""States of the audit's proof that need nobody's help."""
SHOWN = 200


class Heard(Struct):
    """What the broker told since we listen: the newest of each state, and which of them were said just now."""

    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)
    priced: set[str] = field(default_factory=set)
    """Exchanges of which a price was told just now."""


class Finding(Struct, frozen=True, omit_defaults=True):
    """One part looked at. `cure`: what to do about it, where it is not well."""

    what: str
    ok: bool
    told: str
    cure: str = ""

    def line(self) -> str:
        """As a person reads it."""
        cure = f"{' ' if self.told.endswith('?') else ': '}{self.cure}" if self.cure else ""
        return f"{'ok' if self.ok else 'wrong':<6} {self.what:<12} {self.told}{cure}"


def wrong(what: str, told: str, cure: str = "") -> Finding:
    return Finding(what, False, " ".join(told.split())[:SHOWN], cure)


def bridge(heard: Heard, names: Topics) -> Finding:
    """The bridge itself, by its own health and the broker's will for it."""
    topic = names.health("bridge")
    told = heard.states.get(topic, {})
    status = str(told.get("status", "nothing was heard of it"))
    if topic not in heard.live or status != "online":
        told_last = status if status != "online" else "it says nothing any more; it was online"
        return wrong("bridge", told_last, "start it; its log says why it ended or what it waits for")
    for what, problem, cure in _bridge_problems(told):
        if problem:
            return wrong("bridge", f"{what}: {problem}", cure)
    return Finding("bridge", True, f"online, version {told.get('version', 'unknown')}")


def _bridge_problems(told: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    refused = told.get("refused") or {}
    yield "stuck", ", ".join(map(str, told.get("stuck") or ())), "start it anew, and tell us what its log says"
    yield (
        "clock",
        str(told.get("clock_waits") or told.get("clock", "")),
        "nothing is stored until the system's clock is right: see timedatectl",
    )
    yield "ledger", str(told.get("store") or ""), "its log says more"
    yield "the broker refuses", ", ".join(f"{root}/" for root in refused), "see the broker's acl"


def put_aside(told: Mapping[str, Any], whose: str) -> list[Finding]:
    """Damaged files that were put aside, oldest first: no fault any more, but said until they are gone."""
    names = [str(name) for name in told.get("put_aside") or ()]
    if not names:
        return []
    cure = "save what can be saved (docs/operations.md), then remove"
    said = f"{len(names)} damaged of the {whose}'s, last {names[-1]}: {cure}"
    return [Finding("put aside", True, said[:SHOWN])]


def exchange(name: str, heard: Heard, names: Topics, *, may_fail: bool) -> Finding:
    """One exchange: its prices come, or it says truthfully why they do not; `may_fail`: that is enough."""
    topic = names.health(name)
    told = heard.states.get(topic, {})
    status, reason = str(told.get("status", "")), str(told.get("reason", ""))
    if topic not in heard.live or not status:
        return wrong(name, "nothing is heard of its feed", "see the bridge's log")
    if status not in WELL:
        said = f"{status}: {reason}" if reason else status
        if may_fail:
            return Finding(name, True, f"{said} (which may be)"[:SHOWN])
        asked = "" if "?" in reason else "; is there an internet connection?"
        return wrong(name, said, f"it is tried again by itself{asked}")
    if name not in heard.priced:
        return wrong(name, f"{status}, but no price is published", "see the bridge's log")
    return Finding(name, True, f"{status}, {told.get('symbols', 0)} symbols")


def page(told: Mapping[str, Any], *, proof_may_wait: bool = False) -> list[Finding]:
    """The page and what it says of its store; `proof_may_wait`: a proof that has only begun is enough."""
    store, broker = str(told.get("store", "")), str(told.get("broker", ""))
    soon = str(told.get("certificate", ""))
    found = [Finding("page", True, f"answers; {soon}"[:SHOWN] if soon else "answers")]
    if broker != "ok":
        found = [wrong("page", f"the broker is {broker}", "see the dashboard's settings of the broker, and its log")]
    if store not in ("ok", "off"):
        return [*found, wrong("history", store, "see the dashboard's log")]
    return [*found, _history(told, store, proof_may_wait), *put_aside(told, "dashboard")]


def _history(told: Mapping[str, Any], store: str, may_wait: bool) -> Finding:
    proof = str(told.get("proof", ""))
    if store == "off" or not proof:
        return Finding("history", True, "switched off" if store == "off" else "is written; the audit is switched off")
    if proof in PROVEN:
        return Finding("history", True, f"the proof is {proof}")
    if proof == "starting" and may_wait:
        return Finding("history", True, "its store answers, the proof is starting (which may be)")
    cures = {
        "starting": "the audit has just begun: ask again in half a minute, or --wait 60",
        "waiting": "the audit waits for the bridge's answers",
        "late": "the store is behind what was published: see who writes it",
    }
    return wrong("history", f"the proof is {proof}", cures.get(proof, "see /api/v1/health"))
