from bridge.events import Channel, Tick
from bridge.exchanges.base import Look
from bridge.feed import Feed
from bridge.freshness import ANSWER_NS, UNHEARD_LOOK_NS
from bridge.looks import Looks
from bridge.outbox import Outbox
from bridge.streams import Streams
from bridge.topics import Topics
from tests.exchanges.test_contract import make

S = 1_000_000_000
NOW = 1_800_000_000 * S
SYMBOLS = ["BTC-USDT", "ETH-USDT", "MOG-USDT"]
QUIET = UNHEARD_LOOK_NS + S


def tick(symbol: str, price: str = "10", seq: int = 5) -> Tick:
    return Tick(symbol, NOW, price, "1", NOW, "9", "1", "11", "1", seq)


def desk(per_minute: int = 6) -> tuple[Feed, Looks]:
    streams = Streams(Outbox(10_000_000, 90), lambda: None)
    streams.begin(NOW // 1_000_000)
    feed = Feed("kucoin", Topics(), streams, lambda state: None)
    feed.line_up(SYMBOLS, frozenset(Channel), 0)
    return feed, Looks(feed, per_minute)


def asked(looks: Looks, mono_ns: int) -> list[str]:
    return [fetch.symbols[0] for fetch in looks.due(make("kucoin"), SYMBOLS, mono_ns)]


def test_what_is_unheard_on_a_new_line_is_looked_at_and_told_by_rest() -> None:
    feed, looks = desk()
    assert asked(looks, QUIET) == SYMBOLS
    assert not looks.contradicts(Look(tick("BTC-USDT")), QUIET + 1)
    assert feed.series["BTC-USDT"].stale is None
    assert feed.series["BTC-USDT"].last == tick("BTC-USDT")


def test_every_symbol_has_its_turn_within_the_budget() -> None:
    _, looks = desk(per_minute=1)
    turns = [asked(looks, QUIET + k * 61 * S) for k in range(3)]
    assert sorted(symbol for turn in turns for symbol in turn) == SYMBOLS


def test_an_unanswered_look_makes_stale_and_is_tried_again() -> None:
    feed, looks = desk()
    asked(looks, QUIET)
    again = asked(looks, QUIET + ANSWER_NS + 62 * S)
    assert feed.series["BTC-USDT"].stale
    assert again == SYMBOLS


def test_an_agreeing_look_makes_fresh_again() -> None:
    feed, looks = desk()
    feed.deliver([tick("BTC-USDT")], 0)
    feed.mark_stale("BTC-USDT", "unexplained", 1)
    asked(looks, 3600 * S)
    assert not looks.contradicts(Look(tick("BTC-USDT")), 3600 * S + 1)
    assert feed.series["BTC-USDT"].stale is None


def test_a_line_that_forgot_a_symbol_is_found_out() -> None:
    feed, looks = desk()
    asked(looks, QUIET)
    looks.contradicts(Look(tick("BTC-USDT")), QUIET + 1)
    asked(looks, QUIET + 70 * S)
    assert looks.contradicts(Look(tick("BTC-USDT", "12", 9)), QUIET + 71 * S)
    assert feed.series["BTC-USDT"].stale


def test_an_answer_that_comes_after_the_symbol_spoke_is_left_aside() -> None:
    feed, looks = desk()
    feed.deliver([tick("BTC-USDT")], 0)
    asked(looks, 3600 * S)
    feed.deliver([tick("BTC-USDT", "12", 9)], 3600 * S + 1)
    assert not looks.contradicts(Look(tick("BTC-USDT", "11", 7)), 3600 * S + 2)
    assert feed.series["BTC-USDT"].stale is None
