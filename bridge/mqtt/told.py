"""What a connection is opened with, and what the broker tells on it, as values. Pure."""

from msgspec import Struct


class Login(Struct, frozen=True):
    """Who connects, and what the broker tells the others should the line break."""

    client_id: str
    user: str | None
    password: str | None
    will_topic: str
    will: bytes


class Connected(Struct, frozen=True):
    """The broker accepted us."""


class Acked(Struct, frozen=True):
    """The oldest so many stream messages are with the broker."""

    count: int


class Rejected(Struct, frozen=True):
    """The oldest stream message was refused."""

    reason: str


class StateAcked(Struct, frozen=True):
    """A QoS 1 state is with the broker, or was refused for this reason."""

    topic: str
    reason: str | None


class Subscribed(Struct, frozen=True):
    """The answer to the subscription: topics that are refused, with the reason."""

    refused: dict[str, str]


class Told(Struct, frozen=True):
    """A message of one of our two subscriptions."""

    topic: str
    payload: bytes


class Pong(Struct, frozen=True):
    """Everything sent before the last ping has been read by the broker."""


class Ended(Struct, frozen=True):
    """The broker says why it cuts the line."""

    code: int
    reason: str


Event = Connected | Acked | Rejected | StateAcked | Subscribed | Told | Pong | Ended


def words(code: int, text: str | None) -> str:
    """A reason code and the broker's own words on it."""
    name = getattr(code, "name", str(code)).lower().replace("_", " ")
    return f"{name} (0x{int(code):02x})" + (f": {text}" if text else "")
