"""The process that checks signatures: `python -m careledger.consensus.verifier_process FD`.

Reads messages from the inherited socket: a count (4 bytes, big-endian), the length of the signed message (4),
then for each item key (32), signature (64) and message. Answers one byte for each item, 1 if it stands. Ends
when the other side closes. Imports nothing but the signature library, so it starts fast and stays small.
"""

from __future__ import annotations

import signal
import socket
import struct
import sys

from nacl.bindings import crypto_sign_open
from nacl.exceptions import CryptoError

HEADER = struct.Struct(">II")
KEY_BYTES = 32
SIGNATURE_BYTES = 64


def _receive(connection: socket.socket, count: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(min(count - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)


def serve_verifications(connection: socket.socket) -> None:
    """Answer messages until the other side closes."""
    while True:
        header = _receive(connection, HEADER.size)
        if header is None:
            return
        count, message_bytes = HEADER.unpack(header)
        item_bytes = KEY_BYTES + SIGNATURE_BYTES + message_bytes
        body = _receive(connection, count * item_bytes)
        if body is None:
            return
        connection.sendall(bytes(_stands(body, at, item_bytes) for at in range(0, len(body), item_bytes)))


def _stands(body: bytes, at: int, item_bytes: int) -> bool:
    # libsodium takes the signature and the message as one string, which is how the item lies
    try:
        crypto_sign_open(body[at + KEY_BYTES : at + item_bytes], body[at : at + KEY_BYTES])
    except CryptoError:
        return False
    return True


def main() -> None:
    """Serve on the socket whose number is the first argument."""
    # The parent decides when this ends, by closing the socket; a terminal's Ctrl-C goes to the parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        serve_verifications(connection)


if __name__ == "__main__":
    main()
