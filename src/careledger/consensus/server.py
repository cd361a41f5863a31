"""The ledger process's side of its Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol, cast

from careledger.consensus.admission import Admission
from careledger.consensus.frames import FrameReader, FrameTooLarge, Kind, Refusal, Status, write_frame
from careledger.consensus.socket_path import short_path
from careledger.ledger.checkpoint import CheckpointInvalid, SignedCheckpoint
from careledger.ledger.errors import MALFORMED, STOPPING, UNKNOWN_QUERY
from careledger.ledger.execution import module_number_of
from careledger.primitives.codec import encode
from careledger.primitives.errors import CodedError, Rejected, Unavailable


class Engine(Protocol):
    """What the server needs of an engine besides admission."""

    def status(self) -> Status:
        """Where the ledger stands."""

    def checkpoint(self) -> SignedCheckpoint:
        """Signed checkpoint of the last durable block."""

    def pause(self) -> None:
        """Make no blocks."""

    def resume(self) -> None:
        """Go on making blocks."""


class Cosignatures(Protocol):
    """Where witnesses' cosignatures are kept."""

    def newest(self) -> str | None:
        """Newest note with cosignatures."""

    def add(self, note: str) -> None:
        """Take a note with a witness's cosignature.

        Raises:
            CheckpointInvalid: It is not of this ledger, or the cosignature does not stand.
        """


class _Session(asyncio.Protocol):
    def __init__(self, server: LedgerServer) -> None:
        self._server = server
        self._frames = FrameReader()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's, so the type is asserted, not asked.
        self._transport = cast("asyncio.Transport", transport)
        self._server.sessions.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None
        self._server.sessions.discard(self)

    def data_received(self, data: bytes) -> None:
        try:
            for request_id, kind, body in self._frames.feed(data):
                try:
                    if kind == Kind.SUBMIT:
                        receipt = self._server.admission.enqueue(body)
                        receipt.add_done_callback(partial(self._answer_receipt, request_id))
                    else:
                        self._write(request_id, Kind.ANSWER, self._server.handle(kind, body))
                except CodedError as error:
                    self._refuse(request_id, error)
        except FrameTooLarge:
            self.abort()

    def _answer_receipt(self, request_id: int, receipt: asyncio.Future[bytes]) -> None:
        error = receipt.exception()
        if error is None:
            self._write(request_id, Kind.ANSWER, receipt.result())
        elif isinstance(error, CodedError):
            self._refuse(request_id, error)
        else:
            self._refuse(request_id, Unavailable(STOPPING, str(error)))

    def _refuse(self, request_id: int, error: CodedError) -> None:
        refusal = Refusal(
            isinstance(error, Rejected),
            module_number_of(error.code.module),
            error.code.number,
            f"{error.detail} {error.at}".strip(),
        )
        self._write(request_id, Kind.REFUSAL, encode(refusal))

    def _write(self, request_id: int, kind: Kind, body: bytes) -> None:
        if self._transport is not None:
            self._transport.write(write_frame(request_id, kind, body))

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class LedgerServer:
    """Answers on the Unix socket."""

    def __init__(
        self,
        *,
        path: Path,
        admission: Admission,
        engine: Engine,
        cosignatures: Cosignatures,
        allow_pause: bool = False,
    ) -> None:
        self._path = path
        self.admission = admission
        self._engine = engine
        self._cosignatures = cosignatures
        self._allow_pause = allow_pause
        self._server: asyncio.Server | None = None
        self.sessions: set[_Session] = set()

    async def start(self) -> None:
        """Listen; the socket's file is for its owner only."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        before = os.umask(0o177)
        try:
            with short_path(self._path) as path:
                self._server = await asyncio.get_running_loop().create_unix_server(
                    lambda: _Session(self), path
                )
        finally:
            os.umask(before)

    async def close(self) -> None:
        """Stop listening and drop the connections."""
        if self._server is not None:
            self._server.close()
            for session in list(self.sessions):
                session.abort()
            await self._server.wait_closed()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def handle(self, kind: int, body: bytes) -> bytes:
        """Answer one request other than a submission."""
        simple: dict[int, Callable[[bytes], bytes]] = {
            Kind.STATUS: lambda _: encode(self._engine.status()),
            Kind.CHECKPOINT: lambda _: self._engine.checkpoint().note().encode(),
            Kind.COSIGNED: lambda _: (self._cosignatures.newest() or "").encode(),
            Kind.COSIGN: self._cosign,
            Kind.PAUSE: lambda _: self._set_paused(paused=True),
            Kind.RESUME: lambda _: self._set_paused(paused=False),
        }
        answer = simple.get(kind)
        if answer is None:
            raise Rejected(UNKNOWN_QUERY)
        return answer(body)

    def _cosign(self, body: bytes) -> bytes:
        try:
            self._cosignatures.add(body.decode())
        except (CheckpointInvalid, UnicodeDecodeError) as error:
            raise Rejected(MALFORMED, str(error)) from None
        return b""

    def _set_paused(self, *, paused: bool) -> bytes:
        if not self._allow_pause:
            raise Unavailable(STOPPING, "this ledger process does not take pauses")
        if paused:
            self._engine.pause()
        else:
            self._engine.resume()
        return b""
