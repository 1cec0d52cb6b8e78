"""The flow of docs/clients/node-red.json: what Node-RED would import, and its function with fresh and old prices."""

import json
import subprocess
import time
from typing import Any

import pytest

from bridge.events import Tick
from bridge.topics import Topics, latest, tick_body
from dashboard.web.build import node_program
from tests.clients.snippets import FLOW

CORE = {"tab", "mqtt-broker", "mqtt in", "function", "switch", "change", "rbe", "trigger", "debug"}
"""All in every Node-RED: nothing to install."""
SECOND_NS = 1_000_000_000
HARNESS = """
const [source, messages] = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const shown = [];
const run = new Function("msg", "node", source);
console.log(JSON.stringify(messages.map((msg) => run(msg, { status: (told) => shown.push(told) }))));
"""


def flow() -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = json.loads(FLOW.read_text(encoding="utf-8"))
    return nodes


def node(kind: str) -> dict[str, Any]:
    (found,) = (one for one in flow() if one["type"] == kind)
    return found


def message(price: str | None = "85439.99", *, retain: bool = False, sent_s: float = 0, **more: Any) -> dict[str, Any]:
    """What Node-RED's `mqtt in` makes of a message that the bridge sent so many seconds ago."""
    now_ns = time.time_ns() - int(sent_s * SECOND_NS)
    tick = Tick("BTC-USDT", now_ns, price=price, bid="85439.9")
    payload = latest(tick_body(tick, now_ns), now_ns, now_ns, **({"stale": None} | more))
    return {
        "topic": Topics().latest("kucoin", "BTC-USDT"), "payload": json.loads(payload), "qos": 0, "retain": retain
    }  # fmt: skip


def through(*messages: dict[str, Any]) -> list[Any]:
    """What the function gives for each."""
    given = json.dumps([node("function")["func"], messages])
    done = subprocess.run(
        [node_program(), "-e", HARNESS], input=given, capture_output=True, text=True, timeout=30, check=True
    )
    answers: list[Any] = json.loads(done.stdout)
    return answers


def test_every_node_is_of_the_core_and_every_wire_leads_to_one() -> None:
    nodes = {one["id"]: one for one in flow()}
    assert len(nodes) == len(flow())
    assert {one["type"] for one in nodes.values()} == CORE
    tab = node("tab")["id"]
    for one in nodes.values():
        assert one["type"] in ("tab", "mqtt-broker") or one["z"] == tab
        assert all(target in nodes for wires in one.get("wires", []) for target in wires)
        assert len(one.get("wires", [])) == one.get("outputs", len(one.get("wires", [])))


def test_it_hears_a_topic_of_ours_and_keeps_the_meaning_of_the_retain_flag() -> None:
    heard = node("mqtt in")
    assert heard["topic"] == Topics().latest("kucoin", "BTC-USDT")
    assert (heard["broker"], heard["datatype"]) == (node("mqtt-broker")["id"], "json")
    assert heard["rap"] is False


def test_silence_is_told_after_three_heartbeats_and_each_price_begins_it_anew() -> None:
    silence = node("trigger")
    assert (silence["duration"], silence["units"], silence["extend"], silence["op2"]) == ("35", "s", True, "?")
    assert silence["id"] in node("function")["wires"][0]


@pytest.mark.real
def test_only_a_fresh_price_can_be_acted_on() -> None:
    fresh, stale, kept, removed, late, ahead, unclocked, priceless = through(
        message(),
        message(stale="kucoin: reconnecting"),
        message(retain=True),
        message() | {"payload": ""},
        message(sent_s=40),
        message(sent_s=-40),
        message(synced=False),
        message(None),
    )
    assert fresh == [{"topic": "latest/kucoin/BTC-USDT", "payload": 85439.99}, {"payload": "85439.99"}]
    assert kept is None
    assert removed is None
    assert stale == late == ahead == unclocked == priceless == [None, {"payload": "?"}]
