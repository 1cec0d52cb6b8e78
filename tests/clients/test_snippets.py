"""What docs/clients.md shows: nothing that is not run, and no topic that the bridge does not have."""

import pytest

from bridge.topics import STATE_ROOTS, STREAM_LEVELS
from tests.clients.snippets import FLOW, PAGE, blocks, topics

LEVELS = dict.fromkeys(STATE_ROOTS, (1, 2, 3)) | dict(STREAM_LEVELS)
RUN = {
    "test_clients.py": {"~/.config/mosquitto_sub", "sh", "now.sh", "price.sh", "online.sh", "prices.py", "show.mjs"},
    "test_browser.py": {"price.mjs", "index.html"},
    "test_http.py": {"latest.sh"},
    "test_esphome.py": {"bitcoin.yaml", "tickbridge.toml"},
}


def test_every_block_is_run_by_a_test() -> None:
    assert set(blocks()) == {name for names in RUN.values() for name in names}


@pytest.mark.parametrize("path", [PAGE, FLOW], ids=lambda path: path.name)
def test_every_topic_is_one_of_the_bridges(path: object) -> None:
    named = topics(path.read_text(encoding="utf-8"))  # type: ignore[attr-defined]
    assert named
    for topic in named:
        root, *rest = topic.split("/")
        assert root in LEVELS, topic
        assert "#" in rest or len(rest) in LEVELS[root], topic


def test_the_example_python_is_short() -> None:
    assert len(blocks()["prices.py"].splitlines()) < 40
