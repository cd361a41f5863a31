"""The access log, as the handlers use it: which patients an access concerns, one entry for each (IHE BALP)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from careledger.domains.records.api.ports import AccessEvent, AlsoWrite, PatientsOf
from careledger.domains.records.service import audit_events
from careledger.domains.records.service.audit import AuditRecorder
from careledger.domains.records.service.audit_events import Reader, ReaderKind
from careledger.domains.records.service.changes import Written
from careledger.domains.records.service.package import Method
from careledger.domains.records.service.rows import fetch_one
from careledger.domains.records.service.store import RecordStore
from careledger.primitives.errors import InvariantViolated
from careledger.storage.sqlite import Connection, Database
from careledger.web.principal import Principal

STREAMS_CACHED: Final = 200_000
READERS_CACHED: Final = 2_000
_ACTIONS: Final = {
    "create": audit_events.Action.CREATE,
    "read": audit_events.Action.READ,
    "update": audit_events.Action.UPDATE,
    "delete": audit_events.Action.DELETE,
    "query": audit_events.Action.QUERY,
}
_WRITES: Final = {
    Method.CREATE: audit_events.Action.CREATE,
    Method.UPDATE: audit_events.Action.UPDATE,
    Method.DELETE: audit_events.Action.DELETE,
}


def reader_of(principal: Principal) -> Reader:
    """Return a principal as the access log names them."""
    kind = ReaderKind.PERSON if principal.fhir_user else ReaderKind.MACHINE
    if principal.role == "patient" or principal.fhir_user.startswith("Patient/"):
        kind = ReaderKind.PATIENT
    return Reader(
        identifier=principal.subject,
        organisation=principal.organisation,
        kind=kind,
        role=principal.role,
        client=principal.client_id,
    )


class AuditTrail:
    """Fulfils `ports.AccessTrail` with the site's access log."""

    def __init__(self, recorder: AuditRecorder, *, store: RecordStore, database: Database) -> None:
        self._recorder = recorder
        self._store = store
        self._database = database
        self._patients: dict[int, str | None] = {}
        self._readers: dict[str, tuple[Principal, Reader]] = {}

    def patient_of(self, stream: int) -> str | None:
        """Return the id of the patient a stream belongs to; None for what belongs to no patient."""
        if stream in self._patients:
            return self._patients[stream]
        subject = self._store.stream_keys(stream).subject
        with self._database.snapshot() as connection:
            row = fetch_one(connection, "SELECT patient_id FROM subject WHERE row = ?", (subject,))
        if row is None:
            raise InvariantViolated("a stream names a subject that is not there")
        if len(self._patients) >= STREAMS_CACHED:
            self._patients.clear()
        self._patients[stream] = row[0]
        return self._patients[stream]

    async def note(self, access: AccessEvent) -> None:
        """Keep an access; durable when this returns.

        Raises:
            Unavailable: It cannot be kept.
        """
        if len(access.seen) == 1:
            seen = access.seen[0]
            reference = f"{seen.resource_type}/{seen.resource_id}"
            await self._recorder.record(self._entry(access, self.patient_of(seen.stream), (reference,)))
            return
        by_patient: dict[str | None, list[str]] = {}
        if access.patient or not access.seen:
            by_patient[access.patient or None] = []
        for seen in access.seen:
            references = by_patient.setdefault(self.patient_of(seen.stream), [])
            references.append(f"{seen.resource_type}/{seen.resource_id}")
        entries = [
            self._entry(access, patient, tuple(references)) for patient, references in by_patient.items()
        ]
        await asyncio.gather(*(self._recorder.record(entry) for entry in entries))

    def note_write(self, access: AccessEvent, patients_of: PatientsOf) -> AlsoWrite:
        """Return what keeps a write's access inside the write's own transaction."""

        def also(connection: Connection, written: Sequence[Written]) -> None:
            entries: dict[tuple[str | None, Method], list[str]] = {}
            for one in written:
                reference = f"{one.resource_type}/{one.resource_id}"
                for patient in patients_of(one) or (None,):
                    entries.setdefault((patient, one.method), []).append(reference)
            self._recorder.insert(
                connection,
                [
                    self._entry(access, patient, tuple(references), _WRITES[method])
                    for (patient, method), references in entries.items()
                ],
            )

        return also

    def _reader(self, principal: Principal) -> Reader:
        known = self._readers.get(principal.token_id)
        if known is None or known[0] is not principal:
            if len(self._readers) >= READERS_CACHED:
                self._readers.clear()
            known = self._readers[principal.token_id] = (principal, reader_of(principal))
        return known[1]

    def _entry(
        self,
        access: AccessEvent,
        patient: str | None,
        references: tuple[str, ...],
        action: audit_events.Action | None = None,
    ) -> audit_events.Access:
        return audit_events.Access(
            action=action or _ACTIONS[access.action],
            patient_id=patient,
            reader=self._reader(access.principal),
            purpose=access.principal.purpose.value,
            resources=references,
            query=access.query,
            request_id=access.request_id,
        )
