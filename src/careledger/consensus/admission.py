"""The way in: checks, signature checks, and a bounded pool of what waits for a block.

A transaction is checked without state, against the local clock and the seen-set, then its signatures go to
the worker process, and it joins the pool. A full pool refuses with QUEUE_FULL: back-pressure, not memory.
The result of every signature check is kept under the hash of all envelope bytes, so it is made once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from careledger.consensus.errors import EngineStopped
from careledger.consensus.workers import VerifierPool
from careledger.ledger.application import Application
from careledger.ledger.errors import BAD_SIGNATURE, QUEUE_FULL, STOPPING
from careledger.ledger.execution import Prepared
from careledger.ledger.receipt import Receipt
from careledger.ledger.verification import SignatureCache
from careledger.primitives.codec import decode
from careledger.primitives.errors import Rejected, Unavailable

POOL_TRANSACTIONS_MAX = 20_000
POOL_BYTES_MAX = 64 * 1024 * 1024


@dataclass(slots=True)
class Waiting:
    """One admitted transaction and who waits for its receipt."""

    raw: bytes
    raw_hash: bytes
    operations: int
    receipt: asyncio.Future[bytes]


class Admission:
    """Everything between the socket and the block."""

    def __init__(
        self,
        application: Application,
        workers: VerifierPool,
        cache: SignatureCache,
        *,
        clock_ms: Callable[[], int],
        transactions_max: int = POOL_TRANSACTIONS_MAX,
        bytes_max: int = POOL_BYTES_MAX,
    ) -> None:
        self._application = application
        self._workers = workers
        self._cache = cache
        self._clock_ms = clock_ms
        self._transactions_max = transactions_max
        self._bytes_max = bytes_max
        self._held = 0
        self._held_bytes = 0
        self._by_raw: dict[bytes, asyncio.Future[bytes]] = {}
        self._closed = False
        self.pool: deque[Waiting] = deque()
        self.arrived = asyncio.Event()
        """Set whenever the pool is not empty."""

    @property
    def signatures_checked(self) -> int:
        """Signatures checked by the worker so far."""
        return self._workers.checked

    def enqueue(self, raw: bytes) -> asyncio.Future[bytes]:
        """Take a transaction in; the future gives the encoded receipt once its block is durable.

        The future fails with Rejected where a signature does not stand, and with EngineStopped.

        Raises:
            Rejected: It cannot be valid now.
            Unavailable: The pool is full, or the ledger is stopping; retry.
        """
        same = self._by_raw.get(raw)
        if same is not None:
            return same
        if self._closed:
            raise Unavailable(STOPPING)
        if self._held >= self._transactions_max or self._held_bytes + len(raw) > self._bytes_max:
            raise Unavailable(QUEUE_FULL)
        prepared = self._application.prepare_transaction(raw, now_ms=self._clock_ms())
        receipt: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._by_raw[raw] = receipt
        self._held += 1
        self._held_bytes += len(raw)
        receipt.add_done_callback(lambda _: self._release(raw))
        check = self._workers.verify(prepared.transaction)
        check.add_done_callback(lambda done: self._checked(done, raw, prepared, receipt))
        return receipt

    async def submit(self, raw: bytes) -> Receipt:
        """Take a transaction in and wait for its durable receipt; see `enqueue`."""
        return decode(await asyncio.shield(self.enqueue(raw)), Receipt)

    def _checked(
        self, check: asyncio.Future[bool], raw: bytes, prepared: Prepared, receipt: asyncio.Future[bytes]
    ) -> None:
        """Go on once the worker has said whether the signatures stand."""
        if receipt.done():
            return
        if check.cancelled() or check.exception() is not None:
            self._application.forget_prepared(raw)
            receipt.set_exception(EngineStopped("the signatures could not be checked"))
        elif not check.result():
            self._application.forget_prepared(raw)
            receipt.set_exception(Rejected(BAD_SIGNATURE))
        else:
            self._cache.put(prepared.transaction.raw_hash, result=True)
            self.pool.append(Waiting(raw, prepared.transaction.raw_hash, prepared.operations, receipt))
            self.arrived.set()

    def close(self) -> None:
        """Refuse what comes from now on."""
        self._closed = True

    def abandon(self, error: Exception) -> None:
        """Fail everything that waits: its outcome is unknown to this process."""
        self.close()
        self.pool.clear()
        for future in list(self._by_raw.values()):
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever still waits is told; nobody waiting is no error

    def take(self, *, bytes_max: int, operations_max: int) -> list[Waiting]:
        """Take what fits into one block, in order of arrival."""
        chosen: list[Waiting] = []
        while self.pool:
            head = self.pool[0]
            if chosen and (len(head.raw) > bytes_max or head.operations > operations_max):
                break
            chosen.append(self.pool.popleft())
            bytes_max -= len(head.raw)
            operations_max -= head.operations
        if not self.pool:
            self.arrived.clear()
        return chosen

    def _release(self, raw: bytes) -> None:
        del self._by_raw[raw]
        self._held -= 1
        self._held_bytes -= len(raw)
