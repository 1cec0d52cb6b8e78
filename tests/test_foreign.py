"""Whatever an exchange sends, the way to the outbox, to the states and to health never breaks, and stays JSON."""

import json
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.errors import FeedLost, FrameError
from bridge.exchanges import EXCHANGES
from bridge.feed import Feed
from bridge.health import feed_health, feed_status
from bridge.line import Line, open_line, refusal
from bridge.outbox import Outbox
from bridge.streams import Streams
from bridge.topics import State, Topics, catalogue
from tests.exchanges.test_contract import FRAMES, make

NOW = 1_790_984_040_000_000_000
ODD = ["", "0", "-1", "nan", "1e400", "1_0", "9" * 60, "9" * 400, ".5", "x", "1,2", "²", "null", "true", "-0", "1e5"]


def _deliver(name: str, frame: bytes) -> list[bytes]:
    """Everything that is published of a frame; raises for whatever is not expected."""
    outbox = Outbox(10_000_000, 90)
    streams = Streams(outbox, lambda: None)
    streams.begin(NOW // 1_000_000)
    states: list[State] = []
    feed = Feed(name, Topics(), streams, states.append)
    exchange = make(name)
    for k in range(2):
        try:
            outcomes = exchange.receive(frame, NOW + k)
        except FrameError:
            continue
        feed.deliver(outcomes, 10**15 + k)
    feed.flush(10**15 + 10**12)
    feed.tend(NOW, 10**15 + 2 * 10**12)
    feed_health(feed, feed_status(feed, []), {})
    rendered = [state.render(NOW) for state in states]
    return [entry[1] for entry in outbox.take(1000)] + [payload for payload in rendered if payload is not None]


@pytest.mark.parametrize("name", EXCHANGES)
@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_odd_values_anywhere_in_a_frame_end_as_json_or_as_an_error_entry(name: str, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted((FRAMES / name).glob("*.in"))))
    text = path.read_text().strip()
    values = list(re.finditer(r'(?<=[:\[,])(?:"[^"]*"|-?[0-9.]+|true|false|null)', text))
    for _ in range(data.draw(st.integers(1, 3))):
        found = data.draw(st.sampled_from(values))
        odd = data.draw(st.sampled_from(ODD))
        quoted = data.draw(st.booleans())
        text = text[: found.start()] + (json.dumps(odd) if quoted else odd or '""') + text[found.end() :]
        values = list(re.finditer(r'(?<=[:\[,])(?:"[^"]*"|-?[0-9.]+|true|false|null)', text)) or values
    for payload in _deliver(name, text.encode()):
        assert len(payload) < 10_000
        told = json.loads(payload, parse_constant=_no_constant)
        assert all(-(2**63) <= one < 2**63 for one in told.values() if isinstance(one, int))


def _no_constant(text: str) -> None:
    raise AssertionError(f"{text} is no JSON")


@pytest.mark.parametrize("name", EXCHANGES)
@settings(max_examples=100, deadline=None)
@given(odd=st.sampled_from(ODD))
@example(odd="")
def test_odd_steps_in_a_catalogue_cost_the_step_only(name: str, odd: str) -> None:
    kind = EXCHANGES[name]
    text = (FRAMES / name / "catalogue.json").read_text()
    text = re.sub(r'("(?:priceIncrement|tickSize|stepSize)": )"[^"]*"', lambda m: m[1] + json.dumps(odd), text)
    instruments, _ = kind.read_catalogue(text.encode())
    assert instruments
    json.loads(catalogue(instruments, NOW))


@pytest.mark.parametrize("header", ["²", "9" * 400, "-1", "soon", "", "1e9"])
def test_an_odd_retry_after_silences_no_feed(header: str) -> None:
    assert (getattr(refusal(429, header), "retry_after_s", None) or 0) <= 3600


@pytest.mark.parametrize("endpoint", ["ws://h:99999", "ws://h:abc", "wss://[::1", "", "http://x"])
async def test_an_address_that_is_none_is_a_lost_line(endpoint: str) -> None:
    with pytest.raises(FeedLost):
        await open_line(endpoint, Line(lambda frame: None, lambda: None, 1000), 1.0, 1000)
