"""The access log: every look is durable here before it is answered, and on the ledger soon after.

Looks of one reader at one patient's record within a second are one entry; what else they looked at in that
second follows in a second entry, which nobody waits for. Entries wait in the table `access` until a batch
carries them onto the ledger. A disclosure to another organisation does not wait in company: its entry goes out
at once, and whoever discloses waits for the receipt.

Owns positions, salts and batches of access entries. Does not decide who may look.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from careledger.domains.records.chain import keeper
from careledger.domains.records.service.audit_events import (
    RESOURCES_MAX,
    SALT_BYTES,
    Access,
    Action,
    access_commitment,
    build_event,
)
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.errors import LEDGER_SLOW
from careledger.domains.records.service.outbox import (
    ACCESS_ENTRIES_MAX,
    Batch,
    build_entries_message,
    insert_batch,
)
from careledger.domains.records.service.rows import fetch_all
from careledger.domains.records.service.schema import BATCH_ACCESS
from careledger.domains.records.service.streams import DIRECTORY, NewEntry, Subject, access_key_name
from careledger.domains.records.service.writer import RecordWriter
from careledger.primitives.errors import Unavailable
from careledger.storage.faults import declare, fault_point
from careledger.storage.sqlite import Connection
from careledger.vault.errors import KeyNotHeld
from careledger.vault.keys import IndexKey
from careledger.vault.streams import tag

COALESCE_MS: Final = 1_000
LEDGER_INTERVAL_S: Final = 0.25
DISCLOSURE_WAIT_S: Final = 10.0
KEYS_CACHED: Final = 20_000

AFTER_LOG: Final = declare("audit.after_log")
AFTER_COMMIT: Final = declare("audit.after_commit")

_NEW: Final = (
    "INSERT INTO access (subject, position, commitment, batch, event_ms, salt, event) "
    "VALUES (?, ?, ?, 0, ?, ?, ?)"
)
_QUEUED: Final = "SELECT row, subject, position, commitment FROM access WHERE batch = 0 ORDER BY row LIMIT ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """One access entry."""

    subject: int
    position: int
    tag: bytes
    commitment: bytes
    salt: bytes
    event: bytes
    event_ms: int
    height: int = 0
    """Block that carries it; 0 while it is not on the ledger."""


_Key = tuple[str, str, str | None, Action]


@dataclass(slots=True)
class _Span:
    """Looks of one reader at one patient within a second."""

    access: Access
    started_ms: int
    durable: asyncio.Future[None]
    named: set[str] = field(default_factory=set)
    """Resources named in an entry already."""
    later: dict[str, None] = field(default_factory=dict)
    """Resources looked at after the entry was written."""
    looks: int = 1


class AuditRecorder:
    """Writes a site's access log. Use `start` after the writer's, and `stop` before it."""

    def __init__(self, site: SiteContext, writer: RecordWriter) -> None:
        self._site = site
        self._writer = writer
        self._spans: OrderedDict[_Key, _Span] = OrderedDict()
        self._waiting: list[tuple[Access, int, asyncio.Future[None] | None]] = []
        self._wake = asyncio.Event()
        self._keys: OrderedDict[int, IndexKey] = OrderedDict()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Make the key of what belongs to no patient if it is not there, and begin."""
        await self._writer.in_transaction(self._open)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._write_groups()), loop.create_task(self._bring_batches())]

    async def stop(self) -> None:
        """Write what is waiting and stop; batches go on at the next start."""
        self._close_spans(everything=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._write_waiting()

    # -- logging -------------------------------------------------------------------------------------------

    async def record(self, access: Access) -> None:
        """Log one look; returns once it is durable here, or covered by an entry that is.

        Raises:
            Unavailable: It cannot be made durable: nothing may be answered.
        """
        now_ms = self._site.clock_ms()
        reader = access.reader
        key = (reader.organisation, reader.identifier, access.patient_id, access.action)
        span = self._spans.get(key)
        if span is not None and now_ms - span.started_ms < COALESCE_MS and _covers(span, access):
            span.looks += 1
            for resource in access.resources:
                if resource not in span.named:
                    span.later[resource] = None
            if not span.durable.done():
                await asyncio.shield(span.durable)
            return
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if span is not None:
            self._close(span)
        self._spans[key] = _Span(access, now_ms, durable, set(access.resources))
        self._spans.move_to_end(key)
        self._waiting.append((access, 1, durable))
        self._wake.set()
        await asyncio.shield(durable)

    async def commit(self, access: Access) -> Logged:
        """Log a disclosure and bring its entry onto the ledger; returns once it is on the local view, too.

        Raises:
            Unavailable: The ledger did not take it in time: nothing may be disclosed.
        """
        logged: list[Logged] = []
        batches: list[Batch] = []

        def write(connection: Connection, _: object) -> None:
            logged.extend(self.insert(connection, [access]))
            batches.extend(self._make_batches(connection))

        await self._writer.write((), also=write, wait_ms=0)
        fault_point(AFTER_LOG)
        entry = logged[0]
        await self._bring(batches)
        height = await self.wait_on_ledger(self._site.organisation, entry.tag)
        fault_point(AFTER_COMMIT)
        return replace(entry, height=height)

    async def commit_nothing(self) -> int:
        """Bring an entry onto the ledger that stands for nobody, and take as long as `commit` does; its height."""
        noise = NewEntry(0, os.urandom(32), os.urandom(32))
        message = build_entries_message(self._site, BATCH_ACCESS, [noise])
        ticket = await self._writer.send(BATCH_ACCESS, message)
        await _within(ticket.done.wait())
        return await self.wait_on_ledger(self._site.organisation, noise.tag)

    def insert(self, connection: Connection, accesses: Iterable[Access]) -> list[Logged]:
        """Insert entries inside the caller's transaction on the writer thread, such as the write path's `also`."""
        now_ms = self._site.clock_ms()
        return [self._insert(connection, access, 1, now_ms) for access in accesses]

    async def wait_on_ledger(self, organisation: int, of: bytes) -> int:
        """Height of an access entry, once the local view has it.

        Raises:
            Unavailable: It did not come in time.
        """
        deadline = asyncio.get_running_loop().time() + DISCLOSURE_WAIT_S
        pause_s = 0.0005
        while True:
            with self._site.view.at_head() as view:
                entry = keeper.access_entry(view.store, organisation, of)
            if entry is not None:
                return entry.height
            if asyncio.get_running_loop().time() > deadline:
                raise Unavailable(LEDGER_SLOW)
            await asyncio.sleep(pause_s)
            pause_s = min(0.02, pause_s * 2)

    # -- reading -------------------------------------------------------------------------------------------

    def read_log(self, subject: int, *, first: int = 0, count: int = 1_000) -> list[Logged]:
        """Entries of one subject from a position on, in their order."""
        with self._site.database.snapshot() as connection:
            rows = fetch_all(
                connection,
                "SELECT position, commitment, salt, event, event_ms FROM access "
                "WHERE subject = ? AND position >= ? ORDER BY position LIMIT ?",
                (subject, first, count),
            )
        key = self._key(subject)
        return [
            Logged(
                subject=subject,
                position=position,
                tag=tag(key, position),
                commitment=commitment,
                salt=salt,
                event=event,
                event_ms=event_ms,
            )
            for position, commitment, salt, event, event_ms in rows
        ]

    async def flush(self) -> None:
        """Bring everything logged onto the ledger; for tests and for the end of a day."""
        self._close_spans(everything=True)
        await self._write_waiting()
        while batches := await self._writer.in_transaction(self._make_batches):
            await self._bring(batches)

    # -- writing -------------------------------------------------------------------------------------------

    async def _write_groups(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._write_waiting()

    async def _write_waiting(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            now_ms = self._site.clock_ms()

            def write(
                connection: Connection,
                _: object,
                group: Sequence[tuple[Access, int, object]] = group,
                now_ms: int = now_ms,
            ) -> None:
                for access, count, _future in group:
                    self._insert(connection, access, count, now_ms)

            try:
                await self._writer.write((), also=write, wait_ms=0)
            except Unavailable as refusal:
                _settle(group, refusal)
            except asyncio.CancelledError:
                # Stopped in the middle: what was taken is written by `stop`, or was never answered.
                self._waiting = [*group, *self._waiting]
                raise
            else:
                _settle(group, None)

    async def _bring_batches(self) -> None:
        while True:
            await asyncio.sleep(LEDGER_INTERVAL_S)
            self._close_spans(everything=False)
            for batch in await self._writer.in_transaction(self._make_batches):
                self._writer.follow(batch)

    async def _bring(self, batches: Sequence[Batch]) -> None:
        for ticket in [self._writer.follow(batch) for batch in batches]:
            await _within(ticket.done.wait())

    def _close_spans(self, *, everything: bool) -> None:
        now_ms = self._site.clock_ms()
        while self._spans:
            key, span = next(iter(self._spans.items()))
            if not everything and now_ms - span.started_ms < COALESCE_MS:
                return
            del self._spans[key]
            self._close(span)

    def _close(self, span: _Span) -> None:
        """Write what a span's entry does not name; its looks are durable already, so nobody waits."""
        if span.later:
            rest = replace(span.access, resources=tuple(span.later), request_id="")
            self._waiting.append((rest, span.looks, None))
            self._wake.set()

    # -- on the writer thread ------------------------------------------------------------------------------

    def _open(self, connection: Connection) -> None:
        del connection
        name = access_key_name(DIRECTORY)
        if not self._site.keystore.has(name):
            self._site.keystore.put(name, IndexKey.random().reveal())

    def _insert(self, connection: Connection, access: Access, count: int, now_ms: int) -> Logged:
        subject = self._subject_for(connection, access.patient_id)
        position = subject.access_position
        of = tag(self._key(subject.row), position)
        salt = os.urandom(SALT_BYTES)
        event = build_event(access, site=self._site.slug, at_ms=now_ms, count=count)
        commitment = access_commitment(of, salt, event)
        connection.execute(_NEW, (subject.row, position, commitment, now_ms, salt, event))
        connection.execute(
            "UPDATE subject SET access_position = ? WHERE row = ?", (position + 1, subject.row)
        )
        subject.access_position = position + 1
        return Logged(
            subject=subject.row,
            position=position,
            tag=of,
            commitment=commitment,
            salt=salt,
            event=event,
            event_ms=now_ms,
        )

    def _subject_for(self, connection: Connection, patient_id: str | None) -> Subject:
        """Whose log an access belongs to; the site's own where the patient, or the log's key, is not there.

        Never refuses: this runs inside write groups, and an access to what is gone is an access all the same.
        """
        registry = self._writer.registry
        found = None if patient_id is None else registry.find_subject(connection, patient_id)
        if found is not None and self._find_key(found.row) is not None:
            return found
        return registry.subject(connection, DIRECTORY)

    def _make_batches(self, connection: Connection) -> list[Batch]:
        """Put what waits for the ledger into one batch; none if nothing waits."""
        rows: list[tuple[Any, ...]] = fetch_all(connection, _QUEUED, (ACCESS_ENTRIES_MAX,))
        if not rows:
            return []
        entries = [
            NewEntry(row, tag(self._key(subject), position), commitment)
            for row, subject, position, commitment in rows
        ]
        message = build_entries_message(self._site, BATCH_ACCESS, entries)
        batch = insert_batch(connection, self._site, BATCH_ACCESS, message)
        connection.executemany(
            "UPDATE access SET batch = ? WHERE row = ?", [(batch.row, entry.row) for entry in entries]
        )
        return [batch]

    def _key(self, subject: int) -> IndexKey:
        key = self._find_key(subject)
        if key is None:
            raise Unavailable(LEDGER_SLOW, "the access log's key is not there")
        return key

    def _find_key(self, subject: int) -> IndexKey | None:
        key = self._keys.get(subject)
        if key is None:
            try:
                key = IndexKey(self._site.keystore.get(access_key_name(subject)))
            except KeyNotHeld:
                return None
            self._keys[subject] = key
            if len(self._keys) > KEYS_CACHED:
                self._keys.popitem(last=False)
        return key


def _covers(span: _Span, access: Access) -> bool:
    """Whether a span's entry can stand for a further look: it is not lost, and it can still name what was seen."""
    if access.is_failure or len(span.later) >= RESOURCES_MAX:
        return False
    return not span.durable.done() or span.durable.exception() is None


def _settle(
    group: Sequence[tuple[Access, int, asyncio.Future[None] | None]], refusal: Unavailable | None
) -> None:
    for _, _, future in group:
        if future is None or future.done():
            continue
        if refusal is None:
            future.set_result(None)
        else:
            future.set_exception(refusal)


async def _within(wait: Any) -> None:
    """Wait for a receipt, for as long as a disclosure may take."""
    try:
        await asyncio.wait_for(wait, DISCLOSURE_WAIT_S)
    except TimeoutError:
        raise Unavailable(LEDGER_SLOW) from None


Notes = Callable[[Connection, Iterable[Access]], list[Logged]]
"""What the write path is handed to log its changes in their own transaction: `AuditRecorder.insert`."""
