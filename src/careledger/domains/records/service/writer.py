"""The one write path: requests are collected, written in one durable transaction, and brought onto the ledger.

A thread of its own runs the database transactions, so the event loop never waits for the disk. What a request
wrote is durable when it is answered; whether it is `committed` or still `pending` on the ledger depends on
whether the receipt came within a bounded time. A ledger that is out of reach delays only that: charting goes
on, and the batches wait in the database.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from careledger.domains.records.chain import keeper
from careledger.domains.records.service import erasure, schema
from careledger.domains.records.service.changes import (
    Change,
    Condition,
    Ticket,
    WriteRequest,
    WriteResult,
    Written,
)
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.erasure import Basis, Erased, Eraser
from careledger.domains.records.service.errors import QUEUE_FULL
from careledger.domains.records.service.group import Group, GroupResult
from careledger.domains.records.service.index.index import Index
from careledger.domains.records.service.index.schema import COMPONENT as INDEX_COMPONENT
from careledger.domains.records.service.index.schema import MIGRATIONS as INDEX_MIGRATIONS
from careledger.domains.records.service.outbox import Batch, insert_batch, read_waiting
from careledger.domains.records.service.recovery import RESTORED, find_place_again, is_marked
from careledger.domains.records.service.repair import repair_batch
from careledger.domains.records.service.rows import fetch_value
from careledger.domains.records.service.streams import PatientKeys, Registry
from careledger.domains.records.service.submitter import Submitter
from careledger.primitives.errors import Unavailable
from careledger.sdk.messages import Message
from careledger.standards.fhir.search.extract import Extractor
from careledger.storage.faults import declare, fault_point
from careledger.storage.sqlite import Connection

REQUESTS_MAX = 10_000
_LAZY_CONFIRM_S = 0.05

BEFORE_GROUP = declare("records.before_group")
INSIDE_GROUP = declare("records.inside_group")
AFTER_GROUP = declare("records.after_group")

T = TypeVar("T")


class RecordWriter:
    """Writes a site's records. Use `start`, then `write`, then `stop`."""

    def __init__(
        self,
        site: SiteContext,
        *,
        extractor: Extractor,
        patient_keys: PatientKeys,
        link_key: bytes,
        cut_backups: Callable[[], None] = lambda: None,
    ) -> None:
        """Build the write path.

        Args:
            site: who and where.
            extractor: finds index rows in resources.
            patient_keys: gives keys for patients who bring none.
            link_key: authenticates page links of searches.
            cut_backups: replaces key backups after an erasure.
        """
        self._site = site
        self._extractor = extractor
        self._patient_keys = patient_keys
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"{site.slug}-writer")
        self.registry = Registry(site)
        self._link_key = link_key
        self._cut_backups = cut_backups
        self._index: Index | None = None
        self._eraser: Eraser | None = None
        self._requests: list[WriteRequest] = []
        self._requested = asyncio.Event()
        self._work = asyncio.Event()
        self._waiting: set[int] = set()
        self._queued: dict[int, Ticket] = {}
        self._has_queued = False
        self._tickets: dict[int, list[tuple[Ticket, int]]] = {}
        self._submitter = Submitter(
            site, on_receipt=self._on_receipt, on_refused=self._on_refused, run=self._run
        )
        self._confirmed: list[tuple[int, int]] = []
        self._refused: list[int] = []
        self._loop_task: asyncio.Task[None] | None = None
        self.failure: BaseException | None = None
        """What stopped the write path: after it nothing is acknowledged any more."""

    # -- life ----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bring the tables up to date, take up what the last run left, and begin."""
        await self._run(self._open)
        waiting = await self.in_transaction(read_waiting)
        self._waiting = {batch.row for batch in waiting}
        self._has_queued = bool(await self.in_transaction(_count_queued))
        for batch in waiting:
            self._submitter.start(batch)
        self._loop_task = asyncio.get_running_loop().create_task(self._write_groups())
        if self._has_queued:
            self._work.set()

    async def stop(self) -> None:
        """Finish the group under way; batches without a receipt stay for the next start."""
        await self._submitter.stop()
        if self._loop_task is not None:
            self._loop_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop_task
        if self._confirmed and self.failure is None:
            await self._run(self._write_group, [], self._confirmed)
            self._confirmed = []
        self._thread.shutdown(wait=True)

    # -- writing -------------------------------------------------------------------------------------------

    async def write(
        self,
        changes: Sequence[Change] = (),
        *,
        condition: Condition | None = None,
        also: Callable[[Connection, Sequence[Written]], None] | None = None,
        wait_ms: int | None = None,
    ) -> WriteResult:
        """Write changes all or none; answers once they are durable here.

        Args:
            changes: what to write, unless a condition decides.
            condition: decides inside the transaction, seeing everything written before.
            also: further rows of the same transaction.
            wait_ms: how long to wait for the ledger; the site's setting by default.

        Raises:
            Rejected: A change is refused; nothing of the request was written.
            Unavailable: The queue is full, or the site's storage has failed.
        """
        if self.failure is not None or len(self._requests) >= REQUESTS_MAX:
            raise Unavailable(QUEUE_FULL)
        answer: asyncio.Future[tuple[tuple[Written, ...], Ticket]] = (
            asyncio.get_running_loop().create_future()
        )
        self._requests.append(WriteRequest(changes, condition, answer, also))
        self._requested.set()
        self._work.set()
        written, ticket = await answer
        wait_ms = self._site.settings.commit_wait_ms if wait_ms is None else wait_ms
        if ticket.left and wait_ms:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ticket.done.wait(), wait_ms / 1_000)
        return WriteResult(written=written, is_committed=ticket.left == 0, ticket=ticket)

    async def in_transaction(self, act: Callable[[Connection], T]) -> T:
        """Run a function on the writer's connection in a durable transaction of its own."""

        def run() -> T:
            with self._site.database.immediate() as connection:
                return act(connection)

        return await self._run(run)

    async def send(
        self, kind: int, message: Message, act: Callable[[Connection, Batch], None] | None = None
    ) -> Ticket:
        """Keep a message as a batch, with further rows of the same transaction, and bring it onto the ledger."""

        def insert(connection: Connection) -> Batch:
            batch = insert_batch(connection, self._site, kind, message)
            if act is not None:
                act(connection, batch)
            return batch

        return self.follow(await self.in_transaction(insert))

    def follow(self, batch: Batch) -> Ticket:
        """Bring a batch that is already kept onto the ledger."""
        ticket = Ticket(left=1)
        self._waiting.add(batch.row)
        self._tickets[batch.row] = [(ticket, 1)]
        self._submitter.start(batch)
        return ticket

    async def erase(self, resource_type: str, resource_id: str, *, basis: Basis, decided_by: str) -> Erased:
        """Erase every version of a resource, in this store and in every backup.

        Raises:
            Rejected: ERASURE_HELD, RESOURCE_UNKNOWN.
        """
        eraser = self._eraser
        if eraser is None:
            raise RuntimeError("the writer was not started")
        return await self._run(
            lambda: eraser.erase(resource_type, resource_id, basis=basis, decided_by=decided_by)
        )

    @property
    def index(self) -> Index:
        """The search index; written by this writer's thread only.

        Raises:
            RuntimeError: The writer was not started.
        """
        if self._index is None:
            raise RuntimeError("the writer was not started")
        return self._index

    @property
    def pending_batches(self) -> int:
        """Batches that have no receipt yet."""
        return len(self._waiting)

    async def flush(self) -> None:
        """Wait until everything written so far is on the ledger and marked so."""
        while self._requests or self._waiting or self._confirmed or self._has_queued or self._queued:
            if self.failure is not None:
                raise Unavailable(QUEUE_FULL, "the write path has stopped")
            self._work.set()
            await asyncio.sleep(0.005)

    # -- the loop ------------------------------------------------------------------------------------------

    async def _write_groups(self) -> None:
        settings = self._site.settings
        try:
            while True:
                await self._work.wait()
                if not self._requests and not self._has_queued:
                    # Only receipts to note: they can be read from the ledger again, so they wait for company.
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._requested.wait(), _LAZY_CONFIRM_S)
                elif len(self._requests) < settings.group_changes_max and settings.write_group_ms:
                    await asyncio.sleep(settings.write_group_ms / 1_000)
                await self._one_group()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self.failure = error
            for request in self._requests:
                if not request.answer.done():
                    request.answer.set_exception(Unavailable(QUEUE_FULL, "the site's storage has failed"))
            raise

    async def _one_group(self) -> None:
        self._work.clear()
        self._requested.clear()
        requests = self._take_requests()
        confirmed, self._confirmed = self._confirmed, []
        refused, self._refused = self._refused, []
        try:
            result = await self._run(self._write_group, requests, confirmed, refused)
        except BaseException:
            for request in requests:
                if not request.answer.done():
                    request.answer.set_exception(Unavailable(QUEUE_FULL, "the site's storage has failed"))
            raise
        self._waiting.difference_update(row for row, _ in confirmed)
        self._waiting.difference_update(refused)
        self._has_queued = bool(self._refused)
        for batch, counts in result.batches:
            self._tickets[batch.row] = [(result.tickets[number], count) for number, count in counts.items()]
            self._waiting.add(batch.row)
            self._submitter.start(batch)
        for request, answer, ticket in result.answers:
            if request.answer.done():
                continue
            if isinstance(answer, Exception):
                request.answer.set_exception(answer)
            else:
                if ticket.left == 0:
                    ticket.done.set()
                request.answer.set_result((answer, ticket))
        if self._requests or self._confirmed or self._refused:
            self._work.set()

    def _take_requests(self) -> list[WriteRequest]:
        taken: list[WriteRequest] = []
        count = 0
        while self._requests and (not taken or count < self._site.settings.group_changes_max):
            request = self._requests.pop(0)
            taken.append(request)
            count += max(1, len(request.changes))
        return taken

    def _on_receipt(self, row: int, height: int) -> None:
        """Called in the event loop when a batch's receipt is durable."""
        self._confirmed.append((row, height))
        for ticket, count in self._tickets.pop(row, ()):
            ticket.left -= count
            if ticket.left <= 0:
                ticket.done.set()
        self._work.set()

    def _on_refused(self, row: int) -> None:
        """Called in the event loop when a batch was refused for good: its entries go into other batches."""
        self._refused.append(row)
        self._has_queued = True
        self._work.set()

    # -- on the writer thread ------------------------------------------------------------------------------

    def _open(self) -> None:
        database = self._site.database
        database.migrate(INDEX_COMPONENT, INDEX_MIGRATIONS)
        database.migrate(schema.COMPONENT, schema.MIGRATIONS)
        database.migrate(erasure.COMPONENT, erasure.MIGRATIONS)
        with database.immediate() as connection:
            self._index = Index(connection, self._link_key, extractor=self._extractor)
            self.registry.open_directory(connection)
            is_restored = is_marked(connection, RESTORED)
        self._eraser = Eraser(self._site, self.registry, self._index, cut_backups=self._cut_backups)
        self._eraser.resume()
        if is_restored:
            find_place_again(self._site, self.registry, self._index, self._find_entry)

    def _write_group(
        self,
        requests: Sequence[WriteRequest],
        confirmed: Sequence[tuple[int, int]],
        refused: Sequence[int] = (),
    ) -> GroupResult:
        if self._index is None:
            raise RuntimeError("the writer was not started")
        fault_point(BEFORE_GROUP)
        waiting, queued = set(self._waiting), dict(self._queued)
        try:
            with self._site.database.immediate() as connection:
                group = Group(
                    connection,
                    site=self._site,
                    registry=self.registry,
                    index=self._index,
                    extractor=self._extractor,
                    patient_keys=self._patient_keys,
                    waiting=waiting,
                    queued=queued,
                )
                for row in refused:
                    repair_batch(connection, self._site, self.registry, self._find_entry, row)
                    waiting.discard(row)
                group.confirm(confirmed, is_forced=bool(refused) or self._has_queued)
                for request in requests:
                    group.add(request)
                group.finish()
                fault_point(INSIDE_GROUP)
        except BaseException:
            self.registry.forget()
            raise
        fault_point(AFTER_GROUP)
        self._queued = queued
        return group.result

    def _find_entry(self, tag: bytes) -> bytes | None:
        with self._site.view.at_head() as view:
            entry = keeper.record_entry(view.store, self._site.organisation, tag)
        return None if entry is None else entry.commitment

    async def _run(self, act: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, act, *arguments)


def _count_queued(connection: Connection) -> int:
    return int(fetch_value(connection, "SELECT count(*) FROM entry WHERE batch = 0"))
