"""Orders of results, and continuing in them.

Owns the sort keys as SQL, the order they make, and the condition of being beyond a given row in that order. Rows
without a value come last, ascending or descending; equal rows follow in the order of writing, so that the order is
total. Without `_sort`, results come in the order of their last update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from careledger.domains.records.service.index.conditions import Conditions
from careledger.domains.records.service.index.schema import URI
from careledger.domains.records.service.index.statement import Bound, Sql, all_of, among, any_of, join, sql
from careledger.standards.fhir.search.definitions import Kind
from careledger.standards.fhir.search.parameters import parameters
from careledger.standards.fhir.search.query import SortKey

LAST_UPDATED = "_lastUpdated"


@dataclass(frozen=True, slots=True)
class Order:
    """A total order of results, forwards or backwards."""

    keys: tuple[SortKey, ...]
    is_backwards: bool

    @property
    def is_default(self) -> bool:
        """Whether it is the order of last updates, ascending, which an index has."""
        return self.keys == (SortKey(LAST_UPDATED, is_descending=False),)

    def names(self) -> list[str]:
        """Return the column names of the keys."""
        return [f"k{number}" for number in range(len(self.keys))]

    def clause(self) -> Sql:
        """Return what follows ORDER BY."""
        parts = []
        for key, name in zip(self.keys, self.names(), strict=True):
            if key.code != LAST_UPDATED:
                parts.append(f"{name} IS NULL{' DESC' if self.is_backwards else ''}")
            parts.append(f"{name}{' DESC' if key.is_descending != self.is_backwards else ''}")
        return Sql(", ".join([*parts, f"row{' DESC' if self.is_backwards else ''}"]))

    def beyond(self, values: Sequence[Bound], row: int) -> Sql:
        """Return the condition that a row comes after an edge in this order.

        Args:
            values: the edge's sort keys.
            row: the edge's row number.
        """
        alternatives = []
        same: list[Sql] = []
        for key, name, value in zip(self.keys, self.names(), values, strict=True):
            alternatives.append(all_of([*same, self._past(key, name, value)]))
            same.append(sql(f"{name} IS ?", value))
        alternatives.append(all_of([*same, sql(f"row {'<' if self.is_backwards else '>'} ?", row)]))
        found = any_of(alternatives)
        if self.is_default and values[0] is not None:
            # Says nothing new, but in a form that lets the index start at the edge.
            bound = sql(f"k0 {'<=' if self.is_backwards else '>='} ?", values[0])
            return all_of((bound, found))
        return found

    def _past(self, key: SortKey, name: str, value: Bound) -> Sql:
        """Return the condition that a key comes strictly after the edge's."""
        sign = "<" if key.is_descending != self.is_backwards else ">"
        if value is None:
            return Sql(f"{name} IS NOT NULL") if self.is_backwards else Sql("0")
        past = sql(f"{name} {sign} ?", value)
        return past if self.is_backwards else sql(f"({{}} OR {name} IS NULL)", past)


def compile_key(conditions: Conditions, resource_type: str, key: SortKey, alias: str) -> Sql:
    """Return a sort key of a resource as SQL: the least of its values, or the greatest when descending."""
    parameter = parameters(resource_type)[key.code]
    if parameter.is_built_in:
        return Sql(f"{alias}.updated_ms" if key.code == LAST_UPDATED else f"{alias}.id")
    end = "max" if key.is_descending else "min"
    params = conditions.params(resource_type, parameter)
    match parameter.kind:
        case Kind.DATE:
            column, table, join_clause = ("last_ms" if key.is_descending else "first_ms"), "idx_date", ""
        case Kind.NUMBER | Kind.QUANTITY:
            column, table, join_clause = ("high" if key.is_descending else "low"), "idx_amount", ""
        case Kind.TOKEN:
            column, table, join_clause = "x.code", "idx_fact", " JOIN idx_token x ON x.id = f.value"
        case Kind.REFERENCE:
            column, table = "x.id", "idx_fact"
            join_clause = " JOIN idx_resource x ON x.entity = f.value AND x.ended = 0"
        case _:
            column, table, join_clause = "x.folded", "idx_fact", " JOIN idx_text x ON x.id = f.value"
    if parameter.kind is Kind.URI:
        params = conditions.params(resource_type, parameter, URI)
    # The plus keeps min and max from walking an index of all resources' values in search of this one's.
    return sql(
        f"(SELECT {end}({column}) FROM {table} f{join_clause} WHERE f.row = {alias}.row AND {{}})",
        among("+f.param", params),
    )


def compile_keys(conditions: Conditions, resource_type: str, order: Order, alias: str) -> Sql:
    """Return all sort keys as columns named as in `Order.names`."""
    keys = [compile_key(conditions, resource_type, key, alias) for key in order.keys]
    return join(", ", (sql(f"{{}} AS {name}", key) for key, name in zip(keys, order.names(), strict=True)))
