"""Ports: the wished one, or one near it."""

import socket

from bridge.up.plan import LOOPBACK
from bridge.up.ports import choose, is_free
from bridge.up.welcome import moved


def test_taken_port_gives_the_next_free_one() -> None:
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        port: int = other.getsockname()[1]
        assert not is_free(LOOPBACK, port)
        taken: set[int] = set()
        chosen = choose(LOOPBACK, port, taken)
        assert chosen != port
        assert taken == {chosen}


def test_no_port_is_chosen_twice() -> None:
    taken: set[int] = set()
    wished = choose(LOOPBACK, 0, taken)
    assert choose(LOOPBACK, wished, taken) != wished
    assert len(taken) == 2


def test_only_moved_ports_are_told() -> None:
    told = moved({"MQTT": 1883, "page": 8000, "websockets": 0}, {"MQTT": 1884, "page": 8000, "websockets": 40123})
    assert told == ["port 1883 (MQTT) is taken by another program: 1884 is used"]
