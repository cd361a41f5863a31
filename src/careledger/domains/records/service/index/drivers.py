"""Where a search starts: the condition that leaves the fewest resources to look at.

Owns the choice that a database would make from statistics, made here from bounded counts of the very values asked
for: of all conditions that an index can answer by itself, the one with the fewest rows drives the search, and the
others are tested on its rows. A driver may find too much (every condition is tested again) but never too little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

from careledger.domains.records.service.index.conditions import Conditions
from careledger.domains.records.service.index.schema import type_numbers
from careledger.domains.records.service.index.statement import NEVER, Sql, among, any_of, join, sql
from careledger.domains.records.service.index.values import Columns, any_test, compare_positions
from careledger.standards.fhir.search.definitions import Kind
from careledger.standards.fhir.search.parameters import parameters
from careledger.standards.fhir.search.query import (
    Branch,
    Chain,
    CompositeValue,
    Condition,
    DateValue,
    Has,
    Match,
    Modifier,
    PositionValue,
    TokenValue,
)
from careledger.storage.sqlite import Connection

FEW: Final = 256
"""A driver with fewer rows is taken without looking for a better one of the costlier kinds."""
MANY: Final = 20_000
"""Counting stops here."""

_NOT_DRIVING: Final = frozenset({Modifier.NOT, Modifier.MISSING, Modifier.CONTAINS})
_EXACT: Final = frozenset({Kind.TOKEN, Kind.STRING, Kind.PHONETIC, Kind.REFERENCE, Kind.URI})
_UNBOUNDED_BELOW: Final = frozenset({"ne", "lt", "le"})


@dataclass(frozen=True, slots=True)
class Driver:
    """Rows to start from."""

    rows: Sql
    """Statement that finds row numbers; the same one may come twice."""
    count: int
    """How many, counted up to `MANY`."""
    fulfils: Condition | None = None
    """Condition that all these rows fulfil, so that it need not be tested again."""


class DriverFinder:
    """Finds the driver of a branch."""

    def __init__(self, connection: Connection, conditions: Conditions) -> None:
        self._connection = connection
        self._conditions = conditions

    def find(self, branch: Branch, patients: tuple[int, ...] | None) -> Driver | None:
        """Return the best driver of a branch, or None where nothing narrows it.

        Args:
            branch: what is searched for.
            patients: entities of the patients in whose compartments all results must be, None for no such bound.
        """
        simple = [condition for condition in branch.conditions if isinstance(condition, Match)]
        sources: list[tuple[Sql | None, Condition | None]] = []
        if patients is not None:
            sources.append((_rows_of_patients(patients, branch.resource_type), None))
        sources += [
            (self._rows_of_match(match, branch.resource_type), match if _is_exact(match) else None)
            for match in simple
        ]
        sources += [(rows, None) for rows in self._rows_of_dates(simple, branch.resource_type)]
        best: Driver | None = None
        for most in (FEW, MANY):
            best = None
            for rows, fulfils in sources:
                best = self._better(best, rows, fulfils, most)
            if best is not None and best.count < most:
                return best
        for condition in branch.conditions:
            best = self._better(best, self._rows_of_hop(condition, branch.resource_type), None, MANY)
        return best

    def _better(
        self, best: Driver | None, rows: Sql | None, fulfils: Condition | None, most: int
    ) -> Driver | None:
        """Return the better of a driver and the one these rows make; counting stops where it cannot be better."""
        if rows is None:
            return best
        most = most if best is None else min(most, best.count)
        query = sql("SELECT count(*) FROM (SELECT 1 FROM ({}) LIMIT ?)", rows, most)
        count = cast("int", self._connection.execute(query.text, query.bindings).fetchall()[0][0])
        return Driver(rows, count, fulfils) if best is None or count < best.count else best

    def _rows_of_match(self, match: Match, resource_type: str) -> Sql | None:
        """Return the rows that fulfil a match of equality, or None where no index finds them."""
        if match.modifier in _NOT_DRIVING:
            return None
        parameter = match.parameter
        if parameter.is_built_in:
            return self._rows_of_ids(match, resource_type)
        if parameter.kind is Kind.COMPOSITE:
            return self._rows_of_first_component(match, resource_type)
        if parameter.kind is Kind.SPECIAL:
            return self._rows_near(match, resource_type)
        if parameter.kind in {Kind.DATE, Kind.NUMBER, Kind.QUANTITY}:
            return None
        tests = self._conditions.tests(match, resource_type, Columns("f.value"))
        alternatives = []
        for aspect in sorted({test.aspect for test in tests}):
            values = any_test("f.value", [test for test in tests if test.aspect == aspect])
            params = among("f.param", self._conditions.params(resource_type, parameter, aspect))
            alternatives.append(NEVER if values == NEVER else sql("({} AND {})", params, values))
        return sql("SELECT f.row AS row FROM idx_fact f INDEXED BY idx_hit WHERE {}", any_of(alternatives))

    def _rows_of_ids(self, match: Match, resource_type: str) -> Sql | None:
        """Return the rows with one of the ids."""
        if match.parameter.kind is not Kind.TOKEN:
            return None
        ids = [
            value.code for value in match.values if isinstance(value, TokenValue) and value.code is not None
        ]
        condition = among("id", ids)
        return sql(
            "SELECT row FROM idx_resource WHERE type = ? AND {}", type_numbers()[resource_type], condition
        )

    def _rows_of_first_component(self, match: Match, resource_type: str) -> Sql | None:
        """Return the rows that have the first component of one of a composite's values."""
        component = match.parameter.components[0]
        firsts = tuple(value.parts[0] for value in match.values if isinstance(value, CompositeValue))
        first = Match(parameters(resource_type)[component.code], Modifier.NONE, firsts)
        return self._rows_of_match(first, resource_type)

    def _rows_near(self, match: Match, resource_type: str) -> Sql:
        """Return the rows with a position near one of the places."""
        columns = Columns("", "p.latitude_e7", "p.longitude_e7")
        near = [
            compare_positions(columns, value) for value in match.values if isinstance(value, PositionValue)
        ]
        params = among("p.param", self._conditions.params(resource_type, match.parameter))
        return sql("SELECT p.row AS row FROM idx_position p WHERE {} AND {}", params, any_of(near))

    def _rows_of_dates(self, matches: list[Match], resource_type: str) -> list[Sql]:
        """Return, per date parameter, the rows within the bounds of its matches.

        Two matches of one parameter may be fulfilled by two values of it; they bound one range together only for
        a parameter of which no resource has two values.
        """
        found = []
        by_code: dict[str, list[Match]] = {}
        for match in matches:
            if (
                match.parameter.kind is Kind.DATE
                and match.modifier is Modifier.NONE
                and len(match.values) == 1
            ):
                by_code.setdefault(match.parameter.code, []).append(match)
        for group in by_code.values():
            parameter = group[0].parameter
            values = [value for match in group for value in match.values if isinstance(value, DateValue)]
            if parameter.is_built_in:
                found.append(_rows_updated(type_numbers()[resource_type], values))
                continue
            params = self._conditions.params(resource_type, parameter)
            if len(params) != 1:
                continue
            if len(values) > 1 and self._has_several(params[0]):
                values = values[:1]
            found.append(_rows_in_range(params[0], values))
        return found

    def _has_several(self, param: int) -> bool:
        """Say whether some resource has two dates under a parameter."""
        return bool(
            self._connection.execute("SELECT 1 FROM idx_several WHERE param = ?", (param,)).fetchall()
        )

    def _rows_of_hop(self, condition: Condition, resource_type: str) -> Sql | None:
        """Return the rows that a chain or reverse chain leads to, if what it passes through is few enough."""
        if isinstance(condition, Chain):
            return self._rows_of_chain(condition, resource_type)
        return self._rows_of_has(condition) if isinstance(condition, Has) else None

    def _find_inner(self, condition: Condition, resource_type: str) -> Sql | None:
        """Return the few rows of another resource type that may fulfil a condition there, or None."""
        driver = self.find(Branch(resource_type, (condition,)), None)
        return driver.rows if driver is not None and driver.count < MANY else None

    def _rows_of_chain(self, chain: Chain, resource_type: str) -> Sql | None:
        """Return the rows that refer to what fulfils the chain's condition."""
        params = among("f.param", self._conditions.params(resource_type, chain.parameter))
        parts = []
        for target_type, condition in chain.alternatives:
            inner = self._find_inner(condition, target_type)
            if inner is None:
                return None
            parts.append(
                sql(
                    "SELECT f.row AS row FROM idx_fact f INDEXED BY idx_hit WHERE {} AND f.value IN"
                    " (SELECT t.entity FROM idx_resource t WHERE t.row IN ({}))",
                    params,
                    inner,
                )
            )
        return join(" UNION ALL ", parts)

    def _rows_of_has(self, has: Has) -> Sql | None:
        """Return the rows that are referred to by what fulfils the condition."""
        inner = self._find_inner(has.condition, has.source_type)
        if inner is None:
            return None
        return sql(
            "SELECT t.row AS row FROM idx_resource t WHERE t.entity IN"
            " (SELECT f.value FROM idx_fact f WHERE {} AND f.row IN ({}))",
            among("f.param", self._conditions.params(has.source_type, has.parameter)),
            inner,
        )


def _is_exact(match: Match) -> bool:
    """Say whether the rows of a match's driver are exactly those that fulfil it."""
    return match.parameter.kind in _EXACT and not match.parameter.is_built_in


def _rows_of_patients(patients: tuple[int, ...], resource_type: str) -> Sql:
    """Return the rows of a type in one of the patients' compartments."""
    return sql(
        "SELECT row FROM idx_resource WHERE {} AND patient <> 0 AND type = ?"
        " UNION ALL SELECT row FROM idx_compartment WHERE {}",
        among("patient", patients),
        type_numbers()[resource_type],
        among("patient", patients),
    )


def _rows_updated(type_number: int, values: list[DateValue]) -> Sql:
    """Return the rows of a type updated within the bounds."""
    bounds = _bounds("updated_ms", "updated_ms", values)
    return sql("SELECT row FROM idx_resource WHERE type = ? AND {}", type_number, bounds)


def _rows_in_range(param: int, values: list[DateValue]) -> Sql:
    """Return the rows whose date under a parameter lies within the bounds."""
    bounds = _bounds("d.first_ms", "d.last_ms", values)
    return sql(
        "SELECT d.row AS row FROM idx_date d INDEXED BY idx_date_last WHERE d.param = ? AND {}", param, bounds
    )


def _bounds(first: str, last: str, values: list[DateValue]) -> Sql:
    """Return bounds that every range fulfilling the values keeps; some that keep them fulfil none."""
    parts = []
    for value in values:
        if value.prefix not in _UNBOUNDED_BELOW and value.prefix != "eb":
            parts.append(sql(f"{last} >= ?", value.first_ms))
        if value.prefix in {"lt", "le", "eb", "eq", "ap"}:
            parts.append(sql(f"{first} <= ?", value.last_ms))
    return join(" AND ", [*parts, Sql("1")])
