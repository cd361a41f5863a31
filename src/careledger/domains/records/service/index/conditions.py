"""Conditions of a search as SQL on one resource.

Owns the translation of matches, chains and reverse chains into conditions on an alias of `idx_resource`. Every
resource that a chain or `_has` passes through must itself be visible; one that is not matches nothing.
"""

from __future__ import annotations

from careledger.domains.records.service.index.schema import (
    ASPECTS,
    LOGICAL,
    VALUE,
    param_number,
    type_numbers,
)
from careledger.domains.records.service.index.scope import Scope
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
from careledger.domains.records.service.index.values import (
    Columns,
    Test,
    ValueCompiler,
    any_test,
    compare_dates,
)
from careledger.domains.records.service.index.visibility import Visibility
from careledger.standards.fhir.search.definitions import Kind, Parameter
from careledger.standards.fhir.search.parameters import parameters
from careledger.standards.fhir.search.query import (
    Chain,
    CompositeValue,
    Condition,
    DateValue,
    Has,
    Match,
    Modifier,
    TokenValue,
)
from careledger.storage.sqlite import Connection

_TABLES = {
    Kind.DATE: ("idx_date", Columns("", "first_ms", "last_ms")),
    Kind.NUMBER: ("idx_amount", Columns("unit", "low", "high", "printed")),
    Kind.QUANTITY: ("idx_amount", Columns("unit", "low", "high", "printed")),
    Kind.SPECIAL: ("idx_position", Columns("", "latitude_e7", "longitude_e7")),
}
_FACTS = ("idx_fact", Columns("value"))


def _qualify(alias: str, columns: Columns) -> Columns:
    """Return columns with the alias of their table."""
    names = (columns.value, columns.low, columns.high, columns.printed)
    return Columns(*(f"{alias}.{name}" if name else "" for name in names))


class Conditions:
    """Compiles the conditions of one search."""

    def __init__(self, connection: Connection, scope: Scope, snapshot_row: int | None) -> None:
        """Prepare for a search.

        Args:
            connection: inside the search's read transaction.
            scope: what may be seen.
            snapshot_row: last row number of the snapshot, or None for the state as it is.
        """
        self.values = ValueCompiler(connection)
        self.visibility = Visibility(connection, scope, snapshot_row, self.compile_match)
        self._aliases = 0

    def alias(self, prefix: str) -> str:
        """Return an alias not used before in this search."""
        self._aliases += 1
        return f"{prefix}{self._aliases}"

    def compile(self, condition: Condition, resource_type: str, alias: str) -> Sql:
        """Return a condition as SQL on the alias of a resource's row."""
        if isinstance(condition, Match):
            return self.compile_match(condition, resource_type, alias)
        if isinstance(condition, Chain):
            return self._compile_chain(condition, resource_type, alias)
        return self._compile_has(condition, alias)

    def params(self, resource_type: str, parameter: Parameter, aspect: int = VALUE) -> list[int]:
        """Return the numbers under which a parameter's rows stand."""
        slots = parameter.sources
        if aspect == LOGICAL and parameter.restriction:
            # By identifier, the type is not in the rows: such a view has its own.
            slots = (parameter.slot,)
        return [param_number(resource_type, slot, aspect) for slot in slots]

    def tests(self, match: Match, resource_type: str, columns: Columns) -> list[Test]:
        """Return the comparisons of a match's values, composites excepted."""
        parameter = match.parameter
        text_params = self.params(resource_type, parameter)
        return [
            self.values.compile(
                parameter.kind, match.modifier, parameter.restriction, value, columns, text_params
            )
            for value in match.values
            if not isinstance(value, CompositeValue)
        ]

    def compile_match(self, match: Match, resource_type: str, alias: str) -> Sql:
        """Return a match as SQL on the alias of a resource's row."""
        parameter = match.parameter
        if match.modifier is Modifier.MISSING:
            sign = "=" if match.is_missing else "<>"
            return sql(f"({alias}.present & ?) {sign} 0", parameter.present_mask)
        if parameter.is_built_in:
            found = self._built_in(match, alias)
        elif parameter.kind is Kind.COMPOSITE:
            found = any_of(
                self._composite(parameter, value, resource_type, alias)
                for value in match.values
                if isinstance(value, CompositeValue)
            )
        else:
            found = self._rows_exist(match, resource_type, alias)
        return negate(found) if match.modifier is Modifier.NOT else found

    def _rows_exist(self, match: Match, resource_type: str, alias: str) -> Sql:
        """Return the condition that the resource has a row with one of the values."""
        table, columns = _TABLES.get(match.parameter.kind, _FACTS)
        name = self.alias("f")
        tests = self.tests(match, resource_type, _qualify(name, columns))
        alternatives = []
        for aspect in sorted({test.aspect for test in tests}):
            values = any_test(f"{name}.value", [test for test in tests if test.aspect == aspect])
            if values != NEVER:
                params = among(f"{name}.param", self.params(resource_type, match.parameter, aspect))
                alternatives.append(sql("({} AND {})", params, values))
        if not alternatives:
            return NEVER
        return sql(
            f"EXISTS (SELECT 1 FROM {table} {name} WHERE {name}.row = {alias}.row AND {{}})",
            any_of(alternatives),
        )

    def _built_in(self, match: Match, alias: str) -> Sql:
        """Return the comparison with the resource's own id or time of update."""
        columns = Columns("", f"{alias}.updated_ms", f"{alias}.updated_ms")
        times = [compare_dates(columns, value) for value in match.values if isinstance(value, DateValue)]
        ids = {value.code for value in match.values if isinstance(value, TokenValue) and not value.system}
        return any_of((*times, among(f"{alias}.id", sorted(code for code in ids if code is not None))))

    def _composite(self, parameter: Parameter, value: CompositeValue, resource_type: str, alias: str) -> Sql:
        """Return the condition that the components meet: in the resource itself, or in one element."""
        known = parameters(resource_type)
        alternatives = [
            all_of(
                self.compile_match(Match(known[code], Modifier.NONE, (part,)), resource_type, alias)
                for code, part in zip(codes, value.parts, strict=True)
            )
            for codes in parameter.conjunctions
        ]
        if parameter.sources:
            alternatives.append(self._element(parameter, value, resource_type, alias))
        return any_of(alternatives)

    def _element(self, parameter: Parameter, value: CompositeValue, resource_type: str, alias: str) -> Sql:
        """Return the condition that one element of the resource has all components."""
        params = self.params(resource_type, parameter)
        names = [self.alias("p") for _ in value.parts]
        parts = []
        for number, (component, part) in enumerate(zip(parameter.components, value.parts, strict=True)):
            name = names[number]
            columns = Columns(f"{name}.value", f"{name}.low", f"{name}.high", f"{name}.printed")
            test = self.values.compile(component.kind, Modifier.NONE, "", part, columns, params)
            if test.condition == NEVER:
                return NEVER
            parts.append(
                sql(f"{name}.component = ? AND {{}}", number * ASPECTS + test.aspect, test.condition)
            )
        first = names[0]
        others = "".join(f" CROSS JOIN idx_part {name}" for name in names[1:])
        joins = "".join(
            f" AND {name}.row = {first}.row AND {name}.param = {first}.param AND {name}.element = {first}.element"
            for name in names[1:]
        )
        return sql(
            f"EXISTS (SELECT 1 FROM idx_part {first}{others} WHERE {first}.row = {alias}.row{joins} AND {{}} AND {{}})",
            among(f"{first}.param", params),
            all_of(parts),
        )

    def _compile_chain(self, chain: Chain, resource_type: str, alias: str) -> Sql:
        """Return the condition that the resource refers to a visible one that fulfils a condition."""
        params = self.params(resource_type, chain.parameter)
        alternatives = []
        for target_type, condition in chain.alternatives:
            link, target = self.alias("l"), self.alias("t")
            inner = all_of(
                (self.visibility.visible(target, target_type), self.compile(condition, target_type, target))
            )
            if inner != NEVER:
                alternatives.append(
                    sql(
                        f"EXISTS (SELECT 1 FROM idx_fact {link} CROSS JOIN idx_resource {target}"
                        f" WHERE {target}.entity = {link}.value AND {link}.row = {alias}.row AND {{}} AND {{}})",
                        among(f"{link}.param", params),
                        inner,
                    )
                )
        return any_of(alternatives)

    def _compile_has(self, has: Has, alias: str) -> Sql:
        """Return the condition that a visible resource refers to this one and fulfils a condition."""
        params = self.params(has.source_type, has.parameter)
        link, source = self.alias("l"), self.alias("s")
        inner = all_of(
            (
                self.visibility.visible(source, has.source_type),
                self.compile(has.condition, has.source_type, source),
            )
        )
        if inner == NEVER:
            return NEVER
        restriction = has.parameter.restriction
        is_type = sql(f"{alias}.type = ?", type_numbers()[restriction]) if restriction else ALWAYS
        exists = sql(
            f"EXISTS (SELECT 1 FROM idx_fact {link} INDEXED BY idx_hit CROSS JOIN idx_resource {source}"
            f" WHERE {source}.row = {link}.row AND {link}.value = {alias}.entity AND {{}} AND {{}})",
            among(f"{link}.param", params),
            inner,
        )
        return all_of((is_type, exists))
