"""The application's side of the engine's sockets: ABCI 2.0 in one asynchronous loop.

The engine opens four connections (consensus, mempool, query, snapshots) and sends requests without waiting for
answers. Answers go out strictly in the order of their requests, so one that is not known yet holds back those
behind it, on its own connection only. What is ready after one read goes out in one write.

Any exception of a handler is answered as an ABCI exception and reported; from then on nothing more is answered,
since the state behind the answers can no longer be vouched for. Does not know what the requests do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from careledger.consensus.cometbft._wire import engine_pb2 as wire
from careledger.consensus.cometbft.framing import MessageReader, MessageTooLarge, delimited

UNANSWERED_MAX = 8_192
"""Requests of one connection under way; beyond it nothing more is read."""

Answer = bytes
"""An encoded `Response` with its length before it."""
Handler = Callable[[Any], "Answer | asyncio.Future[Answer]"]
"""Takes the request's own message. Its type is erased here and nowhere else: the key names it."""

FLUSHED: Answer = delimited(wire.Response(flush=wire.EmptyResponse()).SerializeToString())


def encode_response(response: wire.Response) -> Answer:
    """Encode an answer."""
    return delimited(response.SerializeToString())


class _Connection(asyncio.Protocol):
    def __init__(self, server: AbciServer) -> None:
        self._server = server
        self._reader = MessageReader()
        self._transport: asyncio.Transport | None = None
        self._unanswered: deque[Answer | asyncio.Future[Answer]] = deque()
        self._is_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's, so the type is asserted, not asked.
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None
        self._unanswered.clear()
        self._server.connections.discard(self)
        self._server.lost()

    def data_received(self, data: bytes) -> None:
        try:
            for raw in self._reader.feed(data):
                answer = self._server.answer(raw)
                self._unanswered.append(answer)
                if not isinstance(answer, bytes):
                    answer.add_done_callback(self._resolved)
        except MessageTooLarge as error:
            self._server.fail(error)
        # An exception ends the connection after its answer, whatever stands behind it.
        except Exception as error:  # noqa: BLE001 - every failure of a handler stops the process
            self._unanswered.append(_exception(error))
            self._server.fail(error)
        self._send_ready()

    def _resolved(self, answer: asyncio.Future[Answer]) -> None:
        if self._unanswered and self._unanswered[0] is answer:
            self._send_ready()

    def _send_ready(self) -> None:
        ready: list[Answer] = []
        unanswered = self._unanswered
        while unanswered:
            head = unanswered[0]
            if not isinstance(head, bytes):
                if not head.done():
                    break
                if head.cancelled():
                    break
                error = head.exception()
                if error is None:
                    head = head.result()
                else:
                    self._server.fail(error)
                    head = _exception(error)
            ready.append(head)
            unanswered.popleft()
        transport = self._transport
        if transport is None:
            return
        if ready:
            transport.write(b"".join(ready))
        if self._is_paused != (len(unanswered) > UNANSWERED_MAX):
            self._is_paused = not self._is_paused
            if self._is_paused:
                transport.pause_reading()
            else:
                transport.resume_reading()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _exception(error: BaseException) -> Answer:
    return encode_response(
        wire.Response(exception=wire.ExceptionResponse(error=f"{type(error).__name__}: {error}"))
    )


class AbciServer:
    """Answers the engine on a Unix socket."""

    def __init__(
        self,
        path: Path,
        handlers: Mapping[str, Handler],
        *,
        failed: Callable[[BaseException], None],
        disconnected: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare a server; `start` listens.

        Args:
            path: the socket's file.
            handlers: by the name of the request's kind in `engine.proto`.
            failed: told, once, of the first failure.
            disconnected: told whenever the engine has closed a connection.
        """
        self._path = path
        self._handlers = dict(handlers)
        self._handlers["flush"] = lambda _: FLUSHED
        self._handlers["echo"] = _echo
        self._failed = failed
        self._disconnected = disconnected
        self._failure: BaseException | None = None
        self._server: asyncio.Server | None = None
        self.connections: set[_Connection] = set()

    async def start(self) -> None:
        """Listen; the socket's file is for its owner only."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        before = os.umask(0o177)
        try:
            self._server = await asyncio.get_running_loop().create_unix_server(
                lambda: _Connection(self), str(self._path)
            )
        finally:
            os.umask(before)

    async def close(self) -> None:
        """Stop listening and close the connections."""
        if self._server is not None:
            self._server.close()
            for connection in list(self.connections):
                connection.abort()
            await self._server.wait_closed()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def answer(self, raw: bytes) -> Answer | asyncio.Future[Answer]:
        """Answer one encoded request, or say when the answer will be known.

        Raises:
            LookupError: The request is of no known kind.
            DecodeError: The bytes are no request.
        """
        if self._failure is not None:
            raise self._failure
        request = wire.Request.FromString(raw)
        kind = request.WhichOneof("kind")
        handler = None if kind is None else self._handlers.get(kind)
        if kind is None or handler is None:
            raise LookupError(f"there is no answer to a request of kind {kind}")
        return handler(getattr(request, kind))

    def fail(self, error: BaseException) -> None:
        """Report the first failure; later requests are answered with it."""
        if self._failure is None:
            self._failure = error
            self._failed(error)

    def lost(self) -> None:
        """Tell that the engine has closed a connection."""
        self._disconnected()


def _echo(request: wire.EchoRequest) -> Answer:
    return encode_response(wire.Response(echo=wire.EchoResponse(message=request.message)))
