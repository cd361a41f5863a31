"""From the node's own clients to the engine's pool, and back with the receipt.

Admission has checked a transaction and its signatures; from there it goes to the engine in batches. Its client
waits until a block that carries it is durable *here*. What a block settles is told by the exact bytes; what was
settled before it came here, by the receipt of its transaction id.

The engine's pool is memory: what was in it when the engine died is gone. Whoever waits is told so when the
process ends, and submits again; a transaction that was processed after all is then a duplicate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from careledger.consensus.admission import Admission, Waiting
from careledger.consensus.cometbft.config import BLOCK_BYTES_MAX, RPC_BATCH_MAX
from careledger.consensus.cometbft.rpc import EngineUnreachable
from careledger.consensus.errors import EngineStopped
from careledger.ledger.application import Application
from careledger.ledger.errors import DUPLICATE, EXPIRED, QUEUE_FULL, TOO_LARGE, UNREACHABLE
from careledger.ledger.meta import TX_INDEX
from careledger.ledger.transaction import decode_transaction
from careledger.primitives.codec import decode_plain, encode
from careledger.primitives.errors import Rejected, Unavailable
from careledger.state.store import RECEIPTS, Tables

RETRY_MS = 200
LOOK_AGAIN_MS = 15_000
"""After so long without a block, a transaction is handed to the engine once more, or given up if expired."""

_log = structlog.get_logger(__name__)


class Broadcaster(Protocol):
    """Hands transactions to the engine."""

    async def broadcast(self, txs: Sequence[bytes]) -> list[str]:
        """Return for each why it was not taken, or nothing.

        Raises:
            EngineUnreachable: There was no answer.
        """


@dataclass(slots=True)
class _Sent:
    waiting: Waiting
    sent_ms: int


class Submissions:
    """Everything that was handed to the engine and waits for its block."""

    def __init__(
        self,
        *,
        application: Application,
        admission: Admission,
        tables: Tables,
        rpc: Broadcaster,
        clock_ms: Callable[[], int],
    ) -> None:
        self._application = application
        self._admission = admission
        self._tables = tables
        self._rpc = rpc
        self._clock_ms = clock_ms
        self._sent: dict[bytes, _Sent] = {}
        self._task: asyncio.Task[None] | None = None
        self._looked_ms = 0

    def start(self) -> None:
        """Begin handing over."""
        self._task = asyncio.get_running_loop().create_task(self._hand_over())

    async def close(self) -> None:
        """Take nothing more; whoever waits is told that the outcome is not known here."""
        self._admission.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._admission.abandon(EngineStopped("the ledger has stopped"))
        self._sent.clear()

    def committed(self, txs: Sequence[bytes], receipts: Sequence[bytes]) -> None:
        """Answer those whose transactions the block carried."""
        if self._sent:
            for raw, receipt in zip(txs, receipts, strict=True):
                sent = self._sent.pop(raw, None)
                if sent is not None and not sent.waiting.receipt.done():
                    sent.waiting.receipt.set_result(receipt)
        now_ms = self._clock_ms()
        if now_ms - self._looked_ms >= LOOK_AGAIN_MS:
            self._looked_ms = now_ms
            self._look_again(now_ms)

    def refused(self, raw: bytes, rejection: Rejected) -> None:
        """Answer whoever waits for bytes that the pool was told not to take."""
        sent = self._sent.pop(raw, None)
        if sent is not None:
            self._settle(sent.waiting, rejection)

    async def _hand_over(self) -> None:
        admission = self._admission
        while True:
            await admission.arrived.wait()
            batch = admission.take(bytes_max=BLOCK_BYTES_MAX, operations_max=1 << 62)
            for start in range(0, len(batch), RPC_BATCH_MAX):
                await self._send(batch[start : start + RPC_BATCH_MAX])

    async def _send(self, batch: Sequence[Waiting]) -> None:
        now_ms = self._clock_ms()
        for one in batch:
            self._sent[one.raw] = _Sent(one, now_ms)
        refusals: list[str] | None = None
        while refusals is None:
            try:
                refusals = await self._rpc.broadcast([one.raw for one in batch])
            except EngineUnreachable:
                # It is starting, or gone, and then this process ends soon; nothing is lost by trying again.
                await asyncio.sleep(RETRY_MS / 1_000)
        for one, refusal in zip(batch, refusals, strict=True):
            if refusal:
                self._not_taken(one, refusal)

    def _not_taken(self, waiting: Waiting, refusal: str) -> None:
        if "already exists in cache" in refusal:
            # It waits in the pool, or was in a block before: then there is a receipt.
            receipt = self._receipt_of(waiting.raw)
            if receipt is None:
                return
            error: Exception = Rejected(DUPLICATE)
        elif "mempool is full" in refusal:
            error = Unavailable(QUEUE_FULL)
        elif "too large" in refusal:
            error = Rejected(TOO_LARGE)
        else:
            _log.warning("the engine took a transaction not", reason=refusal)
            error = Unavailable(UNREACHABLE, "the engine did not take it")
        self._sent.pop(waiting.raw, None)
        self._settle(waiting, error)

    def _settle(self, waiting: Waiting, error: Exception) -> None:
        if waiting.receipt.done():
            return
        is_duplicate = isinstance(error, Rejected) and error.code == DUPLICATE
        receipt = self._receipt_of(waiting.raw) if is_duplicate else None
        if receipt is not None:
            waiting.receipt.set_result(receipt)
        else:
            waiting.receipt.set_exception(error)

    def _look_again(self, now_ms: int) -> None:
        """Give up what has expired by block time, and hand the rest to the engine once more."""
        again = []
        block_time_ms = self._application.position.time_ms
        for raw, sent in list(self._sent.items()):
            if now_ms - sent.sent_ms < LOOK_AGAIN_MS:
                continue
            if decode_transaction(raw).content.expires_at_ms <= block_time_ms:
                del self._sent[raw]
                self._settle(sent.waiting, Rejected(EXPIRED))
            else:
                again.append(sent.waiting)
        if again:
            self._admission.pool.extend(again)
            self._admission.arrived.set()

    def _receipt_of(self, raw: bytes) -> bytes | None:
        """Encoded receipt of a transaction that was processed already, if it is still kept."""
        tx_id = decode_transaction(raw).tx_id
        with self._tables.snapshot() as reader:
            where = reader.get(TX_INDEX, tx_id)
            receipts = reader.get(RECEIPTS, where[:8]) if where else None
        if where is None or receipts is None:
            return None
        return encode(decode_plain(receipts)[int.from_bytes(where[8:], "big")])
