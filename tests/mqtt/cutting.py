"""A broker of a few lines that is right in everything, but cuts the line without a word for one payload."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import mqtt5


class CuttingBroker:
    """Acknowledges everything, retains what is to be retained. `accepted`: payloads of streams, sent again or not."""

    host = "127.0.0.1"

    def __init__(self, poison: bytes) -> None:
        self.port = 0
        self.connections = 0
        self.accepted: set[bytes] = set()
        self._poison = poison
        self._retained: dict[str, mqtt5.PublishPacket] = {}

    def credentials(self, _who: str = "bridge") -> tuple[None, None]:
        return None, None

    @asynccontextmanager
    async def running(self) -> AsyncIterator["CuttingBroker"]:
        server = await asyncio.start_server(self._serve, self.host, 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        heard: set[str] = set()
        rest: bytes | None = b""
        with suppress(ConnectionError):
            while rest is not None and (data := await reader.read(65_536)):
                rest = self._all(rest + data, writer, heard)
                if rest is None:  # our end only: what was acknowledged before must arrive, as it may from a real broker
                    writer.write_eof()
                    await reader.read()
                    break
                await writer.drain()
        writer.close()

    def _all(self, data: bytes, writer: asyncio.StreamWriter, heard: set[str]) -> bytes | None:
        """Answer all whole packets; what is left of the last one, None behind the poison."""
        while data:
            try:
                packet, size = mqtt5.read(memoryview(data))
            except IndexError:  # half a packet
                break
            data = data[size:]
            if isinstance(packet, mqtt5.PublishPacket) and packet.payload == self._poison:
                return None
            self._answer(packet, writer, heard)
        return data

    def _answer(self, packet: mqtt5.Packet, writer: asyncio.StreamWriter, heard: set[str]) -> None:
        match packet:
            case mqtt5.ConnectPacket():
                writer.write(mqtt5.ConnAckPacket().write())
            case mqtt5.SubscribePacket():
                heard.update(one.pattern for one in packet.topic_filters)
                codes = [mqtt5.SubAckReasonCode(0) for _ in packet.topic_filters]
                writer.write(mqtt5.SubAckPacket(packet.packet_id, codes).write())
                for topic in heard & self._retained.keys():
                    writer.write(told(self._retained[topic]))
            case mqtt5.UnsubscribePacket():
                heard.difference_update(packet.patterns)
                writer.write(mqtt5.UnsubAckPacket(packet.packet_id, [mqtt5.UnsubAckReasonCode(0)]).write())
            case mqtt5.PublishPacket():
                self._published(packet, writer, heard)
            case mqtt5.PingReqPacket():
                writer.write(mqtt5.PingRespPacket().write())

    def _published(self, packet: mqtt5.PublishPacket, writer: asyncio.StreamWriter, heard: set[str]) -> None:
        if packet.retain:
            self._retained[packet.topic] = packet
        if packet.topic.startswith("prices/"):
            self.accepted.add(bytes(packet.payload or b""))
        if packet.packet_id is not None:
            writer.write(mqtt5.PubAckPacket(packet.packet_id).write())
        if packet.topic in heard:
            writer.write(told(packet))


def told(packet: mqtt5.PublishPacket) -> bytes:
    return mqtt5.PublishPacket(packet.topic, packet.payload, retain=packet.retain).write()
