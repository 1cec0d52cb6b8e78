"""What a power cut, a bad card or a stray program does to a file: cut short, pages of zeros, garbage."""

from collections.abc import Callable
from random import Random

from hypothesis import strategies as st

PAGE = 4096


def cut(body: bytes, random: Random) -> bytes:
    return body[: random.randrange(1, len(body))]


def zeroed(body: bytes, random: Random) -> bytes:
    """One page of zeros."""
    first = random.randrange(len(body) // PAGE) * PAGE
    return body[:first] + bytes(PAGE) + body[first + PAGE :]


def garbled(body: bytes, random: Random) -> bytes:
    """Some hundred bytes of garbage."""
    first, size = random.randrange(len(body)), random.randrange(1, 3000)
    return (body[:first] + random.randbytes(size) + body[first + size :])[: len(body)]


def beheaded(body: bytes, random: Random) -> bytes:
    """One byte of the first hundred is another. Not one that tells the version: that may be a later one's."""
    place = random.choice([place for place in range(100) if place not in range(60, 64)])
    return body[:place] + random.randbytes(1) + body[place + 1 :]


HARMS: list[Callable[[bytes, Random], bytes]] = [cut, zeroed, garbled, beheaded]
harms = st.tuples(st.sampled_from(HARMS), st.integers(0, 2**32))


def harmed(body: bytes, harm: tuple[Callable[[bytes, Random], bytes], int]) -> bytes:
    return harm[0](body, Random(harm[1]))
