"""Subjects and streams: whose record, which part of it, and which position comes next.

A stream is patient x this site x compartment x epoch. Its index key comes from the patient's wallet, its
compartment key is random and made here; both lie in the keystore, never in the database. Positions are given
out inside the database transaction that uses them, so a position exists exactly if its entry does.

The registry caches what the writer thread has read; after a rolled-back transaction it is told to forget.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final, Protocol

from careledger.domains.records.chain.types import CELL_CONTENTS_BYTES, compute_cell_id
from careledger.domains.records.service.compartments import COMPARTMENTS, Compartment
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.errors import PATIENT_UNKNOWN
from careledger.domains.records.service.rows import fetch_one, fetch_value
from careledger.domains.records.service.schema import ENTRY_MANIFEST
from careledger.primitives.errors import InvariantViolated, Rejected
from careledger.primitives.identifiers import CellID, Commitment, Tag
from careledger.storage.sqlite import Connection
from careledger.vault.envelope import add_signature, sign_envelope
from careledger.vault.keys import CompartmentKey, IndexKey
from careledger.vault.streams import (
    MANIFEST_PAYLOAD_TYPE,
    Manifest,
    encode_manifest,
    key_digest,
    manifest_commitment,
    new_salt,
    tag,
)

DIRECTORY: Final = 0
"""Subject of what belongs to no patient: organisations, practitioners, locations."""
FIRST_EPOCH: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectKeys:
    """What a patient's wallet, through its agent, gives a custodian at enrolment."""

    index_keys: dict[Compartment, IndexKey]
    access_key: IndexKey
    cell_contents: bytes
    """128 bytes: the consent cell as it is created."""
    identity: bytes
    """The wallet's public identity key, 32 bytes."""
    recipient: bytes
    """The wallet's public HPKE key."""
    agent: str
    """Organisation whose agent keeps the wallet."""
    manifests: dict[Compartment, bytes]
    """Manifest envelopes of the first epoch, signed by the wallet."""

    def __repr__(self) -> str:
        """Show no key."""
        return "<SubjectKeys: not shown>"


class PatientKeys(Protocol):
    """Where the keys of a patient come from who brings none: this site's own custodial agent."""

    def enrol(self, patient_id: str) -> SubjectKeys:
        """Make a wallet for a new patient and derive what this site needs of it, durably."""


@dataclass(slots=True)
class Subject:
    """A patient here, or the site itself."""

    row: int
    patient_id: str | None
    cell: bytes
    epoch: int
    access_position: int


@dataclass(slots=True)
class Stream:
    """One stream with its keys."""

    row: int
    subject: int
    compartment: Compartment
    epoch: int
    next_position: int
    batch: int
    """Batch under way or the last one; 0 before the first."""
    index_key: IndexKey
    compartment_key: CompartmentKey
    is_changed: bool = field(default=False)


def index_key_name(subject: int, compartment: Compartment, epoch: int) -> str:
    """Name of an index key in the keystore."""
    return f"ik/{subject}/{compartment.label}/{epoch}"


def compartment_key_name(subject: int, compartment: Compartment, epoch: int) -> str:
    """Name of a compartment key in the keystore."""
    return f"ck/{subject}/{compartment.label}/{epoch}"


def access_key_name(subject: int) -> str:
    """Name of the key of a subject's access log."""
    return f"ak/{subject}"


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry that a batch can carry."""

    row: int
    tag: bytes
    commitment: bytes


class RowNumbers:
    """Row numbers of new entries within one transaction, given out before the rows are written."""

    def __init__(self, connection: Connection) -> None:
        self._next = int(fetch_value(connection, "SELECT coalesce(max(row), 0) + 1 FROM entry"))

    def take(self) -> int:
        """Next number."""
        number = self._next
        self._next += 1
        return number


class Registry:
    """Subjects and current streams as the writer thread knows them."""

    def __init__(self, site: SiteContext) -> None:
        self._site = site
        self._by_patient: dict[str, Subject] = {}
        self._subjects: dict[int, Subject] = {}
        self._streams: dict[tuple[int, Compartment], Stream] = {}
        self._stream_rows: dict[int, Stream] = {}

    def forget(self) -> None:
        """Drop everything cached: the transaction it came from was rolled back."""
        self._by_patient.clear()
        self._subjects.clear()
        self._streams.clear()
        self._stream_rows.clear()

    def open_directory(self, connection: Connection) -> list[tuple[Stream, NewEntry]]:
        """Make the site's own subject and stream, if they are not there yet."""
        if connection.execute("SELECT 1 FROM subject WHERE row = ?", (DIRECTORY,)).fetchone():
            return []
        connection.execute(
            "INSERT INTO subject VALUES (?, NULL, NULL, NULL, ?, 0, NULL, NULL, ?)",
            (DIRECTORY, FIRST_EPOCH, self._site.slug),
        )
        key = IndexKey.random()
        manifest = Manifest(1, key_digest(key), CellID(bytes(32)), FIRST_EPOCH, ())
        envelope = sign_envelope(MANIFEST_PAYLOAD_TYPE, encode_manifest(manifest), self._site.records_seed)
        rows = RowNumbers(connection)
        return self._open_streams(
            connection, rows, DIRECTORY, {Compartment.NORMAL: key}, {Compartment.NORMAL: envelope}, {}
        )

    def enrol(
        self, connection: Connection, rows: RowNumbers, patient_id: str, keys: SubjectKeys
    ) -> tuple[Subject, list[tuple[Stream, NewEntry]]]:
        """Register a patient: subject, cell, and every compartment's stream with its manifest.

        All streams are opened at once, so that nobody learns from the ledger which of them have content.
        """
        if len(keys.cell_contents) != CELL_CONTENTS_BYTES:
            raise InvariantViolated("a cell's contents are 128 bytes")
        cell = compute_cell_id(self._site.chain_id, self._site.organisation, keys.cell_contents)
        row = fetch_value(connection, "SELECT max(row) + 1 FROM subject")
        connection.execute(
            "INSERT INTO subject VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?)",
            (
                row,
                patient_id,
                cell,
                keys.cell_contents,
                FIRST_EPOCH,
                keys.identity,
                keys.recipient,
                keys.agent,
            ),
        )
        subject = Subject(row, patient_id, cell, FIRST_EPOCH, 0)
        self._by_patient[patient_id] = subject
        self._subjects[row] = subject
        envelopes = {
            compartment: add_signature(envelope, self._site.records_seed)
            for compartment, envelope in keys.manifests.items()
        }
        secrets = {access_key_name(row): keys.access_key.reveal()}
        return subject, self._open_streams(connection, rows, row, keys.index_keys, envelopes, secrets)

    def subject_of(self, connection: Connection, patient_id: str) -> Subject:
        """Subject of a patient.

        Raises:
            Rejected: PATIENT_UNKNOWN.
        """
        subject = self.find_subject(connection, patient_id)
        if subject is None:
            raise Rejected(PATIENT_UNKNOWN)
        return subject

    def find_subject(self, connection: Connection, patient_id: str) -> Subject | None:
        """Subject of a patient, if registered here."""
        subject = self._by_patient.get(patient_id)
        if subject is None:
            row = fetch_one(
                connection,
                "SELECT row, patient_id, cell, epoch, access_position FROM subject WHERE patient_id = ?",
                (patient_id,),
            )
            if row is None:
                return None
            subject = Subject(*row)
            self._by_patient[patient_id] = subject
            self._subjects[subject.row] = subject
        return subject

    def subject(self, connection: Connection, row: int) -> Subject:
        """Subject by its row."""
        subject = self._subjects.get(row)
        if subject is None:
            found = fetch_one(
                connection,
                "SELECT row, patient_id, cell, epoch, access_position FROM subject WHERE row = ?",
                (row,),
            )
            if found is None:
                raise InvariantViolated("an entry names a subject that is not there")
            subject = Subject(*found)
            self._subjects[row] = subject
        return subject

    def stream(self, connection: Connection, subject: int, compartment: Compartment) -> Stream:
        """Current stream of a compartment."""
        stream = self._streams.get((subject, compartment))
        if stream is None:
            found = fetch_one(
                connection,
                "SELECT row, epoch, next_position, batch FROM stream WHERE subject = ? AND compartment = ? "
                "ORDER BY epoch DESC LIMIT 1",
                (subject, compartment),
            )
            if found is None:
                raise InvariantViolated("a subject has no stream for a compartment")
            row, epoch, next_position, batch = found
            stream = self._remember(row, subject, compartment, epoch, next_position, batch)
            self._streams[subject, compartment] = stream
        return stream

    def stream_by_row(self, connection: Connection, row: int) -> Stream:
        """Stream by its row, current or of an earlier epoch."""
        stream = self._stream_rows.get(row)
        if stream is None:
            found = fetch_one(
                connection,
                "SELECT subject, compartment, epoch, next_position, batch FROM stream WHERE row = ?",
                (row,),
            )
            if found is None:
                raise InvariantViolated("an entry names a stream that is not there")
            subject, compartment, epoch, next_position, batch = found
            stream = self._remember(row, subject, Compartment(compartment), epoch, next_position, batch)
        return stream

    @staticmethod
    def tag_of(stream: Stream, position: int) -> Tag:
        """Tag of a position."""
        return tag(stream.index_key, position)

    def save(self, connection: Connection) -> None:
        """Write the positions and batches that changed in this transaction."""
        changed = [stream for stream in self._stream_rows.values() if stream.is_changed]
        connection.executemany(
            "UPDATE stream SET next_position = ?, batch = ? WHERE row = ?",
            [(stream.next_position, stream.batch, stream.row) for stream in changed],
        )
        for stream in changed:
            stream.is_changed = False

    def _remember(
        self, row: int, subject: int, compartment: Compartment, epoch: int, next_position: int, batch: int
    ) -> Stream:
        keystore = self._site.keystore
        stream = Stream(
            row,
            subject,
            compartment,
            epoch,
            next_position,
            batch,
            IndexKey(keystore.get(index_key_name(subject, compartment, epoch))),
            CompartmentKey(keystore.get(compartment_key_name(subject, compartment, epoch))),
        )
        self._stream_rows[row] = stream
        return stream

    def _open_streams(
        self,
        connection: Connection,
        rows: RowNumbers,
        subject: int,
        index_keys: dict[Compartment, IndexKey],
        envelopes: dict[Compartment, bytes],
        secrets: dict[str, bytes],
    ) -> list[tuple[Stream, NewEntry]]:
        """Make streams with their manifests; keys are durable in the keystore before anything uses them."""
        compartments = [one for one in COMPARTMENTS if one in index_keys]
        compartment_keys = {one: CompartmentKey(os.urandom(32)) for one in compartments}
        for one in compartments:
            secrets[index_key_name(subject, one, FIRST_EPOCH)] = index_keys[one].reveal()
            secrets[compartment_key_name(subject, one, FIRST_EPOCH)] = compartment_keys[one].reveal()
        self._site.keystore.put_many(secrets)
        opened = []
        for one in compartments:
            row = fetch_value(connection, "SELECT coalesce(max(row), 0) + 1 FROM stream")
            connection.execute(
                "INSERT INTO stream VALUES (?, ?, ?, ?, 1, 0)", (row, subject, one, FIRST_EPOCH)
            )
            stream = Stream(row, subject, one, FIRST_EPOCH, 1, 0, index_keys[one], compartment_keys[one])
            self._streams[subject, one] = stream
            self._stream_rows[row] = stream
            opened.append((stream, self.write_manifest(connection, rows, stream, envelopes[one])))
        return opened

    @staticmethod
    def write_manifest(connection: Connection, rows: RowNumbers, stream: Stream, envelope: bytes) -> NewEntry:
        """Put a manifest at position 0 of its stream."""
        first_tag = tag(stream.index_key, 0)
        salt = new_salt()
        commitment: Commitment = manifest_commitment(first_tag, salt, envelope)
        row = rows.take()
        connection.execute(
            "INSERT INTO entry (row, stream, position, kind, commitment, batch, sealed, secret) "
            "VALUES (?, ?, 0, ?, ?, 0, ?, ?)",
            (row, stream.row, ENTRY_MANIFEST, commitment, envelope, salt),
        )
        return NewEntry(row, first_tag, commitment)
