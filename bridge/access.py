"""Who may do what at the broker, told once. Pure.

mosquitto/acl says the same in Mosquitto's words and docs/security.md in people's; tests hold both, and what a real
Mosquitto delivers, against this table. Patterns are written as in mosquitto/acl: `${prefix}` is the setting `prefix`,
`${discovery}` the root of Home Assistant's discovery, `${birth}` where Home Assistant tells that it starts; a
user's role stands for its name.
"""

from collections.abc import Mapping
from typing import Literal

from bridge.topics import ANSWER_ROOT, REQUESTS, STATE_ROOTS, STREAM_ROOTS

Right = Literal["read", "write", "readwrite"]
Rights = Mapping[str, Right]

ROOTS = (*STREAM_ROOTS, *STATE_ROOTS)
"""Everything that is published."""
STORED = (*STREAM_ROOTS, "latest", "stats", "health", "catalogue")
"""What Telegraf can bring into a store: `latest` where its user wants one row a second instead of every tick."""
FETCHING = ("backfill", "cancel")
"""Requests that make the bridge fetch from an exchange, or stop that."""
BIRTH, CONFIG = "${birth}", "${discovery}/device/+/config"


def _each(right: Right, *roots: str) -> dict[str, Right]:
    return {f"${{prefix}}{root}/#": right for root in roots}


def _may_ask(role: str, *requests: str) -> dict[str, Right]:
    """Ask, and read the answers to one's own questions; a split bridge's requests end in its number."""
    asked = _each("write", *(f"tickbridge/request/{what}" for what in requests))
    return asked | _each("read", f"{ANSWER_ROOT}${{{role}}}")


ACCESS: Mapping[str, Rights] = {
    # it reads what it published, too: its marker and health, and what `tickbridge` has to clear away
    "bridge": _each("readwrite", *ROOTS, "tickbridge") | {CONFIG: "readwrite", BIRTH: "read"},
    "dashboard": _each("read", *ROOTS) | _may_ask("dashboard", *(one for one in REQUESTS if one not in FETCHING)),
    "telegraf": _each("read", *STORED),
    "homeassistant": _each("read", *ROOTS) | {"${discovery}/#": "read", BIRTH: "readwrite"},
    "operator": _each("read", *ROOTS) | _may_ask("operator", *REQUESTS),
    "guest": _each("read", *ROOTS),
}
"""What is not named here nobody may do; whoever gives no name is not let in."""
USERS = tuple(ACCESS)
"""Everyone who has a password."""
