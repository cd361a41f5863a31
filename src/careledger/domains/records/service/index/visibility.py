"""Scope and snapshot as SQL: which rows of `idx_resource` exist for this requester, in this search.

Owns the condition that every statement of a search puts on every resource it touches. A search continued at an
earlier snapshot sees the versions of then, but with the permissions of now: a version that has been replaced is
only seen while its resource's current version may be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import cast

from careledger.domains.records.service.index.schema import (
    LIVE,
    NO_PATIENT,
    SEVERAL_PATIENTS,
    type_numbers,
)
from careledger.domains.records.service.index.scope import Scope, TypeScope
from careledger.domains.records.service.index.statement import (
    ALWAYS,
    NEVER,
    Sql,
    all_of,
    among,
    any_of,
    negate,
    sql,
)
from careledger.standards.fhir.search.query import Match
from careledger.storage.sqlite import Connection

MatchCompiler = Callable[[Match, str, str], Sql]
"""Compiles a match on a resource type, given the alias of its `idx_resource` row."""


def find_entities(connection: Connection, resource_type: str, ids: Iterable[str]) -> tuple[int, ...]:
    """Return the entities of resources, known or referred to, ascending; unknown ids are passed over."""
    wanted = sorted(ids)
    query = sql(
        "SELECT entity FROM idx_resource WHERE type = ? AND {} AND ended = 0",
        type_numbers()[resource_type],
        among("id", wanted),
    )
    if not wanted:
        return ()
    rows = connection.execute(query.text, query.bindings).fetchall()
    return tuple(sorted(cast("int", row[0]) for row in rows))


class Visibility:
    """The conditions of one scope at one snapshot."""

    def __init__(
        self, connection: Connection, scope: Scope, snapshot_row: int | None, compile_match: MatchCompiler
    ) -> None:
        """Work out which patients the scope names.

        Args:
            connection: where to look them up, inside the search's read transaction.
            scope: what may be seen.
            snapshot_row: last row number of the snapshot, or None for the state as it is.
            compile_match: compiles the constraints of types.
        """
        self.scope = scope
        self._snapshot_row = snapshot_row
        self._compile_match = compile_match
        self.patients = (
            None if scope.patients is None else find_entities(connection, "Patient", scope.patients)
        )
        denials: dict[int, list[str]] = {}
        for patient, bits in scope.patient_denials:
            if bits:
                denials.setdefault(bits, []).append(patient)
        self._denials = tuple(
            (bits, find_entities(connection, "Patient", patients))
            for bits, patients in sorted(denials.items())
        )

    def exists(self, alias: str) -> Sql:
        """Return the condition that a row is the live version at the snapshot, whoever may see it."""
        if self._snapshot_row is None:
            return sql(f"{alias}.ended = 0 AND {alias}.state = {LIVE}")
        return sql(
            f"{alias}.row <= ? AND ({alias}.ended = 0 OR {alias}.ended > ?) AND {alias}.state = {LIVE}",
            self._snapshot_row,
            self._snapshot_row,
        )

    def visible(self, alias: str, resource_type: str) -> Sql:
        """Return the condition that a row is of a type, exists at the snapshot, and may be seen."""
        entry = self.scope.by_type.get(resource_type)
        if entry is None:
            return NEVER
        is_type = sql(f"{alias}.type = ?", type_numbers()[resource_type])
        return all_of(
            (is_type, self.exists(alias), self._now(alias, lambda name: self._permits(name, entry)))
        )

    def visible_of_any_type(self, alias: str, resource_types: Sequence[str] | None = None) -> Sql:
        """Return the condition that a row exists at the snapshot and may be seen, whatever its type.

        Args:
            alias: alias of the row of `idx_resource`.
            resource_types: types asked for, None for all.
        """
        entries = [
            entry
            for name, entry in self.scope.by_type.items()
            if resource_types is None or name in resource_types
        ]

        def permits(name: str) -> Sql:
            groups: dict[bool, list[TypeScope]] = {}
            for entry in entries:
                if not entry.alternatives:
                    groups.setdefault(entry.resource_type in self.scope.shared_types, []).append(entry)
            plain = [
                all_of((self._is_of(name, group), self._permits(name, group[0]))) for group in groups.values()
            ]
            constrained = [
                all_of((self._is_of(name, [entry]), self._permits(name, entry)))
                for entry in entries
                if entry.alternatives
            ]
            return any_of((*plain, *constrained))

        return all_of((self.exists(alias), self._now(alias, permits)))

    def _is_of(self, alias: str, entries: Sequence[TypeScope]) -> Sql:
        """Return the condition that a row is of one of the types."""
        return among(f"{alias}.type", [type_numbers()[entry.resource_type] for entry in entries])

    def _now(self, alias: str, permits: Callable[[str], Sql]) -> Sql:
        """Return the condition that a row is permitted and, if it was replaced since, so is what replaced it."""
        permitted = permits(alias)
        if self._snapshot_row is None or permitted == NEVER:
            return permitted
        current = f"{alias}_now"
        return all_of(
            (
                permitted,
                sql(
                    f"({alias}.ended = 0 OR EXISTS (SELECT 1 FROM idx_resource {current}"
                    f" WHERE {current}.entity = {alias}.entity AND {current}.ended = 0"
                    f" AND {current}.state = {LIVE} AND {{}}))",
                    permits(current),
                ),
            )
        )

    def _permits(self, alias: str, entry: TypeScope) -> Sql:
        """Return the scope's condition on a row of a type."""
        parts = [self._permits_labels(alias), self._permits_patient(alias, entry.resource_type)]
        if entry.alternatives:
            parts.append(
                any_of(
                    all_of(self._compile_match(match, entry.resource_type, alias) for match in matches)
                    for matches in entry.alternatives
                )
            )
        return all_of(parts)

    def permits_row(self, alias: str, resource_type: str) -> Sql:
        """Return the scope's condition on a current row of a type, in whatever state."""
        entry = self.scope.by_type.get(resource_type)
        return NEVER if entry is None else self._permits(alias, entry)

    def _permits_labels(self, alias: str) -> Sql:
        """Return the condition that no label of the row is denied, generally or in its patients' compartments."""
        parts = []
        if self.scope.denied_labels:
            parts.append(sql(f"({alias}.labels & ?) = 0", self.scope.denied_labels))
        for bits, entities in self._denials:
            if not entities:
                continue
            several = in_compartments(alias, entities)
            single = among(f"{alias}.patient", entities)
            denied = sql(f"({alias}.labels & ?) <> 0 AND ({{}} OR {{}})", bits, single, several)
            parts.append(negate(denied))
        return all_of(parts)

    def _permits_patient(self, alias: str, resource_type: str) -> Sql:
        """Return the condition that the row is in the compartment of a patient of the scope."""
        if self.patients is None:
            return ALWAYS
        parts = []
        if self.patients:
            parts = [among(f"{alias}.patient", self.patients), in_compartments(alias, self.patients)]
        if resource_type in self.scope.shared_types:
            parts.append(sql(f"{alias}.patient = {NO_PATIENT}"))
        return any_of(parts)


def in_compartments(alias: str, entities: Sequence[int]) -> Sql:
    """Return the condition that a row in several compartments is in one of these patients'."""
    return sql(
        f"({alias}.patient = {SEVERAL_PATIENTS} AND EXISTS (SELECT 1 FROM idx_compartment c"
        f" WHERE c.row = {alias}.row AND {{}}))",
        among("c.patient", entities),
    )
