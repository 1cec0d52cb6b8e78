"""Stream messages as QoS 1 PUBLISH packets, many in one piece of bytes. Pure.

The bytes are those of `mqtt5.PublishPacket(...).write()` (a test compares them), at a third of its cost: what a
topic's packets share is made once per connection.
"""

from collections.abc import Sequence

from bridge.entries import Entry
from bridge.topics import CONTENT_TYPE

RESENT = ("resent", "1")
"""The user property of a message that may have been sent before."""
MAX_REMAINING = 268_435_455
_TABLED = 2_048


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def _fixed_header(remaining: int) -> bytes:
    """PUBLISH with QoS 1, and the remaining length as a variable byte integer."""
    header = bytearray(b"\x32")
    while remaining > 127:
        header.append(remaining & 127 | 128)
        remaining >>= 7
    header.append(remaining)
    return bytes(header)


def _most_remaining(max_packet: int | None) -> int:
    """The greatest remaining length of a packet of at most so many bytes in all."""
    if max_packet is None:
        return MAX_REMAINING
    most = min(max_packet - 2, MAX_REMAINING)
    while most > 0 and most + len(_fixed_header(most)) > max_packet:
        most -= 1
    return most


_FIXED = [_fixed_header(remaining) for remaining in range(_TABLED)]
_CONTENT_TYPE = b"\x03" + _text(CONTENT_TYPE)
_PLAIN = bytes([len(_CONTENT_TYPE)]) + _CONTENT_TYPE
_USER_PROPERTY = b"\x26" + _text(RESENT[0]) + _text(RESENT[1])
_AGAIN = bytes([len(_CONTENT_TYPE) + len(_USER_PROPERTY)]) + _CONTENT_TYPE + _USER_PROPERTY


class Encoder:
    """One connection's encoder. Packet ids go round from 1 to `ids`; `max_packet` is the broker's, in bytes."""

    def __init__(self, ids: int, max_packet: int | None) -> None:
        self._ids = [number.to_bytes(2, "big") for number in range(ids + 1)]
        self._most = _most_remaining(max_packet)
        self._last_id = 0
        self._heads: dict[str, bytes] = {}

    def encode(self, entries: Sequence[Entry]) -> tuple[bytes, list[Entry]]:
        """All packets in one piece, and the entries that no packet of the broker's size can carry."""
        parts: list[bytes] = []
        add = parts.extend
        unfit: list[Entry] = []
        heads, ids, last, pid = self._heads, self._ids, len(self._ids) - 1, self._last_id
        for entry in entries:
            topic, payload, _, _, _, again = entry
            head = heads.get(topic) or self._head(topic)
            properties = _AGAIN if again else _PLAIN
            remaining = len(head) + 2 + len(properties) + len(payload)
            if remaining > self._most or not head:
                unfit.append(entry)
                continue
            pid = pid + 1 if pid < last else 1
            fixed = _FIXED[remaining] if remaining < _TABLED else _fixed_header(remaining)
            add((fixed, head, ids[pid], properties, payload))
        self._last_id = pid
        return b"".join(parts), unfit

    def _head(self, topic: str) -> bytes:
        """The topic as it stands in a packet; empty for what cannot stand there."""
        try:
            head = _text(topic)
        except (UnicodeEncodeError, OverflowError):
            return b""
        self._heads[topic] = head
        return head
