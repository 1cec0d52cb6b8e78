"""The same checks for every exchange. A new exchange brings a folder of frames, no test code.

frames/<exchange>/<case>.in is a frame as documented or recorded, <case>.out the outcomes as JSON lines.
`python -m tests.exchanges.test_contract` writes the missing .out files; read them before you commit them.
"""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import FeedLost, FrameError
from bridge.events import Channel, Trade
from bridge.exchanges import EXCHANGES
from bridge.exchanges.base import Catalogue, Exchange, Fetch, Hosts, Outcome, TradesFrom
from bridge.numbers import number
from bridge.told import trade_key

FRAMES = Path(__file__).parent / "frames"
CASES = [(path.parent.name, path.stem) for path in sorted(FRAMES.glob("*/*.in"))]
REST_CASES = [(path.parent.parent.name, path.stem) for path in sorted(FRAMES.glob("*/rest/*.in"))]
RECEIVED_NS = 1_800_000_000_000_000_000
EVERY_CHANNEL = frozenset(Channel)


def make(name: str, *, whole: bool = False) -> Exchange:
    kind = EXCHANGES[name]
    instruments, _ = kind.read_catalogue((FRAMES / name / "catalogue.json").read_bytes())
    return kind(Catalogue(instruments), EVERY_CHANNEL, whole=whole)


def read_rest(name: str, case: str) -> Sequence[Outcome]:
    """What the exchange makes of an answer: `trades…` or `candles…`, of the first symbol of its catalogue."""
    exchange, answer = make(name), (FRAMES / name / "rest" / f"{case}.in").read_bytes()
    symbol = next(iter(exchange.catalogue.by_symbol))
    if case.startswith("trades"):
        return exchange.read_trades(symbol, answer, RECEIVED_NS)
    return exchange.read_candles(symbol, "1m", answer, RECEIVED_NS)


def told(outcomes: Sequence[Outcome]) -> str:
    return "".join(
        msgspec.json.encode({"is": type(one).__name__, **msgspec.to_builtins(one)}).decode() + "\n" for one in outcomes
    )


@pytest.mark.parametrize(("name", "case"), CASES)
def test_a_documented_frame_gives_its_outcomes(name: str, case: str) -> None:
    frame = (FRAMES / name / f"{case}.in").read_bytes().strip()
    assert told(make(name).receive(frame, RECEIVED_NS)) == (FRAMES / name / f"{case}.out").read_text()


@pytest.mark.parametrize(("name", "case"), REST_CASES)
def test_a_documented_rest_answer_gives_its_rows(name: str, case: str) -> None:
    assert told(read_rest(name, case)) == (FRAMES / name / "rest" / f"{case}.out").read_text()


@pytest.mark.parametrize("name", EXCHANGES)
def test_every_exchange_has_a_rest_answer_with_trades_and_one_with_candles(name: str) -> None:
    assert {case for other, case in REST_CASES if other == name} >= {"trades", "candles"}


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_trade_told_by_rest_has_the_ids_and_the_key_of_the_live_one(name: str) -> None:
    live = [one for _, one in _live_trades(name)]
    by_rest = {one.id: one for one in read_rest(name, "trades") if isinstance(one, Trade)}
    both = [(one, by_rest[one.id]) for one in live if one.id in by_rest]
    assert both, "rest/trades.in tells none of the trades that the recorded frames tell"
    for one, other in both:
        assert (one.number, one.side, one.price, one.size) == (other.number, other.side, other.price, other.size)
        assert trade_key(one) == trade_key(other)


@pytest.mark.parametrize("name", EXCHANGES)
def test_every_exchange_has_a_frame_of_each_channel_it_offers(name: str) -> None:
    outcomes = "".join(path.read_text() for path in (FRAMES / name).glob("*.out"))
    kinds = {Channel.TICKER: "Tick", Channel.STATS: "Stats", Channel.TRADES: "Trade", Channel.CANDLES: "Candle"}
    for channel in EXCHANGES[name].channels:
        assert f'"is":"{kinds[channel]}"' in outcomes


@pytest.mark.parametrize("name", EXCHANGES)
def test_subscriptions_are_json_and_keep_the_limits(name: str) -> None:
    exchange = make(name)
    symbols = list(exchange.catalogue.by_symbol)
    for text in exchange.subscribe(symbols) + exchange.unsubscribe(symbols):
        assert isinstance(msgspec.json.decode(text), dict)
    assert exchange.topics_per_symbol(exchange.channels) <= exchange.limits.topics_per_line


@pytest.mark.parametrize("name", EXCHANGES)
def test_the_catalogue_has_usable_symbols_and_steps(name: str) -> None:
    for one in make(name).catalogue.by_symbol.values():
        assert one.symbol == f"{one.base}-{one.quote}"
        assert one.price_step is None or float(number(one.price_step)) > 0


@pytest.mark.parametrize("name", EXCHANGES)
def test_rest_requests_go_to_the_configured_host(name: str) -> None:
    kind = EXCHANGES[name]
    exchange = kind(make(name).catalogue, EVERY_CHANNEL, hosts=Hosts(rest="http://127.0.0.1:1", ws="ws://127.0.0.1:1"))
    symbol = next(iter(exchange.catalogue.by_symbol))
    requests = [
        exchange.look(symbol).request,
        exchange.candles_request(symbol, "1m", 0, 60_000_000_000),
        exchange.trades_request(symbol, TradesFrom()),
        exchange.trades_request(symbol, TradesFrom(number=5)),
        exchange.trades_request(symbol, TradesFrom(since_ns=0)),
        kind.catalogue_request(exchange.at),
    ]
    assert all(request.url.startswith("http://127.0.0.1:1/") for request in requests)


@pytest.mark.parametrize("name", EXCHANGES)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_frames_are_read_or_refused_but_never_crash(name: str, data: st.DataObject) -> None:
    exchange = make(name)
    frames = [path.read_bytes().strip() for path in sorted((FRAMES / name).glob("*.in"))]
    frame = bytearray(data.draw(st.sampled_from(frames)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(frame) - 1))
        damage = data.draw(st.sampled_from(["cut", "byte", "drop", "double"]))
        if damage == "cut":
            frame = frame[: max(at, 1)]
        elif damage == "byte":
            frame[at] = data.draw(st.integers(0, 255))
        elif damage == "drop" and len(frame) > 1:
            del frame[at]
        else:
            frame[at:at] = frame[at : at + 8]
    _read_or_refused(exchange, bytes(frame))


@pytest.mark.parametrize("name", EXCHANGES)
@settings(max_examples=150, deadline=None)
@given(frame=st.binary(max_size=300))
def test_any_bytes_at_all_give_outcomes_or_a_frame_error(name: str, frame: bytes) -> None:
    _read_or_refused(make(name), frame)


@pytest.mark.parametrize("name", EXCHANGES)
@settings(max_examples=100, deadline=None)
@given(answer=st.one_of(st.binary(max_size=200), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
).map(msgspec.json.encode)))  # fmt: skip
def test_any_rest_answer_gives_values_or_an_expected_error(name: str, answer: bytes) -> None:
    exchange = make(name)
    symbol = next(iter(exchange.catalogue.by_symbol))
    readers = (
        lambda: exchange.read_catalogue(answer),
        lambda: exchange.read_candles(symbol, "1m", answer, RECEIVED_NS),
        lambda: exchange.read_trades(symbol, answer, RECEIVED_NS),
        lambda: exchange.fetched(exchange.look(symbol), answer, RECEIVED_NS),
    )
    for reader in readers:
        with contextlib.suppress(FrameError, FeedLost):
            reader()


@pytest.mark.parametrize(("name", "case"), REST_CASES)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_damaged_rest_answers_are_read_or_refused_but_never_crash(name: str, case: str, data: st.DataObject) -> None:
    answer = bytearray((FRAMES / name / "rest" / f"{case}.in").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        answer[data.draw(st.integers(0, len(answer) - 1))] = data.draw(st.integers(0, 255))
    exchange = make(name)
    symbol = next(iter(exchange.catalogue.by_symbol))
    for reader in (exchange.read_trades, lambda *told: exchange.read_candles(told[0], "1m", *told[1:])):
        with contextlib.suppress(FrameError, FeedLost):
            reader(symbol, bytes(answer), RECEIVED_NS)


def _live_trades(name: str) -> list[tuple[str, Trade]]:
    found = []
    for path in sorted((FRAMES / name).glob("*.in")):
        with contextlib.suppress(FrameError):
            outcomes = make(name).receive(path.read_bytes().strip(), RECEIVED_NS)
            found += [(path.stem, one) for one in outcomes if isinstance(one, Trade)]
    return found


def _read_or_refused(exchange: Exchange, frame: bytes) -> None:
    try:
        outcomes = exchange.receive(frame, RECEIVED_NS)
    except FrameError:
        return
    assert all(isinstance(one, Outcome | Fetch) for one in outcomes)


if __name__ == "__main__":
    for name, case in CASES:
        path = FRAMES / name / f"{case}.out"
        if not path.exists():
            path.write_text(told(make(name).receive((FRAMES / name / f"{case}.in").read_bytes().strip(), RECEIVED_NS)))
            sys.stdout.write(f"{path}\n{path.read_text()}")
    for name, case in REST_CASES:
        path = FRAMES / name / "rest" / f"{case}.out"
        if not path.exists():
            path.write_text(told(read_rest(name, case)))
            sys.stdout.write(f"{path}\n{path.read_text()}")
