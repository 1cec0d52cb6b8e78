"""PUBACKs of stream messages: which are answered, in order, however they arrive. Pure.

Brokers acknowledge in the order of sending (MQTT 5, 4.6), so a whole read of PUBACKs can be compared at once with
what must come; single ones are read by hand, and what comes out of order is held until its turn.
"""

from bridge.errors import BrokerLost

SUCCESS = 0x00
NO_SUBSCRIBERS = 0x10
_PUBACK = 0x40


class Acks:
    """The window of one connection: `ids` packet ids, used in a circle from 1."""

    def __init__(self, ids: int) -> None:
        self.ids = ids
        self.in_flight = 0
        self.unheard = 0
        """Messages that the broker took although nobody subscribes to them."""
        self._next = 1
        self._early: dict[int, int] = {}
        pids = [pid.to_bytes(2, "big") for pid in range(1, ids + 1)]
        self._heard = b"".join([b"\x40\x02" + pid for pid in pids])
        self._nobody = b"".join([b"\x40\x03" + pid + b"\x10" for pid in pids])

    def sent(self, count: int) -> None:
        self.in_flight += count

    def run(self, buffer: bytes, place: int) -> tuple[int, int]:
        """Read PUBACKs of success that come in order. How many, and where the next packet begins."""
        if not self.in_flight or self._early:
            return 0, place
        count, place = self._all(buffer, place, self._heard, 4)
        if not count:
            count, place = self._all(buffer, place, self._nobody, 5)
            self.unheard += count
        more, place = self._singly(buffer, place)
        return count + more, place

    def _all(self, buffer: bytes, place: int, expected: bytes, size: int) -> tuple[int, int]:
        """If everything from here on is what must come, take it in one comparison."""
        count = min((len(buffer) - place) // size, self.in_flight, self.ids - self._next + 1)
        start, length = (self._next - 1) * size, count * size
        if not count or buffer[place : place + length] != expected[start : start + length]:
            return 0, place
        self._advance(count)
        return count, place + length

    def _singly(self, buffer: bytes, place: int) -> tuple[int, int]:
        count = 0
        end = len(buffer)
        while self.in_flight and end - place >= 4 and buffer[place] == _PUBACK:
            size = buffer[place + 1] + 2
            if size > 5 or end - place < size or (buffer[place + 2] << 8 | buffer[place + 3]) != self._next:
                break
            if size == 5 and buffer[place + 4] not in (SUCCESS, NO_SUBSCRIBERS):
                break
            self.unheard += size == 5 and buffer[place + 4] == NO_SUBSCRIBERS
            self._advance(1)
            count, place = count + 1, place + size
        return count, place

    def answered(self, pid: int, reason: int) -> list[int]:
        """Any PUBACK: the reasons that are now settled, oldest first. Raises BrokerLost for an unknown id."""
        if (pid - self._next) % self.ids >= self.in_flight or pid in self._early:
            raise BrokerLost(f"the broker acknowledged a message that was not sent (packet id {pid})")
        self._early[pid] = reason
        settled = []
        while self._next in self._early:
            settled.append(self._early.pop(self._next))
            self.unheard += settled[-1] == NO_SUBSCRIBERS
            self._advance(1)
        return settled

    def _advance(self, count: int) -> None:
        self.in_flight -= count
        self._next = (self._next + count - 1) % self.ids + 1
