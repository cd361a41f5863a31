"""Calls to the engine's RPC over its Unix socket: JSON-RPC 2.0 in HTTP/1.1, one connection, kept open.

Owns the form of requests and answers. The engine's RPC knows no authentication; its socket lies in a folder of
its owner only. Does not decide what a refusal means to whoever submitted a transaction.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import httptools
import msgspec

ANSWER_BYTES_MAX = 64 * 1024 * 1024
CALL_TIMEOUT_S = 10.0

_HEAD = "POST / HTTP/1.1\r\nHost: engine\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"


class EngineUnreachable(Exception):  # noqa: N818 - an outcome, not an accident
    """The engine did not answer: it is not there, is starting or is stopping."""


class EngineRefused(Exception):  # noqa: N818 - see EngineUnreachable
    """The engine answered with an error."""

    def __init__(self, message: str, data: str) -> None:
        super().__init__(f"{message} {data}".strip())
        self.data = data
        """The engine's own words."""


class _Error(msgspec.Struct):
    message: str = ""
    data: str = ""


class _Answer(msgspec.Struct):
    id: int | str | None = None
    result: Any = None  # the shape depends on the method; each caller reads what it knows
    error: _Error | None = None


T = TypeVar("T")

_ONE = msgspec.json.Decoder(_Answer)
_MANY = msgspec.json.Decoder(list[_Answer])


class _Body:
    """Collects one HTTP answer."""

    def __init__(self) -> None:
        self.parts = bytearray()
        self.is_complete = False

    def on_body(self, data: bytes) -> None:
        self.parts += data

    def on_message_complete(self) -> None:
        self.is_complete = True


class EngineRpc:
    """One connection to one engine, opened when first needed and again after a loss."""

    def __init__(self, socket: Path, *, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._socket = socket
        self._timeout_s = timeout_s
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._lock = asyncio.Lock()

    async def call(self, method: str, **parameters: object) -> Any:
        """Make one call and return its result.

        Raises:
            EngineUnreachable: There was no answer.
            EngineRefused: The answer is an error.
        """
        request = {"jsonrpc": "2.0", "id": 0, "method": method, "params": parameters}
        raw = await self.post(msgspec.json.encode(request))
        return _result(_decoded(_ONE, raw))

    async def broadcast(self, txs: Sequence[bytes]) -> list[str]:
        """Hand transactions to the engine's pool; returns for each why it was not taken, or nothing.

        The engine answers before the application has checked the transaction.

        Raises:
            EngineUnreachable: There was no answer; any of them may have been taken.
        """
        parts = [
            b'{"jsonrpc":"2.0","id":%d,"method":"broadcast_tx_async","params":{"tx":"%b"}}'
            % (number, base64.b64encode(raw))
            for number, raw in enumerate(txs)
        ]
        if len(parts) == 1:
            answers = [_decoded(_ONE, await self.post(parts[0]))]
        else:
            answers = _decoded(_MANY, await self.post(b"[" + b",".join(parts) + b"]"))
        refusals = ["the engine did not say"] * len(txs)
        for answer in answers:
            if isinstance(answer.id, int) and 0 <= answer.id < len(txs):
                error = answer.error
                refusals[answer.id] = "" if error is None else error.data or error.message
        return refusals

    async def post(self, body: bytes) -> bytes:
        """Send one request body and return the answer's body, whatever it says.

        Raises:
            EngineUnreachable: There was no answer.
        """
        async with self._lock:
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await self._exchange(body)
            except (OSError, TimeoutError, EOFError, httptools.HttpParserError) as error:
                await self._drop()
                raise EngineUnreachable(type(error).__name__) from None
            except asyncio.CancelledError:
                # Half an exchange is under way; nobody could tell whose answer comes next.
                await self._drop()
                raise

    async def close(self) -> None:
        """Close the connection."""
        await self._drop()

    async def _exchange(self, body: bytes) -> bytes:
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(str(self._socket))
        reader, writer = self._streams
        writer.write(_HEAD.format(len(body)).encode() + body)
        await writer.drain()
        answer = _Body()
        parser = httptools.HttpResponseParser(answer)
        while not answer.is_complete:
            data = await reader.read(1 << 18)
            if not data or len(answer.parts) > ANSWER_BYTES_MAX:
                raise EOFError
            parser.feed_data(data)
        if not parser.should_keep_alive():
            await self._drop()
        return bytes(answer.parts)

    async def _drop(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _decoded(decoder: msgspec.json.Decoder[T], raw: bytes) -> T:
    try:
        return decoder.decode(raw)
    except msgspec.DecodeError:
        raise EngineUnreachable("the answer is no JSON-RPC") from None


def _result(answer: _Answer) -> Any:
    if answer.error is not None:
        raise EngineRefused(answer.error.message, answer.error.data)
    return answer.result
