"""Reading versions: the current one, an earlier one, histories, and the bytes as they were submitted.

Opened compartment keys are kept in memory by stream; everything else is read and unsealed anew each time. What
may be seen by whom is decided before this module is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.errors import ERASED, RESOURCE_GONE, RESOURCE_UNKNOWN
from careledger.domains.records.service.package import Method, Package, decode_package
from careledger.domains.records.service.rows import fetch_all, fetch_one
from careledger.domains.records.service.schema import COMMITTED, ENTRY_RECORD
from careledger.domains.records.service.streams import compartment_key_name, index_key_name
from careledger.domains.records.service.versions import seal_context
from careledger.primitives.errors import InvariantViolated, Rejected
from careledger.primitives.identifiers import Commitment
from careledger.storage.sqlite import Connection
from careledger.vault.errors import KeyNotHeld, WrapBroken
from careledger.vault.keys import CompartmentKey, IndexKey, RecordKey
from careledger.vault.sealing import open_sealed
from careledger.vault.wrapping import WrapContext, unwrap_record_key

_COLUMNS = (
    "entry.row, entry.stream, entry.position, entry.commitment, entry.type, entry.id, entry.version, "
    "entry.method, entry.updated_ms, entry.sealed, entry.secret, coalesce(batch.state, 0), "
    "coalesce(batch.height, 0)"
)
_FROM = f"FROM entry LEFT JOIN batch ON batch.row = entry.batch WHERE entry.kind = {ENTRY_RECORD}"
_CURRENT = (
    f"SELECT {_COLUMNS} {_FROM} AND entry.id = ? AND entry.type = ? ORDER BY entry.version DESC LIMIT 1"
)
_VERSION = f"SELECT {_COLUMNS} {_FROM} AND entry.id = ? AND entry.type = ? AND entry.version = ?"
_HISTORY = f"SELECT {_COLUMNS} {_FROM}"
HISTORY_PAGE_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVersion:
    """One record version as it lies in the database, sealed."""

    row: int
    stream: int
    position: int
    commitment: bytes
    resource_type: str
    resource_id: str
    version: int
    method: Method
    updated_ms: int
    sealed: bytes | None
    """None once erased."""
    wrapped: bytes | None
    is_committed: bool
    height: int
    """Block that carries its commitment; 0 while pending."""


@dataclass(frozen=True, slots=True)
class StreamKeys:
    """What is needed to open and to prove a stream's versions."""

    row: int
    subject: int
    compartment: Compartment
    epoch: int
    index_key: IndexKey
    compartment_key: CompartmentKey


class RecordStore:
    """Reads a site's record versions."""

    def __init__(self, site: SiteContext) -> None:
        self._site = site
        self._streams: dict[int, StreamKeys] = {}

    def read(self, resource_type: str, resource_id: str) -> StoredVersion:
        """Current version.

        Raises:
            Rejected: RESOURCE_UNKNOWN, RESOURCE_GONE after a deletion.
        """
        with self._site.database.snapshot() as connection:
            row = fetch_one(connection, _CURRENT, (resource_id, resource_type))
        stored = _required(row)
        if stored.method is Method.DELETE:
            raise Rejected(RESOURCE_GONE)
        return stored

    def vread(self, resource_type: str, resource_id: str, version: int) -> StoredVersion:
        """One version, deletions included.

        Raises:
            Rejected: RESOURCE_UNKNOWN.
        """
        with self._site.database.snapshot() as connection:
            return _required(fetch_one(connection, _VERSION, (resource_id, resource_type, version)))

    def read_many(self, keys: Sequence[tuple[str, str]]) -> list[StoredVersion]:
        """Current versions of (type, id) pairs, in their order; what is gone or unknown is left out."""
        with self._site.database.snapshot() as connection:
            rows = [fetch_one(connection, _CURRENT, (key[1], key[0])) for key in keys]
        found = [_stored(row) for row in rows if row is not None]
        return [one for one in found if one.method is not Method.DELETE]

    def read_versions(self, keys: Sequence[tuple[str, str, int]]) -> list[StoredVersion]:
        """Versions by (type, id, version), in their order; what is unknown is left out."""
        with self._site.database.snapshot() as connection:
            rows = [fetch_one(connection, _VERSION, (key[1], key[0], key[2])) for key in keys]
        return [_stored(row) for row in rows if row is not None]

    def history(
        self,
        *,
        resource_type: str | None = None,
        resource_id: str | None = None,
        since_ms: int | None = None,
        before_row: int | None = None,
        count: int = 50,
    ) -> list[StoredVersion]:
        """Versions, newest first: of one resource, of a type, or of everything.

        Args:
            resource_type: only this type.
            resource_id: only this resource.
            since_ms: only versions from this time on.
            before_row: where a page before ended.
            count: at most so many, up to 1,000.
        """
        sql, values = [_HISTORY], list[Any]()
        for clause, value in (
            ("entry.id = ?", resource_id),
            ("entry.type = ?", resource_type),
            ("entry.updated_ms >= ?", since_ms),
            ("entry.row < ?", before_row),
        ):
            if value is not None:
                sql.append(f"AND {clause}")
                values.append(value)
        sql.append("ORDER BY entry.row DESC LIMIT ?")
        values.append(max(1, min(count, HISTORY_PAGE_MAX)))
        with self._site.database.snapshot() as connection:
            return [_stored(row) for row in fetch_all(connection, " ".join(sql), values)]

    def open(self, stored: StoredVersion) -> Package:
        """Unseal a version.

        Raises:
            Rejected: ERASED.
            SealBroken: The stored bytes are not what was sealed.
            WrapBroken: The stored key is not what was wrapped.
        """
        return decode_package(self.open_plaintext(stored))

    def open_plaintext(self, stored: StoredVersion) -> bytes:
        """Unseal a version to the bytes whose hash its leaf commits to; see `open`."""
        if stored.sealed is None or stored.wrapped is None:
            raise Rejected(ERASED)
        try:
            key = self._unwrap(stored, stored.wrapped)
        except WrapBroken:
            # The compartment's key may have changed since it was cached, or be about to: an erasure.
            self._streams.pop(stored.stream, None)
            key = self._unwrap(self.vread(stored.resource_type, stored.resource_id, stored.version), None)
        context = seal_context(self._site, stored.resource_type, stored.resource_id, stored.version)
        return open_sealed(stored.sealed, key, context=context)

    def _unwrap(self, stored: StoredVersion, wrapped: bytes | None) -> RecordKey:
        wrapped = wrapped or stored.wrapped
        if wrapped is None:
            raise Rejected(ERASED)
        keys = self.stream_keys(stored.stream)
        return unwrap_record_key(wrapped, keys.compartment_key, wrap_context_of(keys, stored))

    def stream_keys(self, row: int) -> StreamKeys:
        """Keys of a stream.

        Raises:
            Rejected: ERASED, its keys were destroyed.
        """
        keys = self._streams.get(row)
        if keys is None:
            with self._site.database.snapshot() as connection:
                keys = self._read_stream_keys(connection, row)
            self._streams[row] = keys
        return keys

    def forget_keys(self) -> None:
        """Drop the opened keys, after an erasure or a new epoch."""
        self._streams.clear()

    def _read_stream_keys(self, connection: Connection, row: int) -> StreamKeys:
        found = fetch_one(connection, "SELECT subject, compartment, epoch FROM stream WHERE row = ?", (row,))
        if found is None:
            raise InvariantViolated("a version names a stream that is not there")
        subject, compartment, epoch = found[0], Compartment(found[1]), found[2]
        keystore = self._site.keystore
        try:
            index_key = IndexKey(keystore.get(index_key_name(subject, compartment, epoch)))
            compartment_key = CompartmentKey(keystore.get(compartment_key_name(subject, compartment, epoch)))
        except KeyNotHeld:
            raise Rejected(ERASED) from None
        return StreamKeys(row, subject, compartment, epoch, index_key, compartment_key)


def wrap_context_of(keys: StreamKeys, stored: StoredVersion) -> WrapContext:
    """Context under which a stored version's key is wrapped."""
    return WrapContext(
        stored.resource_id.encode(),
        stored.version,
        keys.compartment.label,
        keys.epoch,
        Commitment(stored.commitment),
    )


def _required(row: tuple[Any, ...] | None) -> StoredVersion:
    if row is None:
        raise Rejected(RESOURCE_UNKNOWN)
    return _stored(row)


def _stored(row: tuple[Any, ...]) -> StoredVersion:
    return StoredVersion(
        row=row[0],
        stream=row[1],
        position=row[2],
        commitment=row[3],
        resource_type=row[4],
        resource_id=row[5],
        version=row[6],
        method=Method(row[7]),
        updated_ms=row[8],
        sealed=row[9],
        wrapped=row[10],
        is_committed=row[11] == COMMITTED,
        height=row[12],
    )
