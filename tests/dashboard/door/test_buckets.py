"""Token buckets and what counts as one client."""

import pytest
from starlette.types import Scope

from dashboard.door.buckets import Buckets
from dashboard.door.clients import client_key, is_near


def test_so_many_at_once_then_so_many_a_minute() -> None:
    buckets = Buckets(per_minute=60, burst=3, most=10)
    assert [buckets.take("a", 100.0) for _ in range(4)] == [0, 0, 0, 1.0]
    assert buckets.take("a", 100.5) == pytest.approx(0.5)
    assert buckets.take("a", 101.0) == 0
    assert buckets.take("a", 101.0) > 0


def test_who_is_refused_does_not_wait_longer_for_asking_again() -> None:
    buckets = Buckets(per_minute=60, burst=1, most=10)
    buckets.take("a", 0.0)
    assert [buckets.take("a", 0.9) for _ in range(50)][-1] == pytest.approx(0.1)
    assert buckets.take("a", 1.0) == 0


def test_each_has_its_own_and_more_than_fit_forget_the_longest_silent() -> None:
    buckets = Buckets(per_minute=1, burst=1, most=2)
    assert [buckets.take(key, 0.0) for key in "ab"] == [0, 0]
    assert buckets.take("a", 1.0) > 0
    assert buckets.take("c", 1.0) == 0
    assert len(buckets) == 2
    assert buckets.take("a", 1.0) > 0, "b was the longest silent"
    assert buckets.take("b", 1.0) == 0


def test_a_clock_that_goes_back_gives_nothing() -> None:
    buckets = Buckets(per_minute=60, burst=1, most=2)
    buckets.take("a", 1000.0)
    assert buckets.take("a", 10.0) > 0


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.168.1.7", "192.168.1.7"),
        ("::ffff:192.168.1.7", "192.168.1.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:9:9:9:9", "2001:db8:1:2::/64"),
        ("fe80::1", "fe80::1"),
        ("x" * 1000, "x" * 64),
    ],
)
def test_an_ipv6_network_is_one_client(address: str, key: str) -> None:
    scope: Scope = {"client": (address, 1)}
    assert client_key(scope) == key


def test_no_address_at_all_is_one_client() -> None:
    assert client_key({"client": None}) == "?"


@pytest.mark.parametrize(
    ("client", "server", "near"),
    [
        (("127.0.0.1", 1), ("127.0.0.1", 8000), True),
        (("::1", 1), ("::1", 8000), True),
        (("192.168.1.7", 1), ("192.168.1.7", 8000), True),
        (("192.168.1.8", 1), ("192.168.1.7", 8000), False),
        (("unknown", 1), ("unknown", 8000), False),
        (None, ("127.0.0.1", 8000), False),
        (("192.168.1.8", 1), None, False),
    ],
)
def test_who_asks_from_this_very_machine_is_near(client: object, server: object, near: bool) -> None:
    assert is_near({"client": client, "server": server}) is near


def test_what_is_given_back_can_be_taken_again_and_is_never_more_than_there_was() -> None:
    buckets = Buckets(per_minute=1, burst=2, most=9)
    buckets.give_back("nobody")
    for _ in range(5):
        assert buckets.take("a", 0.0) == 0.0
        buckets.give_back("a")
    buckets.give_back("a")
    assert [buckets.take("a", 0.0) == 0.0 for _ in range(3)] == [True, True, False]
