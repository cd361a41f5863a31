"""Frames on the Unix socket between the ledger process and those who use it.

Frame = length (4, of what follows) | request id (8) | kind (1) | body. A request's answer carries its id, with
kind `ANSWER` or `REFUSAL`; answers come in any order. The socket is local and its file is for its owner only,
so frames are not signed; transactions are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum

from careledger.primitives.codec import Wire

FRAME_BYTES_MAX = 1024 * 1024
_HEAD = struct.Struct(">IQB")
_AFTER_LENGTH = _HEAD.size - 4


class Kind(IntEnum):
    """What a frame is."""

    SUBMIT = 1
    """Body: a transaction. Answer: the encoded receipt."""
    STATUS = 2
    """Empty body. Answer: an encoded `Status`."""
    CHECKPOINT = 3
    """Empty body. Answer: the signed note of the last block."""
    COSIGN = 4
    """Body: a note with a witness's cosignature. Empty answer."""
    COSIGNED = 5
    """Empty body. Answer: the newest note with cosignatures, or nothing."""
    PAUSE = 6
    """Stop making blocks (demonstrations and tests only)."""
    RESUME = 7
    """Go on making blocks."""
    ANSWER = 100
    REFUSAL = 101
    """Body: an encoded `Refusal`."""


class Refusal(Wire, frozen=True):
    """Why a request was refused."""

    is_rejection: bool
    """True if every node would refuse, False if it is local and retryable."""
    module: int
    """Number of the module whose code this is."""
    code: int
    """Its number."""
    detail: str
    """For people."""


class Status(Wire, frozen=True):
    """Where the ledger process stands."""

    chain_id: str
    height: int
    time_ms: int
    app_hash: bytes
    history_size: int
    sequencer: bytes
    waiting: int
    """Transactions in the pool."""
    signatures_checked: int
    """Since the process started."""


class FrameTooLarge(Exception):  # noqa: N818 - an outcome
    """The other side announced a frame over the limit; the connection is of no use any more."""


def write_frame(request_id: int, kind: int, body: bytes) -> bytes:
    """Encode one frame."""
    return _HEAD.pack(len(body) + _AFTER_LENGTH, request_id, kind) + body


class FrameReader:
    """Cuts a byte stream into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Yield (request id, kind, body) of each frame that is now complete.

        Raises:
            FrameTooLarge: A frame over the limit was announced.
        """
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= _HEAD.size:
                length, request_id, kind = _HEAD.unpack_from(buffer, start)
                if not _AFTER_LENGTH <= length <= FRAME_BYTES_MAX:
                    raise FrameTooLarge(f"a frame of {length} bytes")
                end = start + 4 + length
                if len(buffer) < end:
                    break
                body = bytes(buffer[start + _HEAD.size : end])
                start = end
                yield request_id, kind, body
        finally:
            del buffer[:start]
