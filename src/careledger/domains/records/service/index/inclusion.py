"""Inclusions: resources that matches refer to, or that refer to matches.

Owns `_include` and `_revinclude` (FHIR R4 §3.1.1.5.4), with `:iterate` and wildcards. Every resource included is
visible to the scope at the search's snapshot; whatever is not, is passed over without a sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final, cast

from careledger.domains.records.service.index.conditions import Conditions
from careledger.domains.records.service.index.results import INCLUDES_MAX, Entry
from careledger.domains.records.service.index.schema import VALUE, param_number, type_names
from careledger.domains.records.service.index.scope import Scope
from careledger.domains.records.service.index.statement import Sql, among, sql
from careledger.standards.fhir.search.definitions import Kind
from careledger.standards.fhir.search.parameters import parameters
from careledger.standards.fhir.search.query import Include
from careledger.storage.sqlite import Connection

ENTRY_COLUMNS: Final = ("type", "id", "version", "updated_ms", "row", "entity")
"""Columns of `idx_resource` that make an entry, in its order."""
_ROUNDS_MAX: Final = 16
"""Rounds of `:iterate`; a longer way than this is not followed."""


def to_entry(row: Sequence[object]) -> Entry:
    """Return the entry of a row with `ENTRY_COLUMNS`."""
    type_number, *rest = row
    return Entry(type_names()[cast("int", type_number)], *cast("tuple[str, int, int, int, int]", tuple(rest)))


@cache
def _reference_params(resource_type: str) -> tuple[int, ...]:
    """Return the numbers of all reference parameters of a type that have rows of their own."""
    return tuple(
        param_number(resource_type, parameter.slot, VALUE)
        for parameter in parameters(resource_type).values()
        if parameter.kind is Kind.REFERENCE and parameter.slot in parameter.sources
    )


class Inclusion:
    """Finds what a page's matches include."""

    def __init__(self, connection: Connection, conditions: Conditions, scope: Scope) -> None:
        self._connection = connection
        self._conditions = conditions
        self._scope = scope

    def find(self, matches: Sequence[Entry], includes: Sequence[Include]) -> tuple[tuple[Entry, ...], bool]:
        """Return what is included, ordered as found, and whether there was more than `INCLUDES_MAX`."""
        seen = {entry.entity for entry in matches}
        found: list[Entry] = []
        pending = list(matches)
        active = list(includes)
        for _ in range(_ROUNDS_MAX):
            if not pending or not active:
                break
            fresh: list[Entry] = []
            for include in active:
                for entry in self._apply(include, pending):
                    if entry.entity in seen:
                        continue
                    if len(found) + len(fresh) == INCLUDES_MAX:
                        return tuple(found + fresh), True
                    seen.add(entry.entity)
                    fresh.append(entry)
            found += fresh
            pending = fresh
            active = [include for include in includes if include.is_iterated]
        return tuple(found), False

    def _apply(self, include: Include, entries: Sequence[Entry]) -> list[Entry]:
        """Return what one inclusion finds for resources, in the order of writing."""
        query = self._reverse(include, entries) if include.is_reverse else self._forward(include, entries)
        if query is None:
            return []
        columns = ", ".join(f"x.{name}" for name in ENTRY_COLUMNS)
        # One more than may be kept, beside what is there already, shows that there is more.
        statement = sql(
            f"SELECT DISTINCT {columns} FROM {{}} ORDER BY x.row LIMIT ?",
            query,
            2 * INCLUDES_MAX + len(entries) + 1,
        )
        rows = self._connection.execute(statement.text, statement.bindings)
        return [to_entry(row) for row in rows]

    def _params(self, source_type: str, code: str) -> list[int]:
        """Return the numbers of a type's reference parameter, or of all of them."""
        if code:
            return self._conditions.params(source_type, parameters(source_type)[code])
        return list(_reference_params(source_type))

    def _target_type(self, include: Include) -> str:
        """Return the only type of resource that an inclusion's reference is followed to, or nothing."""
        restriction = ""
        if include.source_type and include.code:
            restriction = parameters(include.source_type)[include.code].restriction
        if include.target_type and restriction and include.target_type != restriction:
            return "-"
        return include.target_type or restriction

    def _forward(self, include: Include, entries: Sequence[Entry]) -> Sql | None:
        """Return what stands after FROM to find the resources that entries refer to."""
        sources = {entry.resource_type for entry in entries}
        if include.source_type:
            sources &= {include.source_type}
        rows = [entry.row for entry in entries if entry.resource_type in sources]
        params = sorted(param for source in sources for param in self._params(source, include.code))
        target = self._target_type(include)
        if not rows or not params:
            return None
        visible = self._conditions.visibility.visible_of_any_type("x", [target] if target else None)
        return sql(
            "idx_fact f CROSS JOIN idx_resource x WHERE x.entity = f.value AND {} AND {} AND {}",
            among("f.row", rows),
            among("f.param", params),
            visible,
        )

    def _reverse(self, include: Include, entries: Sequence[Entry]) -> Sql | None:
        """Return what stands after FROM to find the resources that refer to entries."""
        target = self._target_type(include)
        entities = [entry.entity for entry in entries if target in {"", entry.resource_type}]
        sources = [include.source_type] if include.source_type else sorted(self._scope.by_type)
        params = sorted(param for source in sources for param in self._params(source, include.code))
        if not entities or not params:
            return None
        visible = self._conditions.visibility.visible_of_any_type(
            "x", [include.source_type] if include.source_type else None
        )
        return sql(
            "idx_fact f INDEXED BY idx_hit CROSS JOIN idx_resource x WHERE x.row = f.row AND {} AND {} AND {}",
            among("f.param", params),
            among("f.value", entities),
            visible,
        )
