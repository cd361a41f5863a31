"""Writing the index: putting, removing, purging and erasing resources.

Owns row numbers, versions and what becomes of them. Everything happens inside a write transaction that the caller
opened and will commit together with the resources themselves, so index and store cannot part.

A new version does not touch the rows of the old one: it marks them as ended, and `purge` takes them away once no
page link can need them. Erasing takes everything at once, interned texts included where nobody else uses them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from careledger.domains.records.service.index.batch import Batch
from careledger.domains.records.service.index.interning import Interner
from careledger.domains.records.service.index.orphans import (
    collect_values,
    drop_orphans,
    drop_stubs,
    is_referred_to,
)
from careledger.domains.records.service.index.schema import (
    DELETED,
    EVERY_LABEL,
    LABEL_BITS,
    LIVE,
    ROW_TABLES,
    SEVERAL_PATIENTS,
    STUB,
    definitions_digest,
    type_numbers,
)
from careledger.standards.fhir.search.compartment import find_patients
from careledger.standards.fhir.search.extract import Extractor
from careledger.standards.fhir.search.rows import Rows
from careledger.storage.sqlite import Connection

RETENTION_MS: Final = 15 * 60 * 1_000
"""How long the rows of an ended version stay, and so how long a page link lasts at least."""
_NONCE_BYTES: Final = 16
_WRITERS_KEPT: Final = 64
_PURGE_EXTRA: Final = 16
"""Ended rows that each batch takes away beyond its own number, so that a backlog shrinks."""

_FIND_CURRENT: Final = (
    "SELECT type, id, row, entity, state, labels, patient FROM idx_resource"
    " WHERE type = ? AND id = ? AND ended = 0"
)
_INSERT_STUB: Final = f"INSERT INTO idx_resource VALUES (?, ?, ?, ?, 0, 0, 0, 0, 0, {STUB}, 0, 0)"
_END: Final = "UPDATE idx_resource SET ended = ?, ended_ms = ? WHERE row = ?"


class IndexOutdated(Exception):  # noqa: N818 - a state of the file, which `Index.reset` and indexing anew mend
    """The index was made under other search definitions; it must be built anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedResource:
    """One version of a resource, to be found."""

    resource_type: str
    resource_id: str
    version: int
    last_updated_ms: int
    value: dict[str, object]
    """Decoded JSON, decimals exact."""
    labels: int = 0
    """Sensitivity bits 0 to 61; a scope may deny each."""
    patients: tuple[str, ...] | None = None
    """Ids of the patients in whose compartments it is; None to have them found (CompartmentDefinition)."""
    rows: Rows | None = None
    """What the caller had extracted from the value already, with the same base URL; None to have it done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """The deletion of a resource."""

    resource_type: str
    resource_id: str
    version: int
    last_updated_ms: int


@dataclass(frozen=True, slots=True)
class _Current:
    """The current row of a resource."""

    row: int
    entity: int
    state: int
    labels: int
    patient: int


@dataclass(slots=True)
class _Placement:
    """Which rows a batch gives out and ends."""

    placed: dict[tuple[int, str], tuple[int, int]] = field(default_factory=dict)
    """Row and entity, by type and id."""
    ended: list[tuple[int, int, int]] = field(default_factory=list)
    """Row that replaces, when, row that is replaced."""
    stubs: list[tuple[int]] = field(default_factory=list)
    """Rows of stubs whose resource has come."""
    removed: set[int] = field(default_factory=set)
    """Rows ended by a deletion of this batch."""


class IndexWriter:
    """Writes through one connection; one per process and database."""

    def __init__(
        self, connection: Connection, extractor: Extractor, *, retention_ms: int = RETENTION_MS
    ) -> None:
        """Build a writer.

        Args:
            connection: the database's writer connection.
            extractor: what finds the rows of a resource.
            retention_ms: how long ended versions stay.
        """
        self._connection = connection
        self._extractor = extractor
        self._retention_ms = retention_ms
        self._interner = Interner(connection)
        self._nonce = os.urandom(_NONCE_BYTES)
        self._writes = 0
        self._erasures = 0

    def _begin(self) -> Batch:
        """Start a batch: read the counters and find out whether what is cached can be trusted."""
        if not self._connection.in_transaction:
            raise RuntimeError("the index is written inside a transaction of its caller")
        query = "SELECT definitions, row, token, text, erasures FROM idx_counter"
        rows = self._connection.execute(query).fetchall()
        if not rows:
            rows = [(definitions_digest(), 0, 0, 0, 0)]
            self._connection.execute("INSERT INTO idx_counter VALUES (1, ?, 0, 0, 0, 0, 0)", (rows[0][0],))
        definitions, row, token, text, erasures = rows[0]
        if definitions != definitions_digest():
            raise IndexOutdated("the index was made under other search definitions")
        found = self._connection.execute(
            "SELECT writes FROM idx_writer WHERE nonce = ?", (self._nonce,)
        ).fetchall()
        writes = cast("int", found[0][0]) if found else 0
        if (writes, erasures) != (self._writes, self._erasures):
            # A transaction was rolled back, or numbers were taken back: what was given out may mean nothing.
            self._interner.forget()
            self._writes, self._erasures = writes, cast("int", erasures)
        self._interner.begin(cast("int", row), cast("int", token), cast("int", text))
        return Batch(self._interner)

    def _finish(self, batch: Batch, placement: _Placement) -> None:
        """Write a batch and the counters."""
        if placement.stubs:
            self._connection.executemany("DELETE FROM idx_resource WHERE row = ?", placement.stubs)
        if placement.ended:
            self._connection.executemany(_END, placement.ended)
        batch.write(self._connection)
        interner = self._interner
        self._connection.execute(
            "UPDATE idx_counter SET row = ?, token = ?, text = ?",
            (interner.row, interner.token, interner.text),
        )
        self._writes += 1
        if self._writes == 1:
            # Rows of processes that ended long ago; a writer that loses its row only loses its caches.
            self._connection.execute(
                "DELETE FROM idx_writer WHERE (SELECT count(*) FROM idx_writer) >= ?", (_WRITERS_KEPT,)
            )
        self._connection.execute(
            "INSERT OR REPLACE INTO idx_writer VALUES (?, ?)", (self._nonce, self._writes)
        )

    def put_many(self, items: Sequence[IndexedResource]) -> None:
        """Index new versions, each replacing the version before it, in the order given.

        Raises:
            IndexOutdated: The index was made under other search definitions.
            KeyError: R4 has no such resource type.
            ValueError: Labels outside bits 0 to 61.
            RuntimeError: The caller opened no transaction.
        """
        if not items:
            return
        if not all(0 <= item.labels < 1 << LABEL_BITS for item in items):
            raise ValueError("labels outside bits 0 to 61")
        batch = self._begin()
        placement = _Placement()
        current = self._find_all_current((item.resource_type, item.resource_id) for item in items)
        places = [self._place(item, current, placement) for item in items]
        ends = {row: (successor, when_ms) for successor, when_ms, row in placement.ended}
        for item, (row, entity) in zip(items, places, strict=True):
            rows = item.rows
            if rows is None:
                rows = self._extractor.extract(item.resource_type, item.value)
            patients = item.patients
            if patients is None:
                patients = find_patients(item.resource_type, item.resource_id, rows)
            patient = batch.add_patients(row, patients)
            batch.add_rows(row, item.resource_type, rows)
            head = (row, entity, type_numbers()[item.resource_type], item.resource_id, item.version)
            labels = item.labels | EVERY_LABEL
            end = ends.get(row, (0, 0))
            batch.resources.append((*head, item.last_updated_ms, labels, patient, rows.present, LIVE, *end))
        self._finish(batch, placement)
        latest_ms = max(item.last_updated_ms for item in items)
        self.purge(latest_ms - self._retention_ms, limit=len(items) + _PURGE_EXTRA)

    def remove_many(self, removals: Sequence[Removal]) -> None:
        """Mark resources as deleted; unknown and already deleted ones are passed over.

        What is left of a deleted resource is what decides who may learn that it was: type, labels, compartments.

        Raises:
            IndexOutdated: The index was made under other search definitions.
            RuntimeError: The caller opened no transaction.
        """
        if not removals:
            return
        batch = self._begin()
        placement = _Placement()
        known = self._find_all_current((removal.resource_type, removal.resource_id) for removal in removals)
        for removal in removals:
            number = type_numbers()[removal.resource_type]
            found = known.get((number, removal.resource_id))
            if found is None or found.state != LIVE or found.row in placement.removed:
                continue
            placement.removed.add(found.row)
            row = self._interner.next_row()
            placement.ended.append((row, removal.last_updated_ms, found.row))
            head = (row, found.entity, number, removal.resource_id, removal.version)
            tail = (found.labels, found.patient, 0, DELETED, 0, 0)
            batch.resources.append((*head, removal.last_updated_ms, *tail))
            if found.patient == SEVERAL_PATIENTS:
                rows = self._connection.execute(
                    "SELECT patient FROM idx_compartment WHERE row = ?", (found.row,)
                ).fetchall()
                batch.compartments.extend((row, cast("int", patient)) for (patient,) in rows)
        self._finish(batch, placement)

    def _find_all_current(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[int, str], _Current]:
        """Return what is known of resources, by type number and id."""
        numbers = type_numbers()
        wanted = [(numbers[resource_type], resource_id) for resource_type, resource_id in keys]
        rows = cast(
            "Iterable[tuple[int, str, int, int, int, int, int]]",
            self._connection.executemany(_FIND_CURRENT, wanted),
        )
        return {(number, resource_id): _Current(*rest) for number, resource_id, *rest in rows}

    def _place(
        self, item: IndexedResource, known: dict[tuple[int, str], _Current], placement: _Placement
    ) -> tuple[int, int]:
        """Give a version its row and its resource's entity; note what it ends."""
        number = type_numbers()[item.resource_type]
        key = (number, item.resource_id)
        row = self._interner.next_row()
        before = placement.placed.get(key)
        if before is not None:
            entity = before[1]
            placement.ended.append((row, item.last_updated_ms, before[0]))
        else:
            current = known.get(key)
            entity = row if current is None else current.entity
            if current is not None and current.state == STUB:
                placement.stubs.append((current.row,))
            elif current is not None:
                placement.ended.append((row, item.last_updated_ms, current.row))
        placement.placed[key] = (row, entity)
        self._interner.learn_entity(key, entity)
        return row, entity

    def purge(self, before_ms: int, *, limit: int) -> int:
        """Take away the rows of versions that ended before an instant; page links from before it end.

        Args:
            before_ms: UTC milliseconds, on the clock of `last_updated_ms`.
            limit: most versions to take away now.

        Returns:
            How many were taken away.
        """
        ended = self._connection.execute(
            "SELECT row, ended FROM idx_resource WHERE ended <> 0 AND ended_ms < ? ORDER BY ended_ms LIMIT ?",
            (before_ms, limit),
        ).fetchall()
        if ended:
            self._drop_rows([cast("int", row) for row, _ in ended])
            horizon = max(cast("int", end) for _, end in ended)
            self._connection.execute("UPDATE idx_counter SET purged = max(purged, ?)", (horizon,))
        return len(ended)

    def _drop_rows(self, rows: list[int]) -> None:
        """Delete versions and all that belongs to them."""
        for table in (*ROW_TABLES, "idx_resource"):
            self._connection.executemany(f"DELETE FROM {table} WHERE row = ?", [(row,) for row in rows])

    def erase_many(self, keys: Iterable[tuple[str, str]]) -> int:
        """Take away all trace of resources, in every version, and texts that only they had.

        Of a resource that others refer to, type and id remain, as of one that never was. Page links made before
        end, since they may point at what is gone.

        Args:
            keys: (resource type, id).

        Returns:
            How many resources were known.
        """
        self._begin()
        count = 0
        all_values: set[tuple[int, int]] = set()
        for resource_type, resource_id in keys:
            number = type_numbers()[resource_type]
            current = self._find_all_current([(resource_type, resource_id)]).get((number, resource_id))
            if current is None or current.state == STUB:
                continue
            count += 1
            found = self._connection.execute(
                "SELECT row FROM idx_resource WHERE entity = ?", (current.entity,)
            ).fetchall()
            rows = [cast("int", row) for (row,) in found]
            values = collect_values(self._connection, rows)
            self._drop_rows(rows)
            drop_orphans(self._connection, values)
            all_values |= values
            if is_referred_to(self._connection, current.entity):
                self._connection.execute(
                    _INSERT_STUB, (self._interner.next_row(), current.entity, number, resource_id)
                )
        drop_stubs(self._connection, all_values)
        self._interner.forget()
        self._connection.execute(
            "UPDATE idx_counter SET row = ?1, purged = ?1, erasures = erasures + 1", (self._interner.row,)
        )
        return count
