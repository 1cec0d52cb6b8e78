"""Network errors in people's words, made by real sockets."""

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import FeedLost
from bridge.exchanges.base import HttpRequest
from bridge.exchanges.kucoin import KuCoin
from bridge.line import Line, open_line
from bridge.rest import Rest
from bridge.unreachable import words
from tests.broker import Broker, free_ports
from tests.running import Subscriber, environment, subscribed, tickbridge

URL = "https://api.example.com:443/bullet?x=1"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (socket.gaierror(-2, "Name or service not known"), "the name api.example.com cannot be looked up"),
        (ConnectionRefusedError(111, "Connect call failed ('1.2.3.4', 443)"), "api.example.com refuses the connection"),
        (OSError(101, "Network is unreachable"), "api.example.com cannot be reached: is there a network connection?"),
        (TimeoutError(), "api.example.com does not answer"),
        (ConnectionResetError(104, "reset"), "api.example.com closed the connection"),
        (ssl.SSLError(1, "[SSL] wrong"), "no encrypted connection to api.example.com"),
        (ssl.SSLCertVerificationError(1, "too old"), "the certificate of api.example.com is not valid (is the clock"),
        (ValueError("odd"), "no connection to api.example.com: odd"),
    ],
)
def test_each_error_has_its_words(error: Exception, told: str) -> None:
    assert words(error, URL).startswith(told)


def test_what_a_library_wraps_is_found_and_its_own_words_are_not_shown() -> None:
    wrapped = RuntimeError("Cannot connect to host api.example.com:443 ssl:default [Name or service not known]")
    wrapped.__cause__ = socket.gaierror(-2, "Name or service not known")
    assert words(wrapped, URL) == "the name api.example.com cannot be looked up: is there an internet connection?"


def test_an_address_that_is_none_is_named_as_it_is() -> None:
    assert words(ValueError("Invalid IPv6 URL"), "wss://[x") == "no connection to wss://[x: Invalid IPv6 URL"


def test_a_long_error_is_cut() -> None:
    assert len(words(ValueError("x" * 1000), URL)) == 200


async def test_a_rest_request_that_finds_nobody_says_so_plainly() -> None:
    (port,) = free_ports(1)
    async with Rest(KuCoin.limits) as rest:
        with pytest.raises(FeedLost, match=r"^127\.0\.0\.1 refuses the connection$"):
            await rest.ask(HttpRequest(f"http://127.0.0.1:{port}/"))


async def test_a_line_that_finds_nobody_says_so_plainly() -> None:
    (port,) = free_ports(1)
    line = Line(lambda frame: None, lambda: None, 1000)
    with pytest.raises(FeedLost, match=r"^127\.0\.0\.1 refuses the connection$"):
        await open_line(f"ws://127.0.0.1:{port}/", line, 5.0, 1000)


@pytest.mark.real
async def test_health_tells_since_when_an_exchange_is_away_and_not_since_the_last_try(
    broker: Broker, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    nobody = {"EXCHANGES__KUCOIN__REST_HOST": f"http://127.0.0.1:{port}", "EXCHANGES__BINANCE__ENABLED": False}
    env = environment(broker, tmp_path / "data", **nobody, FEED__BACKOFF_MOST_S=1, CLOCK__SYNC="trust")
    async with subscribed(broker, ("health/kucoin",)) as heard:
        with tickbridge("run", tmp_path, env):
            await heard.until(lambda: len(away(heard)) >= 2)
    first, second = away(heard)[:2]
    assert second["since_ns"] == first["since_ns"] < first["time_ns"] < second["time_ns"]


def away(heard: Subscriber) -> list[dict[str, Any]]:
    return [told for told in heard.told("health/kucoin") if told["status"] == "reconnecting"]
