"""A small real feed for the page: a publisher on a real broker, and the real application with a canned API."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self, cast

import paho.mqtt.client as paho
import uvicorn
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bridge.events import Tick
from bridge.settings import Dashboard, Settings
from bridge.topics import Topics, latest, tick_body
from dashboard.api import Api
from dashboard.app import create_app
from dashboard.door.door import Door
from dashboard.history.base import END_OF_TIME_NS, INTERVALS_NS, Span
from dashboard.parameters import suiting_interval
from tests.broker import Broker, free_ports, wait_until

EXPIRY_S = 30
WITHIN_S = 10.0
MINUTE_NS = 60_000_000_000


class Feed:
    """Publishes states as the bridge does, by a connection of its own. `with Feed(broker) as feed`."""

    def __init__(self, broker: Broker, prefix: str = "") -> None:
        self._broker = broker
        self.topics = Topics(prefix)
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.username_pw_set(*broker.credentials("bridge"))

    def __enter__(self) -> Self:
        self._client.connect(self._broker.host, self._broker.port)
        self._client.loop_start()
        wait_until(self._client.is_connected, WITHIN_S, lambda: "the feed does not connect")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def state(self, topic: str, payload: bytes, expiry_s: int | None = EXPIRY_S) -> None:
        """One retained state; QoS 1 so that it is there when this returns."""
        self.send(topic, payload, expiry_s, qos=1).wait_for_publish(WITHIN_S)

    def send(self, topic: str, payload: bytes, expiry_s: int | None, qos: int = 0) -> paho.MQTTMessageInfo:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if expiry_s is not None:
            properties.MessageExpiryInterval = expiry_s
        return self._client.publish(topic, payload, qos, retain=True, properties=properties)

    def price(self, exchange: str, symbol: str, price: str, **more: Any) -> None:
        """`latest/` with these digits; `bid`, `ask`, `stale` (the reason), `age_ms` and `waited_ms` as wished."""
        self.state(self.topics.latest(exchange, symbol), latest_payload(symbol, price, **more))

    def change(self, exchange: str, symbol: str, fraction: str) -> None:
        self.state(self.topics.stats(exchange, symbol), f'{{"last":1,"change":{fraction}}}'.encode(), 300)

    def health(self, exchange: str, status: str = "online", **more: Any) -> None:
        told = {"status": status, "reason": "", "symbols": 2, "stale_count": 0, "reconnects": 0, "gaps_open": 0, **more}
        self.state(self.topics.health(exchange), json.dumps(told).encode(), None if status == "offline" else EXPIRY_S)

    def catalogue(self, exchange: str, steps: dict[str, str]) -> None:
        rows = ",".join(f'{{"symbol":"{symbol}","price_step":{step}}}' for symbol, step in steps.items())
        self.state(self.topics.catalogue(exchange), f'{{"instruments":[{rows}]}}'.encode(), None)

    def gap(self, exchange: str, gap_id: str, **told: Any) -> None:
        """One state of a gap, live; not retained, as all streams."""
        now_ns = time.time_ns()
        payload = {"id": gap_id, "channel": "trades", "state": "open", "cause": "line lost"}
        self.stream(self.topics.gaps(exchange), {**payload, "from_ns": now_ns - MINUTE_NS, "time_ns": now_ns, **told})

    def trouble(self, exchange: str, kind: str, reason: str, **told: Any) -> None:
        payload = {"kind": kind, "reason": reason, "time_ns": time.time_ns(), "run": 1, "n": 1}
        self.stream(self.topics.errors(exchange), {**payload, **told})

    def stream(self, topic: str, payload: dict[str, Any]) -> None:
        self._client.publish(topic, json.dumps(payload).encode(), qos=1).wait_for_publish(WITHIN_S)

    def forming(self, exchange: str, symbol: str, candle: dict[str, Any]) -> None:
        self.state(self.topics.forming(exchange, symbol, "1m"), json.dumps(candle).encode())


def latest_payload(
    symbol: str,
    price: str,
    *,
    bid: str | None = None,
    ask: str | None = None,
    stale: str | None = None,
    age_ms: int = 0,
    waited_ms: int = 0,
) -> bytes:
    """`latest/` as the bridge makes it, `waited_ms` ago."""
    now_ns = time.time_ns() - waited_ms * 1_000_000
    tick = Tick(symbol, now_ns, price=price, bid=bid, ask=ask)
    return latest(tick_body(tick, now_ns - age_ms * 1_000_000), now_ns - age_ms * 1_000_000, now_ns, stale=stale)


class CannedApi:
    """What the page asks of the dashboard: one day of candles of every symbol, with one hole and its gap."""

    hosts: tuple[str, ...] = ()
    dashboard = Dashboard()

    def __init__(self, ws_port: int, **told: Any) -> None:
        self.ws_port = ws_port
        self.told: dict[str, Any] = {
            "mqtt": {"port": ws_port, "tls": False},
            "prefix": "",
            "latest_expiry_s": EXPIRY_S,
            "demo": False,
        }
        self.told |= {"instance": "tickbridge", "whole_market": {"on": True, "bytes_a_day": 0}, **told}
        self.start_ns = (time.time_ns() // MINUTE_NS - 1440) * MINUTE_NS
        self.hole = range(1380, 1395)
        self.older_minutes = 0
        """How long the history is beside the last day."""
        self.more_gaps: list[dict[str, Any]] = []
        self.troubles: list[dict[str, Any]] = []
        self.told_health: dict[str, Any] = {"history": {}, "health": {}}

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/connect", self.connect),
            Route("/api/v1/gaps", self.gaps),
            Route("/api/v1/errors", self.errors),
            Route("/api/v1/health", self.health),
            Route("/api/v1/history/{exchange}/{symbol}", self.history),
        ]

    async def connect(self, request: Request) -> Response:
        return JSONResponse(self.told)

    async def gaps(self, request: Request) -> Response:
        from_ns, to_ns = (self.start_ns + minute * MINUTE_NS for minute in (self.hole.start, self.hole.stop))
        gap = {
            "id": "g1",
            "exchange": "kucoin",
            "channel": "candles",
            "from_ns": from_ns,
            "to_ns": to_ns,
            "state": "open",
            "cause": "line lost",
        }
        return JSONResponse({"rows": [gap, *self.more_gaps]})

    async def errors(self, request: Request) -> Response:
        query = request.query_params
        wished = {name: query[name] for name in ("exchange", "kind", "symbol") if name in query}
        to_ns, limit = int(query.get("to", END_OF_TIME_NS)), int(query["limit"])
        rows = [row for row in self.troubles if wished.items() <= row.items() and row["time_ns"] < to_ns]
        return JSONResponse({"rows": rows[-limit:]})

    async def health(self, request: Request) -> Response:
        return JSONResponse(self.told_health)

    async def history(self, request: Request) -> Response:
        query = request.query_params
        from_ns, to_ns, limit = int(query["from"]), int(query["to"]), int(query["limit"])
        interval = query["interval"]
        if interval == "auto":
            interval = suiting_interval(Span(limit, from_ns, to_ns), time.time_ns())
        step = INTERVALS_NS[interval] // MINUTE_NS
        first = max(-self.older_minutes, -(-(from_ns - self.start_ns) // MINUTE_NS))
        minutes = range(first, min(1440, -(-(to_ns - self.start_ns) // MINUTE_NS)))
        on_step = (minute for minute in minutes if self.at(minute) // MINUTE_NS % step == 0)
        rows = [self.candle(minute) for minute in on_step if minute not in self.hole]
        more = {"next": rows[limit]["time_ns"]} if len(rows) > limit else {}
        return JSONResponse({"rows": rows[:limit], "interval": interval, **more})

    def candle(self, minute: int) -> dict[str, Any]:
        """A gentle wave, a little different each minute."""
        swing = ((minute * 7919) % 97 - 48) / 10
        middle = 85_000 + 400 * (((minute / 240) % 2) - 1) ** 2 + swing
        close = middle + ((minute * 104_729) % 41 - 20) / 5
        high, low = max(middle, close) + 3.1, min(middle, close) - 2.9
        bar = {"open": middle, "high": high, "low": low, "close": close}
        volume = 1 + minute * 31 % 17
        return {**{name: round(value, 1) for name, value in bar.items()}, "volume": volume, "time_ns": self.at(minute)}

    def at(self, minute: int) -> int:
        return self.start_ns + minute * MINUTE_NS


@contextmanager
def site(api: CannedApi, port: int | None = None) -> Iterator[str]:
    """The real application (files, headers, policy) over the canned API, in a thread of its own; its address."""
    port = port or free_ports(1)[0]
    app = create_app(cast("Api", api), api.ws_port, door=Door(Settings(dashboard=api.dashboard)))
    # its own log configuration would stay for the tests that follow
    config = uvicorn.Config(app, port=port, log_config=None, ws="none", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="site")
    thread.start()
    try:
        wait_until(lambda: server.started, WITHIN_S, lambda: "the site does not start")
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join(WITHIN_S)


@contextmanager
def repeated(act: Callable[[int], object], per_second: float) -> Iterator[None]:
    """Calls `act(0)`, `act(1)`, … evenly until the block ends."""
    over = threading.Event()

    def run() -> None:
        began, done = time.monotonic(), 0
        while not over.wait(0.002):
            due = int((time.monotonic() - began) * per_second)
            for number in range(done, due):
                act(number)
            done = due

    thread = threading.Thread(target=run, name="repeated")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(WITHIN_S)
