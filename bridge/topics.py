"""The public API: every topic's name and every payload's bytes are made here and nowhere else. Pure.

docs/topics.md describes them for users. Streams are numbered and kept (`run`, `n`); states are retained,
newest only, and mostly expire. JSON is written by hand so that numbers keep the exchange's digits.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from bridge.events import Candle, Digits, Instrument, Stats, Symbol, Tick, Trade
from bridge.numbers import number

CONTENT_TYPE = "application/json"
PLAIN_TEXT = "text/plain"
MINUTE_NS = 60_000_000_000
INTERVALS_NS: Mapping[str, int] = {
    "1m": MINUTE_NS,
    "5m": 5 * MINUTE_NS,
    "15m": 15 * MINUTE_NS,
    "30m": 30 * MINUTE_NS,
    "1h": 60 * MINUTE_NS,
    "4h": 240 * MINUTE_NS,
    "1d": 1440 * MINUTE_NS,
}
STREAM_ROOTS = ("prices", "trades", "candles", "gaps", "errors")
STREAM_LEVELS: Mapping[str, tuple[int, ...]] = {
    "prices": (2,), "trades": (2,), "candles": (3,), "gaps": (1, 2), "errors": (1, 2)
}  # fmt: skip
"""How many levels follow each stream's root; an exchange's own topics have a second one when the work is split."""
STATE_ROOTS = ("latest", "sensors", "display", "forming", "stats", "health", "catalogue", "jobs")
REQUESTS = ("ledger", "resend", "gaps", "lost", "found", "backfill", "cancel")
ANSWER_ROOT = "tickbridge/answer/"
LISTED = 50
"""The longest list in a health or gap message; the count tells the rest."""
FRAME_SHOWN = 200
MAX_TOPIC_BYTES = 1024

_json = msgspec.json.encode
_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,200}").fullmatch
"""Nearly every symbol: many times faster than a look at each character."""


class State(Struct, frozen=True):
    """One state message: `render(now_ns)` makes its payload at the moment of sending, None sends nothing.

    `expiry_s` is what the broker is told; None never expires.
    """

    topic: str
    render: Callable[[int], bytes | None]
    qos: int = 0
    retain: bool = True
    expiry_s: int | None = None
    content_type: str = CONTENT_TYPE


class Missing(Struct, omit_defaults=True):
    """Trades of one symbol that are missing: strictly between two rows, by their times and, if known, their numbers.

    `after_ns` 0: nothing is known of what was told before. `before_ns` None: up to the first live one that comes.
    """

    symbol: Symbol
    after_ns: int = 0
    before_ns: int | None = None
    after: int | None = None
    before: int | None = None


class Gap(Struct, omit_defaults=True):
    """One missing interval. `to_ns` None: it still runs. `symbols` None: all of the exchange's.

    `missing` and `short` are for the bridge and its ledger alone: where a fill has to look, and the topics of which one
    could not bring all.
    """

    id: str
    exchange: str
    channel: str
    from_ns: int
    cause: str
    state: str
    to_ns: int | None = None
    symbols: list[Symbol] | None = None
    reason: str | None = None
    expected: int | None = None
    filled: int | None = None
    lost: list[dict[str, Any]] | None = None
    missing: list[Missing] | None = None
    short: list[str] | None = None


class Trouble(Struct, frozen=True, omit_defaults=True):
    """One entry of the error table. `kind`: frame, value, symbol, clock, store or summary."""

    kind: str
    reason: str
    channel: str | None = None
    symbol: str | None = None
    frame: str | None = None


class Topics:
    """The names of all topics under one prefix, for one shard (`""` when the work is not split)."""

    def __init__(self, prefix: str = "", shard: str = "") -> None:
        self.prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        self._shard = "/" + shard.split("/", maxsplit=1)[0] if shard else ""

    def price(self, exchange: str, symbol: Symbol) -> str:
        return f"{self.prefix}prices/{exchange}/{symbol}"

    def trade(self, exchange: str, symbol: Symbol) -> str:
        return f"{self.prefix}trades/{exchange}/{symbol}"

    def candle(self, exchange: str, symbol: Symbol, interval: str) -> str:
        return f"{self.prefix}candles/{exchange}/{symbol}/{interval}"

    def latest(self, exchange: str, symbol: Symbol) -> str:
        return f"{self.prefix}latest/{exchange}/{symbol}"

    def sensor(self, exchange: str, symbol: Symbol) -> str:
        return f"{self.prefix}sensors/{exchange}/{symbol}"

    def sensors(self, exchange: str) -> str:
        """A whole exchange, or `bridge`."""
        return f"{self.prefix}sensors/{exchange}{self._shard}"

    def display(self, exchange: str, symbol: Symbol) -> str:
        return f"{self.prefix}display/{exchange}/{symbol}"

    def forming(self, exchange: str, symbol: Symbol, interval: str) -> str:
        return f"{self.prefix}forming/{exchange}/{symbol}/{interval}"

    def stats(self, exchange: str, symbol: Symbol) -> str:
        return f"{self.prefix}stats/{exchange}/{symbol}"

    def gaps(self, exchange: str) -> str:
        return f"{self.prefix}gaps/{exchange}{self._shard}"

    def errors(self, exchange: str) -> str:
        return f"{self.prefix}errors/{exchange}{self._shard}"

    def health(self, exchange: str) -> str:
        return f"{self.prefix}health/{exchange}{self._shard}"

    def catalogue(self, exchange: str) -> str:
        return f"{self.prefix}catalogue/{exchange}{self._shard}"

    def job(self, job_id: str) -> str:
        return f"{self.prefix}jobs/{job_id}"

    def marker(self, client_id: str) -> str:
        return f"{self.prefix}tickbridge/marker/{client_id}"

    def request(self, what: str) -> str:
        return f"{self.prefix}tickbridge/request/{what}{self._shard}"

    def answer_root(self) -> str:
        """Answers go only under this; anything else would publish with our rights wherever a guest points."""
        return self.prefix + ANSWER_ROOT

    def answers(self, user: str | None, asker: str) -> str:
        """Where an asker's answers come: with our access list a broker's user reads only those under its own name."""
        return self.answer_root() + (asker if user is None or symbol_problem(user) else f"{user}/{asker}")

    def parts(self, topic: str) -> tuple[str, str, Symbol | None] | None:
        """Root, exchange and symbol of a stream topic of ours (a whole exchange's has no symbol); None: any other."""
        if len(topic) > MAX_TOPIC_BYTES or not topic.startswith(self.prefix):
            return None
        root, *rest = topic.removeprefix(self.prefix).split("/")
        levels = STREAM_LEVELS.get(root, ())
        if len(rest) not in levels or any(symbol_problem(level) for level in rest):
            return None
        return root, rest[0], None if 1 in levels else rest[1]


def symbol_problem(symbol: str) -> str | None:
    """Why this symbol may not become part of a topic, or None. Only letters, digits and `-._` may."""
    if _PLAIN(symbol):
        return None
    if not symbol or len(symbol.encode("utf-8", "replace")) > MAX_TOPIC_BYTES // 4:
        return "is empty or too long for a topic"
    for char in symbol:
        if char not in "-._" and unicodedata.category(char)[0] not in "LN":
            return f"contains {char!r}, which must not be part of a topic"
    return None


# --- streams: bodies end before the mark, so that one body serves prices/ and latest/ ----------------


def tick_body(tick: Tick, time_ns: int) -> str:
    """A tick's payload up to its row's time, without the closing brace. Its numbers must be JSON numbers already."""
    price, size, seq = tick.price, tick.size, tick.seq
    both = price and tick.bid and tick.bid_size and tick.ask and tick.ask_size
    if both and size and seq and tick.price_time_ns and tick.exchange_time_ns is None:
        # the whole of KuCoin's ticker in one step: the hot path of a whole market
        return (
            f'{{"price":{price},"size":{size},"price_time_ns":{tick.price_time_ns},"bid":{tick.bid},'
            f'"bid_size":{tick.bid_size},"ask":{tick.ask},"ask_size":{tick.ask_size},"seq":{seq},"time_ns":{time_ns}'
        )
    told = '{"' if price is None else f'{{"price":{price},"'
    if size is not None:
        told += f'size":{size},"'
    if tick.price_time_ns is not None:
        told += f'price_time_ns":{tick.price_time_ns},"'
    if tick.bid is not None:
        told += f'bid":{tick.bid},"' if tick.bid_size is None else f'bid":{tick.bid},"bid_size":{tick.bid_size},"'
    if tick.ask is not None:
        told += f'ask":{tick.ask},"' if tick.ask_size is None else f'ask":{tick.ask},"ask_size":{tick.ask_size},"'
    if seq is not None:
        told += f'seq":{seq},"'
    if tick.exchange_time_ns is not None:
        told += f'exchange_time_ns":{tick.exchange_time_ns},"'
    return f'{told}time_ns":{time_ns}'


def normal(tick: Tick) -> Tick:
    """The tick with every number as a JSON number. Raises ValueError for what is none."""
    price, size, bid, bid_size, ask, ask_size = map(
        _number, (tick.price, tick.size, tick.bid, tick.bid_size, tick.ask, tick.ask_size)
    )
    times = (tick.seq, tick.exchange_time_ns)
    return Tick(tick.symbol, tick.received_ns, price, size, tick.price_time_ns, bid, bid_size, ask, ask_size, *times)


def trade_body(trade: Trade, time_ns: int) -> str:
    """A trade's payload without its mark. Raises ValueError for a bad number or side."""
    if trade.side not in ("buy", "sell"):
        raise ValueError(f"side {trade.side[:20]!r} is neither buy nor sell")
    return (
        f'{{"id":{_json(trade.id).decode()},"side":"{trade.side}","price":{number(trade.price)},"size":{number(trade.size)},'
        f'"time_ns":{time_ns},"exchange_time_ns":{trade.exchange_time_ns},"received_ns":{trade.received_ns}'
    )


def candle_body(candle: Candle) -> str:
    """A candle's payload without its mark; its row stands at its open time. Raises ValueError for a bad number."""
    return _object(
        (
            ("open", number(candle.open)),
            ("high", number(candle.high)),
            ("low", number(candle.low)),
            ("close", number(candle.close)),
            ("volume", number(candle.volume)),
            ("quote_volume", _number(candle.quote_volume)),
            ("time_ns", candle.open_ns),
            ("received_ns", candle.received_ns),
        )
    )


def numbered(body: str, run: int, n: int) -> bytes:
    """A body with the publication number of a live message."""
    return f'{body},"run":{run},"n":{n}}}'.encode()


def filled(body: str, fill: str, fill_n: int, source: str) -> bytes:
    """A body with the mark of a fill instead. `source`: rest, snapshot or correction."""
    return f'{body},"fill":"{fill}","fill_n":{fill_n},"source":"{source}"}}'.encode()


def plain(body: str) -> bytes:
    """A body as a state: no mark."""
    return f"{body}}}".encode()


def gap_fields(gap: Gap) -> dict[str, Any]:
    """What is told of a gap, without its exchange; at most the first 50 symbols and lost ranges are listed."""
    told: dict[str, Any] = msgspec.to_builtins(gap)
    told.pop("exchange")
    told.pop("missing", None)
    told.pop("short", None)
    told["symbol_count"] = len(gap.symbols) if gap.symbols is not None else 0
    for name in ("symbols", "lost"):
        if told.get(name) is not None:
            told[name] = told[name][:LISTED]
    return told


def gap_body(gap: Gap, time_ns: int) -> str:
    """A gap's payload without its mark."""
    return _open({**gap_fields(gap), "time_ns": time_ns})


def trouble_body(trouble: Trouble, time_ns: int) -> str:
    """An error's payload without its mark."""
    return _open({**msgspec.to_builtins(trouble), "time_ns": time_ns})


def shown(frame: bytes) -> str:
    """The first 200 bytes of a frame as text that can stand in a payload and a log line."""
    text = frame[:FRAME_SHOWN].decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


# --- states ------------------------------------------------------------------------------------------


def latest(body: str, time_ns: int, now_ns: int, *, stale: str | None, synced: bool = True) -> bytes:
    """`latest/`: the newest tick's body with its age, or the reason why it is stale."""
    return _aged(_unclocked(body, synced), now_ns - time_ns, stale)


def sensor(body: str, time_ns: int, now_ns: int, stale: str | None, change: Digits | None, synced: bool) -> bytes:
    """`sensors/<exchange>/<SYMBOL>`: as `latest/`, with the change of 24 h where it is known."""
    told = "" if change is None else f',"change":{change}'
    return _aged(_unclocked(body, synced) + told, now_ns - time_ns, stale)


def display(price: Digits | None) -> bytes:
    """`display/`: the price as plain text, `?` when nothing is to be shown."""
    return b"?" if price is None else price.encode()


def stats(told: Stats, *, synced: bool = True) -> bytes:
    """`stats/`: 24 h statistics. Raises ValueError for a bad number."""
    body = _object(
        (
            ("open", _number(told.open)),
            ("high", _number(told.high)),
            ("low", _number(told.low)),
            ("last", _number(told.last)),
            ("volume", _number(told.volume)),
            ("quote_volume", _number(told.quote_volume)),
            ("change", _number(told.change)),
            ("time_ns", told.received_ns),
        )
    )
    return plain(_unclocked(body, synced))


def catalogue(instruments: Sequence[Instrument], time_ns: int | None) -> bytes:
    """`catalogue/`: the instruments in use, with their steps as numbers. None: the clock is not synchronised."""
    rows = ",".join(_instrument(one) for one in instruments)
    time = '"clock":"unsynced"' if time_ns is None else f'"time_ns":{time_ns}'
    return f'{{{time},"instruments":[{rows}]}}'.encode()


def state(fields: Mapping[str, Any]) -> bytes:
    """Any other state or answer: absent values (None) are left out."""
    return _json({key: value for key, value in fields.items() if value is not None})


def _instrument(one: Instrument) -> str:
    text = {"symbol": one.symbol, "base": one.base, "quote": one.quote, "native": one.native}
    steps = "".join(
        f',"{name}":{number(step)}'
        for name, step in (("price_step", one.price_step), ("size_step", one.size_step))
        if step is not None
    )
    return f'{_json(text).decode()[:-1]}{steps},"status":{_json(one.status).decode()}}}'


def _aged(body: str, age_ns: int, stale: str | None) -> bytes:
    tail = f',"stale":true,"reason":{_json(stale).decode()}' if stale is not None else ',"stale":false'
    return f'{body}{tail},"age_ms":{max(0, age_ns) // 1_000_000}}}'.encode()


def _unclocked(body: str, synced: bool) -> str:
    """Without a synchronised clock a state says so and carries no time of ours."""
    if synced:
        return body
    head, _, tail = body.rpartition(',"time_ns":')
    return head + tail.lstrip("0123456789") + ',"clock":"unsynced"'


def _number(text: Digits | None) -> str | None:
    return None if text is None else number(text)


def _object(fields: Sequence[tuple[str, str | int | None]]) -> str:
    return "{" + ",".join(f'"{name}":{value}' for name, value in fields if value is not None)


def _open(fields: dict[str, Any]) -> str:
    return _json(fields).decode()[:-1]
