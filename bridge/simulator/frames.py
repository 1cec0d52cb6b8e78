"""Websocket frames as a server writes them: one fragment, not masked (RFC 6455, section 5.2). Pure."""

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA


def encode(payload: bytes, opcode: int = TEXT) -> bytes:
    """The frame's bytes on the wire."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65536:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload


def closing(code: int, reason: str) -> bytes:
    """A close frame with its code and reason (at most 123 bytes of UTF-8)."""
    return encode(code.to_bytes(2, "big") + reason.encode()[:123], CLOSE)
