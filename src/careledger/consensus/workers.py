"""Signature checks in a spawned process, so that they never stand in the way of execution.

Verifier threads starve beside a running interpreter, and a forked child would inherit open stores; hence a
spawned process. Whatever has come together while a message was under way goes out as the next message, so
messages grow with the load (at most `BATCH_MAX` signatures, two under way).

A worker that dies is replaced and given its unanswered messages again.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import deque

from careledger.consensus.verifier_process import HEADER
from careledger.ledger.transaction import Transaction, signing_bytes
from careledger.primitives.signing import SIGNATURE_BYTES

BATCH_MAX = 512
IN_FLIGHT_MAX = 2
RESTARTS_MAX = 5

_MESSAGE_BYTES = len(signing_bytes(bytes(32)))

_Check = tuple[list[bytes], "asyncio.Future[bool]"]


class _Link(asyncio.Protocol):
    """Our end of the worker's socket."""

    def __init__(self, pool: VerifierPool) -> None:
        self._pool = pool

    def data_received(self, data: bytes) -> None:
        """Take answer bytes."""
        self._pool.take_answers(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Replace the worker, unless this is the end."""
        del exc
        self._pool.lost()


class VerifierPool:
    """Checks the signatures of transactions in one spawned process."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._transport: asyncio.Transport | None = None
        self._answers = bytearray()
        self._waiting: deque[_Check] = deque()
        self._in_flight: deque[list[_Check]] = deque()
        self._restarts = 0
        self._restarting: asyncio.Task[None] | None = None
        self._closing = False
        self.checked = 0
        """Signatures checked so far."""

    async def start(self) -> None:
        """Start the worker process."""
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "careledger.consensus.verifier_process", str(theirs.fileno())]
        self._process = await asyncio.create_subprocess_exec(
            *command, pass_fds=(theirs.fileno(),), stdin=asyncio.subprocess.DEVNULL
        )
        theirs.close()
        self._answers.clear()
        ours.setblocking(False)
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: _Link(self), sock=ours)
        self._transport = transport

    async def close(self) -> None:
        """Stop the worker; unanswered checks are cancelled."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()
        if self._process is not None:
            try:
                await asyncio.wait_for(self._process.wait(), 2)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        for batch in (*self._in_flight, list(self._waiting)):
            for _, future in batch:
                future.cancel()

    def verify(self, transaction: Transaction) -> asyncio.Future[bool]:
        """Ask for one transaction's signatures; the future says whether all stand."""
        message = signing_bytes(transaction.tx_id)
        signatures = transaction.signatures
        items = [
            signer + signatures[i * SIGNATURE_BYTES : (i + 1) * SIGNATURE_BYTES] + message
            for i, signer in enumerate(transaction.content.signers)
        ]
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        if not self._waiting:
            # The callers of this turn of the loop join the same message.
            loop.call_soon(self._send)
        self._waiting.append((items, future))
        return future

    def take_answers(self, data: bytes) -> None:
        """Resolve the checks that these answer bytes complete."""
        self._answers += data
        while self._in_flight:
            batch = self._in_flight[0]
            count = sum(len(items) for items, _ in batch)
            if len(self._answers) < count:
                break
            answer = bytes(self._answers[:count])
            del self._answers[:count]
            self._in_flight.popleft()
            self.checked += count
            position = 0
            for items, future in batch:
                stands = all(answer[position : position + len(items)])
                position += len(items)
                if not future.done():
                    future.set_result(stands)
        self._send()

    def lost(self) -> None:
        """Replace a worker that is gone."""
        self._transport = None
        if not self._closing:
            self._restarting = asyncio.get_running_loop().create_task(self._restart())

    def _send(self) -> None:
        while self._transport is not None and self._waiting and len(self._in_flight) < IN_FLIGHT_MAX:
            batch: list[_Check] = []
            count = 0
            while self._waiting and count < BATCH_MAX:
                check = self._waiting.popleft()
                batch.append(check)
                count += len(check[0])
            self._in_flight.append(batch)
            self._write(batch)

    def _write(self, batch: list[_Check]) -> None:
        if self._transport is not None:
            items = [item for items, _ in batch for item in items]
            self._transport.write(HEADER.pack(len(items), _MESSAGE_BYTES) + b"".join(items))

    async def _restart(self) -> None:
        self._restarts += 1
        if self._restarts > RESTARTS_MAX:
            error = RuntimeError("the signature worker died too often")
            for batch in (*self._in_flight, list(self._waiting)):
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
            raise error
        await self.start()
        for batch in self._in_flight:
            self._write(batch)
        self._send()
