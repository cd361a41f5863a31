"""Bringing batches onto the ledger, whatever becomes of the ledger meanwhile.

A batch is submitted as it is until its receipt is there. One that has expired is signed anew; one whose entries
are already on the ledger with the same commitments is done, however that came about. Codes that another try
cannot mend are logged and tried again slowly: the records are durable here, and an operator must act.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from careledger.domains.records.chain import keeper
from careledger.domains.records.chain.errors import TAG_TAKEN
from careledger.domains.records.chain.messages import CommitAccess, CommitRecords, CreateCells
from careledger.domains.records.chain.types import CELL_CONTENTS_BYTES, compute_cell_id
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.outbox import Batch, read_message, sign_anew
from careledger.domains.records.service.schema import BATCH_RECORDS
from careledger.ledger.errors import DUPLICATE, EXPIRED, EXPIRY_TOO_FAR
from careledger.primitives.errors import Rejected, Unavailable
from careledger.sdk.messages import Message
from careledger.storage.faults import declare, fault_point

BEFORE_SUBMIT = declare("records.before_submit")
AFTER_RECEIPT = declare("records.after_receipt")

_SLOW_RETRY_S = 10.0
_LOG = logging.getLogger(__name__)

T = TypeVar("T")


class Submitter:
    """One task for each batch under way."""

    def __init__(
        self,
        site: SiteContext,
        *,
        on_receipt: Callable[[int, int], None],
        on_refused: Callable[[int], None],
        run: Callable[..., Awaitable[T]],
    ) -> None:
        self._site = site
        self._on_receipt = on_receipt
        self._on_refused = on_refused
        self._run: Callable[..., Awaitable[object]] = run
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, batch: Batch) -> None:
        """Begin to bring a batch onto the ledger."""
        task = asyncio.get_running_loop().create_task(self._bring(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Let go of all batches; they are in the database."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _bring(self, batch: Batch) -> None:
        wait_ms = batch.not_before_ms - self._site.clock_ms()
        if wait_ms > 0:
            await asyncio.sleep(wait_ms / 1_000)
        while True:
            fault_point(BEFORE_SUBMIT)
            try:
                if batch.expires_at_ms <= self._site.clock_ms():
                    batch = await self._sign_anew(batch)
                receipt = await self._site.ledger.submit(batch.raw)
                code = receipt.rejection()
            except Rejected as refusal:
                receipt, code = None, refusal.code
            except Unavailable:
                await asyncio.sleep(self._site.settings.retry_ms / 1_000)
                continue
            height = receipt.height if receipt is not None and code is None else None
            if height is None:
                height = await self._find_on_ledger(batch)
            if height is not None:
                fault_point(AFTER_RECEIPT)
                self._on_receipt(batch.row, height)
                return
            if code is TAG_TAKEN and batch.kind == BATCH_RECORDS:
                self._on_refused(batch.row)
                return
            if code in (EXPIRED, EXPIRY_TOO_FAR, DUPLICATE):
                batch = await self._sign_anew(batch)
                continue
            _LOG.error(
                "batch refused by the ledger", extra={"code": code.name if code else "", "batch": batch.row}
            )
            await asyncio.sleep(_SLOW_RETRY_S)
            batch = await self._sign_anew(batch)

    async def _sign_anew(self, batch: Batch) -> Batch:
        def sign() -> Batch:
            with self._site.database.immediate() as connection:
                return sign_anew(connection, self._site, batch.row)

        signed = await self._run(sign)
        if not isinstance(signed, Batch):
            raise TypeError("signing anew gives a batch")
        return signed

    async def _find_on_ledger(self, batch: Batch) -> int | None:
        """Height of a batch whose entries are all there with the same commitments."""

        def read() -> Message:
            with self._site.database.snapshot() as connection:
                return read_message(connection, batch.row)

        message = await self._run(read)
        if isinstance(message, (CommitRecords, CommitAccess)):
            return self._find_entries(message)
        if isinstance(message, CreateCells):
            return self._find_cells(message)
        return None

    def _find_entries(self, message: CommitRecords | CommitAccess) -> int | None:
        find = keeper.record_entry if isinstance(message, CommitRecords) else keeper.access_entry
        height = 0
        with self._site.view.at_head() as view:
            for at in range(0, len(message.tags), 32):
                entry = find(view.store, message.organisation, message.tags[at : at + 32])
                if entry is None or entry.commitment != message.commitments[at : at + 32]:
                    return None
                height = max(height, entry.height)
        return height

    def _find_cells(self, message: CreateCells) -> int | None:
        with self._site.view.at_head() as view:
            for at in range(0, len(message.cells), CELL_CONTENTS_BYTES):
                contents = message.cells[at : at + CELL_CONTENTS_BYTES]
                cell = compute_cell_id(self._site.chain_id, message.organisation, contents)
                if keeper.cell(view.store, cell) is None:
                    return None
            return view.height
