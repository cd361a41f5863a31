"""The embedded engine: one sequencer with group commit.

A block closes when it is full, or when nothing more has arrived for a moment; while its commit waits for the
disk, the loop goes on admitting, so whatever came meanwhile is the next block. Receipts are handed out only
after the batch is durable. Without traffic a heartbeat block moves the time every 20 s.

Any failure to make a block durable stops the engine: what waits is told so, and nothing more is taken.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from careledger.consensus.admission import Admission, Waiting
from careledger.consensus.errors import EngineStopped
from careledger.consensus.frames import Status
from careledger.consensus.solo.header import SoloHeader, compute_header_hash, sign_header
from careledger.ledger.application import Application
from careledger.ledger.checkpoint import Checkpoint, SignedCheckpoint, sign_checkpoint
from careledger.ledger.meta import height_key
from careledger.ledger.port import FinalizeBlockRequest
from careledger.ledger.verification import SignatureCache
from careledger.primitives.codec import encode
from careledger.primitives.hashing import leaf_hash, tree_root
from careledger.primitives.signing import public_key_of
from careledger.state.store import BODIES, HEADERS, META, Tables, WriteBatch

HEARTBEAT_MS = 20_000
GROUP_WAIT_MS = 2
TRANSACTIONS_PER_BLOCK_MAX = 2_000

_LAST_HEADER_KEY = b"solo.last_header_hash"


class SoloEngine:
    """Drives one application as the only sequencer of its ledger."""

    def __init__(
        self,
        *,
        application: Application,
        admission: Admission,
        cache: SignatureCache,
        tables: Tables,
        seed: bytes,
        clock_ms: Callable[[], int],
        heartbeat_ms: int = HEARTBEAT_MS,
        group_wait_ms: int = GROUP_WAIT_MS,
    ) -> None:
        self._application = application
        self._admission = admission
        self._cache = cache
        self._tables = tables
        self._seed = seed
        self._public_key = public_key_of(seed)
        self._clock_ms = clock_ms
        self._heartbeat_ms = heartbeat_ms
        self._group_wait_ms = group_wait_ms
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="ledger-commit")
        self._last_header_hash = self._load_last_header_hash()
        self._task: asyncio.Task[None] | None = None
        self._paused = asyncio.Event()
        self._paused.set()
        self._checkpoint: SignedCheckpoint | None = None
        self.failure: BaseException | None = None
        """What stopped the engine, if it did not stop by itself."""
        self.stopped = asyncio.Event()
        """Set when no further block will be made."""

    @property
    def public_key(self) -> bytes:
        """Key that signs headers and checkpoints."""
        return self._public_key

    def start(self) -> None:
        """Begin making blocks."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Finish the block under way, refuse the rest, and release the disk thread."""
        self._admission.close()
        self._paused.set()
        if self._task is not None:
            self._task.cancel()
            results = await asyncio.gather(self._task, return_exceptions=True)
            # What stopped the engine is in `failure`, for whoever ends the process to say.
            if isinstance(results[0], Exception) and results[0] is not self.failure:
                raise results[0]
        self._admission.abandon(EngineStopped("the ledger has stopped"))
        self._disk.shutdown(wait=True)

    def pause(self) -> None:
        """Make no blocks until `resume`: the outage of the demonstration and of the tests."""
        self._paused.clear()

    def resume(self) -> None:
        """Go on making blocks."""
        self._paused.set()

    def status(self) -> Status:
        """Where the ledger stands."""
        position = self._application.position
        return Status(
            position.chain_id,
            position.height,
            position.time_ms,
            position.app_hash,
            position.frontier.size,
            self._public_key,
            len(self._admission.pool),
            self._admission.signatures_checked,
        )

    def checkpoint(self) -> SignedCheckpoint:
        """Signed checkpoint of the last durable block."""
        position = self._application.position
        current = self._checkpoint
        if current is None or current.checkpoint.height != position.height:
            statement = Checkpoint(
                chain_id=position.chain_id,
                size=position.frontier.size,
                root=position.frontier.root(),
                height=position.height,
                time_ms=position.time_ms,
            )
            current = sign_checkpoint(statement, f"{position.chain_id}/sequencer", self._seed)
            self._checkpoint = current
        return current

    async def _run(self) -> None:
        try:
            while True:
                await self._paused.wait()
                await self._wait_for_work()
                await self._paused.wait()
                limits = self._application.limits
                waiting = self._admission.take(
                    bytes_max=limits.block_bytes_max, operations_max=limits.operations_per_block_max
                )
                # The block under way is finished even when the engine is told to stop.
                await asyncio.shield(self._make_block(waiting))
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self.failure = error
            self._admission.abandon(EngineStopped("a block could not be made durable"))
            raise
        finally:
            self.stopped.set()

    async def _wait_for_work(self) -> None:
        arrived = self._admission.arrived
        if arrived.is_set():
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(arrived.wait(), self._heartbeat_ms / 1_000)
            # A moment for others to join: a block costs one wait for the disk, however full it is.
            await asyncio.sleep(self._group_wait_ms / 1_000)

    async def _make_block(self, waiting: list[Waiting]) -> None:
        application = self._application
        before = application.position
        request = FinalizeBlockRequest(
            height=before.height + 1,
            time_ms=max(self._clock_ms(), before.time_ms + 1),
            txs=tuple(one.raw for one in waiting),
        )
        application.finalize_block(request)
        position = application.pending_position()
        receipts = application.pending_receipts()
        header = SoloHeader(
            version=1,
            chain_id=position.chain_id,
            height=position.height,
            time_ms=position.time_ms,
            previous_hash=self._last_header_hash,
            transactions_root=tree_root([leaf_hash(raw) for raw in request.txs]),
            history_size=position.frontier.size,
            app_hash=position.app_hash,
            sequencer=self._public_key,
        )
        signed = sign_header(header, self._seed)
        header_hash = compute_header_hash(signed.header)
        also = WriteBatch()
        key = height_key(position.height)
        also.put(HEADERS, key, encode(signed))
        also.put(META, _LAST_HEADER_KEY, header_hash)
        if request.txs:
            also.put(BODIES, key, encode(list(request.txs)))
        await asyncio.get_running_loop().run_in_executor(self._disk, application.commit, also)
        self._last_header_hash = header_hash
        for one, receipt in zip(waiting, receipts, strict=True):
            self._cache.forget(one.raw_hash)
            if not one.receipt.done():
                one.receipt.set_result(receipt)

    def _load_last_header_hash(self) -> bytes:
        with self._tables.snapshot() as reader:
            return reader.get(META, _LAST_HEADER_KEY) or b""
