"""One database transaction of the write path: several requests, each all or none.

Every request is checked as a whole before anything is written for it, so a refused request leaves nothing and
needs no savepoint. Then positions are given out, versions sealed, the index told, and the ledger batches of
all of them signed and kept: all in the caller's transaction.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from careledger.domains.records.service.changes import Change, Ticket, WriteRequest, Written
from careledger.domains.records.service.compartments import RESTRICTED, Compartment
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.errors import (
    PATIENT_DELETED,
    PATIENT_FIXED,
    PATIENT_UNKNOWN,
    RESOURCE_GONE,
    RESOURCE_UNKNOWN,
    VERSION_CONFLICT,
)
from careledger.domains.records.service.index.index import Index
from careledger.domains.records.service.index.writer import IndexedResource, Removal
from careledger.domains.records.service.labels import choose_compartment
from careledger.domains.records.service.outbox import (
    BATCH_ENTRIES_MAX,
    CELLS_MAX,
    Batch,
    build_cells_message,
    build_entries_message,
    insert_batch,
    mark_committed,
)
from careledger.domains.records.service.package import Method
from careledger.domains.records.service.rows import fetch_all, fetch_one
from careledger.domains.records.service.schema import BATCH_CELLS, BATCH_RECORDS, ENTRY_RECORD
from careledger.domains.records.service.streams import (
    DIRECTORY,
    NewEntry,
    PatientKeys,
    Registry,
    RowNumbers,
    Stream,
    Subject,
)
from careledger.domains.records.service.versions import SealedVersion, seal_version
from careledger.primitives.errors import InvariantViolated, Rejected
from careledger.standards.fhir.search.compartment import find_patients
from careledger.standards.fhir.search.extract import Extractor
from careledger.standards.fhir.search.rows import Rows
from careledger.storage.sqlite import Connection

_INSERT = (
    "INSERT INTO entry (row, stream, position, kind, commitment, batch, type, id, version, method, updated_ms, "
    f"sealed, secret) VALUES (?, ?, ?, {ENTRY_RECORD}, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_CURRENT = (
    "SELECT entry.version, entry.method, stream.subject, stream.compartment FROM entry "
    "JOIN stream ON stream.row = entry.stream "
    f"WHERE entry.id = ? AND entry.type = ? AND entry.kind = {ENTRY_RECORD} "
    "ORDER BY entry.version DESC LIMIT 1"
)
_QUEUED = "SELECT row, stream, position, commitment FROM entry WHERE batch = 0 ORDER BY stream, position"


@dataclass(slots=True)
class _Current:
    version: int
    method: Method
    subject: int
    compartment: Compartment


@dataclass(slots=True)
class _Plan:
    """One change with everything decided that can be refused."""

    change: Change
    version: int
    current: _Current | None
    rows: Rows | None
    patients: tuple[str, ...]


@dataclass(slots=True)
class GroupResult:
    """What the event loop needs to know of a committed group."""

    answers: list[tuple[WriteRequest, tuple[Written, ...] | Exception, Ticket]] = field(default_factory=list)
    batches: list[tuple[Batch, dict[int, int]]] = field(default_factory=list)
    """New batches, each with the tickets (by number) that wait for it and with how many entries."""
    tickets: list[Ticket] = field(default_factory=list)


class Group:
    """State of one transaction."""

    def __init__(
        self,
        connection: Connection,
        *,
        site: SiteContext,
        registry: Registry,
        index: Index,
        extractor: Extractor,
        patient_keys: PatientKeys,
        waiting: set[int],
        queued: dict[int, Ticket],
    ) -> None:
        self._connection = connection
        self._site = site
        self._registry = registry
        self._index = index
        self._extractor = extractor
        self._patient_keys = patient_keys
        self._now_ms = site.clock_ms()
        self._latest: dict[tuple[str, str], _Current] = {}
        self._new: dict[int, list[tuple[NewEntry, int]]] = defaultdict(list)
        """Per stream: new entries and the number of their ticket."""
        self._sealed: dict[int, SealedVersion] = {}
        self._indexed: list[IndexedResource | Removal] = []
        self._cells: list[tuple[bytes, int]] = []
        self._rows = RowNumbers(connection)
        self.waiting = waiting
        self.queued = queued
        self.result = GroupResult()

    def confirm(self, confirmed: Sequence[tuple[int, int]], *, is_forced: bool = False) -> None:
        """Note receipts, and send what was queued behind their streams.

        Args:
            confirmed: batches with the heights of their receipts.
            is_forced: look for queued entries even without receipts, as after a restart.
        """
        mark_committed(self._connection, confirmed)
        self.waiting.difference_update(row for row, _ in confirmed)
        if not confirmed and not is_forced:
            return
        for row, stream_row, position, commitment in fetch_all(self._connection, _QUEUED):
            stream = self._registry.stream_by_row(self._connection, stream_row)
            if stream.batch in self.waiting:
                continue
            ticket = self.queued.pop(row, None)
            number = -1
            if ticket is not None:
                number = len(self.result.tickets)
                self.result.tickets.append(ticket)
            entry = NewEntry(row, self._registry.tag_of(stream, position), commitment)
            self._new[stream_row].append((entry, number))

    def add(self, request: WriteRequest) -> None:
        """Write one request, or note why it is refused."""
        ticket = Ticket()
        try:
            changes = request.changes
            if request.condition is not None:
                # A condition looks at the index, so what came before it must be there.
                self._flush_index()
                changes = request.condition(self._connection)
            plans = self._plan(changes)
        except Rejected as refusal:
            self.result.answers.append((request, refusal, ticket))
            return
        number = len(self.result.tickets)
        self.result.tickets.append(ticket)
        written = tuple(self._write(plan, number) for plan in plans)
        if request.also is not None:
            request.also(self._connection, written)
        self.result.answers.append((request, written, ticket))

    def finish(self) -> None:
        """Tell the index, make the batches, and write the entries."""
        self._flush_index()
        self._make_cell_batches()
        rows_of_batch: dict[int, int] = {}
        for restricted in (False, True):
            self._make_batches(restricted, rows_of_batch)
        sealed_rows = [
            sealed.row_values(row, rows_of_batch.get(row, 0)) for row, sealed in self._sealed.items()
        ]
        self._connection.executemany(_INSERT, sealed_rows)
        earlier = [(batch, row) for row, batch in rows_of_batch.items() if row not in self._sealed]
        self._connection.executemany("UPDATE entry SET batch = ? WHERE row = ?", earlier)
        self._registry.save(self._connection)

    # -- checks --------------------------------------------------------------------------------------------

    def _plan(self, changes: Sequence[Change]) -> list[_Plan]:
        """Check a whole request; nothing is written yet."""
        latest = dict[tuple[str, str], _Current]()
        new_patients = {
            change.resource_id
            for change in changes
            if change.resource_type == "Patient" and change.method is Method.CREATE
        }
        plans = []
        for change in changes:
            key = (change.resource_type, change.resource_id)
            current = None if change.method is Method.CREATE else latest.get(key) or self._find(key)
            plan = self._plan_one(change, current, new_patients)
            plans.append(plan)
            latest[key] = _Current(plan.version, change.method, -1, Compartment.NORMAL)
        return plans

    def _plan_one(self, change: Change, current: _Current | None, new_patients: set[str]) -> _Plan:
        if change.method is not Method.CREATE:
            if current is None:
                raise Rejected(RESOURCE_UNKNOWN)
            if change.if_match is not None and change.if_match != current.version:
                raise Rejected(VERSION_CONFLICT)
            if change.method is Method.DELETE and current.method is Method.DELETE:
                raise Rejected(RESOURCE_GONE)
        version = current.version + 1 if current else 1
        if change.value is None:
            if change.resource_type == "Patient":
                raise Rejected(PATIENT_DELETED)
            return _Plan(change, version, current, None, ())
        rows = self._extractor.extract(change.resource_type, change.value)
        patients = find_patients(change.resource_type, change.resource_id, rows)
        for patient in patients:
            if patient not in new_patients and self._registry.find_subject(self._connection, patient) is None:
                raise Rejected(PATIENT_UNKNOWN)
        if current is not None and current.subject not in (-1, DIRECTORY):
            subject = self._registry.subject(self._connection, current.subject)
            if subject.patient_id not in patients:
                raise Rejected(PATIENT_FIXED)
        return _Plan(change, version, current, rows, patients)

    def _find(self, key: tuple[str, str]) -> _Current | None:
        current = self._latest.get(key)
        if current is None:
            row = fetch_one(self._connection, _CURRENT, (key[1], key[0]))
            if row is None:
                return None
            current = _Current(row[0], Method(row[1]), row[2], Compartment(row[3]))
        return current

    # -- effects -------------------------------------------------------------------------------------------

    def _write(self, plan: _Plan, ticket: int) -> Written:
        change = plan.change
        if change.resource_type == "Patient" and change.method is Method.CREATE:
            self._enrol(change, ticket)
        subject = self._subject_of(plan)
        compartment = (
            plan.current.compartment
            if change.value is None and plan.current is not None
            else choose_compartment(change.resource_type, change.value or {}, change.submitted)
        )
        if subject == DIRECTORY:
            compartment = Compartment.NORMAL
        stream = self._registry.stream(self._connection, subject, compartment)
        sealed = seal_version(
            self._site, stream, change=change, version=plan.version, updated_ms=self._now_ms
        )
        row = self._rows.take()
        self._sealed[row] = sealed
        self._new[stream.row].append((NewEntry(row, sealed.tag, sealed.commitment), ticket))
        self.result.tickets[ticket].left += 1
        self._latest[change.resource_type, change.resource_id] = _Current(
            plan.version, change.method, subject, compartment
        )
        self._note_for_index(plan, compartment)
        return sealed.written

    def _subject_of(self, plan: _Plan) -> int:
        if plan.current is not None and plan.current.subject >= 0:
            return plan.current.subject
        if plan.current is not None:
            known = self._find((plan.change.resource_type, plan.change.resource_id))
            if known is None:
                raise InvariantViolated("a change follows one that was not written")
            return known.subject
        if not plan.patients:
            return DIRECTORY
        return self._registry.subject_of(self._connection, plan.patients[0]).row

    def _enrol(self, change: Change, ticket: int) -> Subject:
        keys = change.enrolment or self._patient_keys.enrol(change.resource_id)
        subject, opened = self._registry.enrol(self._connection, self._rows, change.resource_id, keys)
        for stream, entry in opened:
            self._new[stream.row].append((entry, ticket))
            self.result.tickets[ticket].left += 1
        self._cells.append((keys.cell_contents, ticket))
        self.result.tickets[ticket].left += 1
        return subject

    def _note_for_index(self, plan: _Plan, compartment: Compartment) -> None:
        change = plan.change
        if change.value is None:
            self._indexed.append(
                Removal(
                    resource_type=change.resource_type,
                    resource_id=change.resource_id,
                    version=plan.version,
                    last_updated_ms=self._now_ms,
                )
            )
            return
        self._indexed.append(
            IndexedResource(
                resource_type=change.resource_type,
                resource_id=change.resource_id,
                version=plan.version,
                last_updated_ms=self._now_ms,
                value=change.value,
                labels=compartment.bit,
                patients=plan.patients,
                rows=plan.rows,
            )
        )

    def _flush_index(self) -> None:
        """Hand over in runs, because the index takes versions and removals apart."""
        run: list[IndexedResource] = []
        removals: list[Removal] = []
        for item in self._indexed:
            if isinstance(item, Removal):
                self._index.put_many(run)
                run = []
                removals.append(item)
            else:
                self._index.remove_many(removals)
                removals = []
                run.append(item)
        self._index.put_many(run)
        self._index.remove_many(removals)
        self._indexed = []

    # -- batches -------------------------------------------------------------------------------------------

    def _make_cell_batches(self) -> None:
        for start in range(0, len(self._cells), CELLS_MAX):
            part = self._cells[start : start + CELLS_MAX]
            message = build_cells_message(self._site, [contents for contents, _ in part])
            batch = insert_batch(self._connection, self._site, BATCH_CELLS, message)
            self._announce(batch, (ticket for _, ticket in part))

    def _make_batches(self, restricted: bool, rows_of_batch: dict[int, int]) -> None:
        """Put the entries of free streams into as few batches as hold them.

        Entries of restricted compartments go by themselves and later, so that neither outsiders nor a grantee
        of the normal compartment learn from the ledger that there is more.
        """
        pending: list[tuple[NewEntry, int]] = []
        streams: list[Stream] = []
        for stream_row, entries in self._new.items():
            stream = self._registry.stream_by_row(self._connection, stream_row)
            # Manifests are opened for every patient in every compartment, so they tell nothing and need not wait.
            has_content = stream.next_position > 1
            if (stream.compartment in RESTRICTED and has_content) is not restricted:
                continue
            if stream.batch in self.waiting:
                self._queue(entries)
                continue
            room = BATCH_ENTRIES_MAX - len(pending)
            if pending and room < len(entries):
                self._seal_batch(pending, streams, restricted, rows_of_batch)
                pending, streams, room = [], [], BATCH_ENTRIES_MAX
            pending += entries[:room]
            streams.append(stream)
            self._queue(entries[room:])
        if pending:
            self._seal_batch(pending, streams, restricted, rows_of_batch)

    def _seal_batch(
        self,
        entries: list[tuple[NewEntry, int]],
        streams: list[Stream],
        restricted: bool,
        rows_of_batch: dict[int, int],
    ) -> None:
        least, greatest = self._site.settings.restricted_delay_ms
        delay_ms = least + secrets.randbelow(greatest - least + 1) if restricted else 0
        message = build_entries_message(self._site, BATCH_RECORDS, [entry for entry, _ in entries])
        batch = insert_batch(self._connection, self._site, BATCH_RECORDS, message, delay_ms=delay_ms)
        for entry, _ in entries:
            rows_of_batch[entry.row] = batch.row
        for stream in streams:
            stream.batch = batch.row
            stream.is_changed = True
        self._announce(batch, (ticket for _, ticket in entries))

    def _announce(self, batch: Batch, tickets: Iterable[int]) -> None:
        counts: dict[int, int] = defaultdict(int)
        for ticket in tickets:
            if ticket >= 0:
                counts[ticket] += 1
        self.waiting.add(batch.row)
        self.result.batches.append((batch, dict(counts)))

    def _queue(self, entries: Iterable[tuple[NewEntry, int]]) -> None:
        for entry, ticket in entries:
            if ticket >= 0:
                self.queued[entry.row] = self.result.tickets[ticket]
