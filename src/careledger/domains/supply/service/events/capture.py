"""Capture of EPCIS documents.

One document is one job and one database transaction: under `rollback` all of its events are stored or none, under
`proceed` the good ones are; either way the job says what became of each event, and is durable with them. An
identical event that is there already is an error of that event (409), and so is another event under the same
identifier; the same event with an error declaration is stored beside the one it declares wrong.

Does not decide who may capture, and does not commit events to the ledger.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Final

import msgspec

from careledger.domains.supply.service.errors import (
    CAPTURE_TOO_LARGE,
    EVENT_ID_TAKEN,
    EVENT_KNOWN,
    JOB_UNKNOWN,
)
from careledger.domains.supply.service.events.schema import (
    COMPONENT,
    MIGRATIONS,
    ObjectKind,
)
from careledger.domains.supply.service.events.stored_form import write_stored
from careledger.domains.supply.service.rows import fetch_all, fetch_one
from careledger.primitives.errors import Code, Rejected
from careledger.standards.epcis.capture_job import (
    CaptureJob,
    CaptureProblem,
    ErrorBehaviour,
    read_capture_job,
    write_capture_job,
)
from careledger.standards.epcis.corrections import effective_id
from careledger.standards.epcis.document import Document
from careledger.standards.epcis.errors import Problem
from careledger.standards.epcis.event_hash import event_digest
from careledger.standards.epcis.model import Event, Identifier, Quantity
from careledger.standards.epcis.reading import parse_document
from careledger.standards.epcis.timestamps import Instant
from careledger.storage.sqlite import Connection, Database

CAPTURE_EVENTS_MAX: Final = 4_096
"""Events of one document, so that one capture fits one ledger transaction (`GS1-EPCIS-Capture-Limit`)."""
ERRORS_LISTED_MAX: Final = 1_000

_INSERT = "INSERT INTO epcis_event VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_OBJECT = "INSERT OR IGNORE INTO epcis_object VALUES (?, ?, ?)"

_OBJECTS = (
    ("epcs", ObjectKind.EPC),
    ("child_epcs", ObjectKind.EPC),
    ("input_epcs", ObjectKind.INPUT),
    ("output_epcs", ObjectKind.OUTPUT),
)
_CLASSES = (
    ("quantities", ObjectKind.EPC_CLASS),
    ("child_quantities", ObjectKind.EPC_CLASS),
    ("input_quantities", ObjectKind.INPUT_CLASS),
    ("output_quantities", ObjectKind.OUTPUT_CLASS),
)


class EventCapture:
    """The writing side of the repository."""

    def __init__(
        self, database: Database, *, clock_ms: Callable[[], int], new_job_id: Callable[[], str]
    ) -> None:
        """Bring the tables up to date.

        Args:
            database: the site's database.
            clock_ms: milliseconds since 1970-01-01, for record times.
            new_job_id: an identifier nobody can guess, for each job.
        """
        self._database = database
        self._clock_ms = clock_ms
        self._new_job_id = new_job_id
        database.migrate(COMPONENT, MIGRATIONS)

    def capture(
        self,
        data: bytes,
        content_type: str = "",
        *,
        behaviour: ErrorBehaviour = ErrorBehaviour.ROLLBACK,
        events_max: int = CAPTURE_EVENTS_MAX,
    ) -> CaptureJob:
        """Capture a document; when this returns, the job and what it stored are durable.

        Raises:
            DocumentRejected: The document cannot be used at all; the problems are located.
            Rejected: CAPTURE_TOO_LARGE.
        """
        document = parse_document(data, content_type)
        if len(document.results) > events_max:
            raise Rejected(CAPTURE_TOO_LARGE)
        created = instant_of(self._clock_ms() * 1_000)
        job_id = self._new_job_id()
        with self._database.immediate() as connection:
            connection.execute("INSERT INTO epcis_job VALUES (NULL, ?, x'')", (job_id,))
            row = connection.last_insert_rowid()
            connection.execute("SAVEPOINT capture")
            problems = list(_store_document(connection, document, row, created.epoch_us))
            is_kept = not problems or behaviour is ErrorBehaviour.PROCEED
            if not is_kept:
                connection.execute("ROLLBACK TO capture")
            connection.execute("RELEASE capture")
            job = CaptureJob(
                capture_id=job_id,
                running=False,
                success=not problems,
                error_behaviour=behaviour,
                created_at=created,
                finished_at=instant_of(self._clock_ms() * 1_000),
                errors=tuple(problems[:ERRORS_LISTED_MAX]),
            )
            connection.execute(
                "UPDATE epcis_job SET document = ? WHERE row = ?", (write_capture_job(job), row)
            )
        return job

    def job(self, job_id: str) -> CaptureJob:
        """Capture job by its identifier.

        Raises:
            Rejected: JOB_UNKNOWN.
        """
        with self._database.snapshot() as connection:
            found = fetch_one(connection, "SELECT document FROM epcis_job WHERE id = ?", (job_id,))
        if found is None:
            raise Rejected(JOB_UNKNOWN)
        return read_capture_job(bytes(found[0]), "application/json")


def instant_of(epoch_us: int) -> Instant:
    """Moment as this repository writes it: UTC, milliseconds."""
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=epoch_us)
    return Instant(text=moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"), epoch_us=epoch_us)


def _store_document(
    connection: Connection, document: Document, job: int, record_us: int
) -> Iterator[CaptureProblem]:
    """Store every event that can be stored; give the problems of the others."""
    for result in document.results:
        if result.event is None:
            yield from (_problem_of(problem) for problem in result.problems if problem.is_error)
            continue
        refusal = _store_event(connection, result.event, job, record_us)
        if refusal is not None:
            yield CaptureProblem(
                type=f"urn:careledger:error:{refusal.slug.lower().replace('_', '-')}",
                title=refusal.text,
                status=refusal.category.http_status,
                detail=f"event {result.number}",
            )
    connection.executemany(
        "INSERT INTO epcis_master_data VALUES (NULL, ?)",
        [(write_stored(vocabulary),) for vocabulary in document.masterdata],
    )


def _store_event(connection: Connection, event: Event, job: int, record_us: int) -> Code | None:
    """Store one event, or say why not."""
    digest = event_digest(event)
    identifier = effective_id(event)
    declaration = _declaration_digest(event)
    earlier = fetch_all(
        connection,
        "SELECT effective_id, digest, declaration FROM epcis_event WHERE effective_id = ?1 "
        "UNION ALL SELECT effective_id, digest, declaration FROM epcis_event WHERE digest = ?2",
        (identifier, digest),
    )
    if earlier:
        refusal = _relate(identifier, digest, declaration, earlier)
        if refusal is not None:
            return refusal
    place, location = event.read_point, event.biz_location
    connection.execute(
        _INSERT,
        (
            job,
            event.event_id,
            identifier,
            digest,
            declaration,
            event.event_time.epoch_us,
            record_us,
            event.event_type,
            getattr(event, "action", ""),
            event.biz_step,
            event.disposition,
            place.id.canonical if place is not None else "",
            location.id.canonical if location is not None else "",
            write_stored(event),
        ),
    )
    row = connection.last_insert_rowid()
    connection.executemany(_INSERT_OBJECT, [(value, kind, row) for value, kind in _objects_of(event)])
    return None


def _relate(
    identifier: str, digest: bytes, declaration: bytes | None, earlier: list[tuple[str, bytes, bytes | None]]
) -> Code | None:
    """Compare with what is there: EPCIS 2.0 §7.4.1.2, as `standards.epcis.corrections` has it for two events."""
    if any(known_id == identifier and bytes(known) != digest for known_id, known, _ in earlier):
        return EVENT_ID_TAKEN
    if any(known_id != identifier for known_id, _, _ in earlier):
        return EVENT_KNOWN
    declared = [None if said is None else bytes(said) for _, _, said in earlier]
    if declaration in declared:
        return EVENT_KNOWN
    # Nothing was declared so far: this is the declaration. A second one, or one taken back, is a conflict.
    return None if all(said is None for said in declared) else EVENT_ID_TAKEN


def _declaration_digest(event: Event) -> bytes | None:
    if event.error_declaration is None:
        return None
    return sha256(msgspec.msgpack.encode(event.error_declaration)).digest()


def _objects_of(event: Event) -> Iterator[tuple[str, int]]:
    parent: Identifier | None = getattr(event, "parent_id", None)
    if parent is not None:
        yield parent.canonical, int(ObjectKind.PARENT)
    for name, kind in _OBJECTS:
        identifiers: tuple[Identifier, ...] = getattr(event, name, ())
        for identifier in identifiers:
            yield identifier.canonical, int(kind)
    for name, kind in _CLASSES:
        quantities: tuple[Quantity, ...] = getattr(event, name, ())
        for quantity in quantities:
            yield quantity.epc_class.canonical, int(kind)


def _problem_of(problem: Problem) -> CaptureProblem:
    return CaptureProblem(
        type=f"urn:careledger:epcis:{problem.code.value}",
        title=problem.message,
        status=400,
        detail=problem.pointer or problem.xpath,
    )
