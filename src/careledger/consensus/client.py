"""Client of the ledger process: submits transactions over its Unix socket and waits for durable receipts."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

from careledger.consensus.frames import FrameReader, FrameTooLarge, Kind, Refusal, Status, write_frame
from careledger.consensus.socket_path import short_path
from careledger.ledger.errors import UNREACHABLE
from careledger.ledger.receipt import Receipt
from careledger.primitives.codec import decode
from careledger.primitives.errors import Rejected, Unavailable, find_code


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._frames = FrameReader()
        self.waiting: dict[int, asyncio.Future[bytes]] = {}
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's, so the type is asserted, not asked.
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            for request_id, kind, body in self._frames.feed(data):
                future = self.waiting.pop(request_id, None)
                if future is None or future.done():
                    continue
                if kind == Kind.ANSWER:
                    future.set_result(body)
                else:
                    future.set_exception(_error_of(decode(body, Refusal)))
        except FrameTooLarge:
            if self.transport is not None:
                self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.transport = None
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(Unavailable(UNREACHABLE, "the connection was lost"))
        self.waiting.clear()


def _error_of(refusal: Refusal) -> Exception:
    code = find_code(refusal.module, refusal.code)
    if code is None:
        return Unavailable(UNREACHABLE, f"unknown code {refusal.module}/{refusal.code}")
    return Rejected(code, refusal.detail) if refusal.is_rejection else Unavailable(code, refusal.detail)


class LedgerClient:
    """One connection to a ledger process, opened when first needed and opened again after a loss."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: _Connection | None = None
        self._opening = asyncio.Lock()
        self._next_id = 0

    async def submit(self, raw: bytes) -> Receipt:
        """Submit a transaction and wait for its durable receipt, which may be a rejection.

        Raises:
            Rejected: It was refused before any block.
            Unavailable: The ledger cannot be reached, or is full; the outcome may be unknown.
        """
        return decode(await self._call(Kind.SUBMIT, raw), Receipt)

    async def status(self) -> Status:
        """Ask where the ledger stands."""
        return decode(await self._call(Kind.STATUS, b""), Status)

    async def checkpoint(self) -> str:
        """Ask for the signed checkpoint of the last block."""
        return (await self._call(Kind.CHECKPOINT, b"")).decode()

    async def cosigned(self) -> str | None:
        """Ask for the newest checkpoint with cosignatures."""
        return (await self._call(Kind.COSIGNED, b"")).decode() or None

    async def add_cosignature(self, note: str) -> None:
        """Hand in a note with a witness's cosignature."""
        await self._call(Kind.COSIGN, note.encode())

    async def pause(self) -> None:
        """Stop the making of blocks, where the ledger process allows it."""
        await self._call(Kind.PAUSE, b"")

    async def resume(self) -> None:
        """Let blocks be made again."""
        await self._call(Kind.RESUME, b"")

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None and self._connection.transport is not None:
            self._connection.transport.close()
        self._connection = None

    async def _call(self, kind: Kind, body: bytes) -> bytes:
        connection = self._connection
        if connection is None or connection.transport is None:
            connection = await self._open()
        transport = connection.transport
        if transport is None:
            raise Unavailable(UNREACHABLE)
        self._next_id += 1
        request_id = self._next_id
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        connection.waiting[request_id] = future
        transport.write(write_frame(request_id, kind, body))
        try:
            return await future
        finally:
            connection.waiting.pop(request_id, None)

    async def _open(self) -> _Connection:
        async with self._opening:
            if self._connection is not None and self._connection.transport is not None:
                return self._connection
            connection = _Connection()
            try:
                with short_path(self._path) as path:
                    await asyncio.get_running_loop().create_unix_connection(lambda: connection, path)
            except OSError as error:
                raise Unavailable(UNREACHABLE, type(error).__name__) from None
            self._connection = connection
            return connection
