"""The clients of docs/clients.md show a fresh price with its digits, and refuse an old one whatever made it old."""

import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bridge.brokerfiles import Tls
from dashboard.web.build import node_program
from tests.authority import Authority
from tests.broker import Broker, free_ports
from tests.clients.snippets import blocks
from tests.clients.world import PRICE, SYMBOL, Client, Clients, bash, living, until
from tests.page_feed import Feed, repeated

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(300)]
WATCHING = ("price.sh", "prices.py", "show.mjs")
CLOCKED = WATCHING[1:]
"""Those that see that a message waited on the way."""


@pytest.fixture
def clients(guarded_broker: Broker, tmp_path: Path) -> Iterator[Clients]:
    one = Clients(guarded_broker, tmp_path / "clients")
    yield one
    one.close()


def start(clients: Clients, mark: str) -> list[Client]:
    """Those that go on watching."""
    programs = (bash(), sys.executable, str(node_program()))
    return [clients.start(program, name, to=f"{name}.{mark}") for program, name in zip(programs, WATCHING, strict=True)]


def told(all_: list[Client]) -> str:
    return str({one.name: one.said[-3:] for one in all_})


async def all_fresh(all_: list[Client]) -> None:
    """Each shows a price from now on; on a busy machine not all of them at one moment."""
    before = [len(one.prices()) for one in all_]
    await until(
        lambda: all(len(one.prices()) > count for one, count in zip(all_, before, strict=True)),
        lambda: f"no price: {told(all_)}",
    )


async def all_refuse(all_: list[Client]) -> None:
    await until(lambda: all(one.refuses() for one in all_), lambda: f"an old price: {told(all_)}")


async def test_a_fresh_price_is_shown_and_an_old_one_refused(
    clients: Clients, guarded_broker: Broker, tmp_path: Path
) -> None:
    async with living(guarded_broker, tmp_path) as (sim, bridge):
        published = clients.start("mosquitto_sub", "-t", f"prices/kucoin/{SYMBOL}", to="published")
        watching = start(clients, "first")
        await all_fresh(watching)
        now = await asyncio.to_thread(clients.run, bash(), "now.sh")
        shown = {*(one.prices()[-1] for one in watching), *now.stdout.split()}
        await until(lambda: shown <= set(PRICE.findall(str(published.said))), lambda: f"other digits: {shown}")

        sim.kucoin.faults.stall()
        await all_refuse(watching)
        sim.kucoin.faults.heal()
        await all_fresh(watching)

        bridge.send_signal(signal.SIGSTOP)
        await all_refuse(watching)
        assert clients.run("mosquitto_sub", "-C", "1", "-W", "5", "-t", f"latest/kucoin/{SYMBOL}").stdout
        late = start(clients, "late")
        assert clients.run(bash(), "now.sh").stdout == ""
        await until(late[0].refuses, lambda: told(late))
        assert not any(one.prices() for one in late), "what the broker had kept was taken for new"

        await a_stale_message_is_never_shown(guarded_broker, [*watching, *late])
        await a_late_or_empty_message_is_not_either(guarded_broker, [*watching, *late])
        bridge.send_signal(signal.SIGCONT)
        await all_fresh([*watching, *late])


async def a_stale_message_is_never_shown(broker: Broker, all_: list[Client]) -> None:
    fresh, stale = "0.0000005555", "0.0000006666"
    with Feed(broker) as feed:
        with repeated(lambda _: feed.price("kucoin", SYMBOL, fresh), 5):
            await until(lambda: all(fresh in one.said for one in all_), lambda: told(all_))
        feed.price("kucoin", SYMBOL, stale, stale="kucoin: reconnecting")
        await all_refuse(all_)
    assert not any(stale in one.said for one in all_)


async def a_late_or_empty_message_is_not_either(broker: Broker, all_: list[Client]) -> None:
    fresh, late = "0.0000005557", "0.0000006667"
    clocked = [one for one in all_ if one.name in CLOCKED]
    with Feed(broker) as feed:
        feed.state(feed.topics.latest("kucoin", SYMBOL), b"")
        with repeated(lambda _: feed.price("kucoin", SYMBOL, fresh), 5):
            await until(
                lambda: all(one.last == fresh for one in all_), lambda: f"an empty message ends it: {told(all_)}"
            )
        feed.price("kucoin", SYMBOL, late, waited_ms=60_000)
        await all_refuse(all_)
    assert not any(late in one.said for one in clocked)


async def test_over_tls_too_and_the_lines_for_looking_show_something(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    certificate, key = authority.certificate("broker")
    (port,) = free_ports(1)
    tls = Tls(certfile=certificate, keyfile=key, port=port, bind="127.0.0.1")
    with (
        Broker(tmp_path / "mosquitto", with_users=True, tls=tls) as broker,
        closing(Clients(broker, tmp_path / "clients", tls, authority.ca)) as clients,
    ):
        async with living(broker, tmp_path) as (_, bridge):
            await all_fresh(start(clients, "tls"))
            for line in blocks()["sh"].replace("BTC-USDT", SYMBOL).splitlines():
                shown = await asyncio.to_thread(clients.run, bash(), "-c", f"{line} -C 1 -W 10")
                assert json.loads(shown.stdout[shown.stdout.index("{") :]), shown
            assert (await asyncio.to_thread(clients.run, bash(), "online.sh")).returncode == 0
            bridge.send_signal(signal.SIGKILL)
            bridge.wait(10)
            missed = lambda: clients.run(bash(), "online.sh").returncode == 1  # noqa: E731
            await until(missed, lambda: "the bridge is still told online")
            with Feed(broker) as feed:
                feed.health("bridge")
            assert await asyncio.to_thread(missed), "what the broker had kept was taken for life"
