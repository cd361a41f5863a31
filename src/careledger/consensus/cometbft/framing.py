"""Messages on the engine's sockets: each stands behind its length as an unsigned base-128 number.

Owns cutting a byte stream into messages and putting lengths before them. Does not know what is in a message.
"""

from __future__ import annotations

from collections.abc import Iterator

MESSAGE_BYTES_MAX = 128 * 1024 * 1024
"""More than any block or snapshot part; a genesis document is the largest message there is."""
_LENGTH_BYTES_MAX = 5


class MessageTooLarge(Exception):  # noqa: N818 - an outcome
    """The other side announced a message over the limit, or a length that is none."""


def delimited(message: bytes) -> bytes:
    """Put the message's length before it."""
    length = len(message)
    if length < 0x80:
        return bytes((length,)) + message
    head = bytearray()
    while length >= 0x80:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + message


class MessageReader:
    """Cuts a byte stream into messages."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield each message that is now complete.

        Raises:
            MessageTooLarge: A message over the limit was announced.
        """
        buffer = self._buffer
        buffer += data
        start, size = 0, len(buffer)
        try:
            while start < size:
                length, body = _read_length(buffer, start, size)
                end = body + length
                if not body or end > size:
                    return
                # The next message begins behind this one, whatever becomes of it.
                start = end
                yield bytes(buffer[body:end])
        finally:
            del buffer[:start]


def _read_length(buffer: bytearray, start: int, size: int) -> tuple[int, int]:
    """Return a length and where its message begins; 0 for the latter while the length is incomplete."""
    length = 0
    for position in range(start, min(size, start + _LENGTH_BYTES_MAX)):
        byte = buffer[position]
        length |= (byte & 0x7F) << 7 * (position - start)
        if byte < 0x80:
            if length > MESSAGE_BYTES_MAX:
                raise MessageTooLarge(f"a message of {length} bytes")
            return length, position + 1
    if size - start >= _LENGTH_BYTES_MAX:
        raise MessageTooLarge("a length of more than five bytes")
    return 0, 0
