"""Search values as SQL conditions on interned values, dates and amounts.

Owns, per kind of value, the comparison with a stored row, and with it the prefixes of dates and amounts (FHIR R4
§3.1.1.4.6 and §3.1.1.4.7). The same comparisons serve the tables of plain parameters and that of composites, whose
columns have other names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from careledger.domains.records.service.index.batch import TYPED_SEPARATOR
from careledger.domains.records.service.index.schema import (
    LOGICAL,
    PRINTED_UNITS,
    SYSTEMS,
    TYPED,
    UNITS,
    URI,
    VALUE,
    type_numbers,
)
from careledger.domains.records.service.index.statement import NEVER, Bound, Sql, among, any_of, sql
from careledger.standards.fhir.search.definitions import Kind
from careledger.standards.fhir.search.elements import resource_types
from careledger.standards.fhir.search.folding import fold, soundex
from careledger.standards.fhir.search.query import (
    AmountValue,
    DateValue,
    Modifier,
    PositionValue,
    ReferenceValue,
    TextValue,
    TokenValue,
    TypedIdentifierValue,
    Value,
)
from careledger.standards.fhir.search.read_references import find_target_type
from careledger.storage.sqlite import Connection

LAST_SIGN: Final = "\U0010ffff"
"""Sorts after every text; closes the range of a prefix."""
_RESOLVED_MAX: Final = 64
"""Up to so many interned ids are looked up beforehand; beyond, the statement does it."""
_EARTH_RADIUS_M: Final = 6_371_000
_METRES_PER_DEGREE: Final = 110_000
"""A little less than a degree of latitude has, so that the box around a circle is never too small."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns to compare, with the table's alias."""

    value: str
    low: str = ""
    high: str = ""
    printed: str = ""


@dataclass(frozen=True, slots=True)
class Test:
    """A comparison, and the aspect of the parameter under which its rows stand."""

    aspect: int
    condition: Sql
    ids: tuple[int, ...] | None = None
    """When the comparison is with interned ids found beforehand, those ids."""


def any_test(column: str, tests: Sequence[Test]) -> Sql:
    """Return the condition that one of the comparisons of one aspect holds, ids in a single list."""
    ids = sorted({number for test in tests if test.ids is not None for number in test.ids})
    return any_of((among(column, ids), *(test.condition for test in tests if test.ids is None)))


class ValueCompiler:
    """Turns values into comparisons; looks interned values up where that makes the statement simpler."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._found: dict[Sql, tuple[int, ...]] = {}

    def compile(
        self,
        kind: Kind,
        modifier: Modifier,
        restriction: str,
        value: Value,
        columns: Columns,
        text_params: Sequence[int],
    ) -> Test:
        """Return the comparison of a value with a row.

        Args:
            kind: kind of the parameter or component.
            modifier: modifier of the match.
            restriction: resource type to which references are restricted, or empty.
            value: what is searched for.
            columns: what to compare.
            text_params: parameter numbers, of aspect `VALUE`, under which its texts are interned.
        """
        match value:
            case TypedIdentifierValue():
                code = f"{value.code}{TYPED_SEPARATOR}{value.value}"
                return self._among(TYPED, columns.value, self._tokens(TokenValue(value.system, code)))
            case TokenValue():
                aspect = LOGICAL if modifier is Modifier.IDENTIFIER else VALUE
                return self._among(aspect, columns.value, self._tokens(value))
            case TextValue() if kind is Kind.TOKEN:
                return self._among(VALUE, columns.value, _labels(value.text))
            case TextValue() if kind is Kind.URI:
                return self._among(URI, columns.value, _uris(modifier, value.text, text_params))
            case TextValue():
                query = _strings(kind, modifier, value.text, text_params)
                return self._among(VALUE, columns.value, query)
            case ReferenceValue():
                return self._reference(columns.value, restriction, value, text_params)
            case DateValue():
                return Test(VALUE, compare_dates(columns, value))
            case AmountValue():
                return Test(VALUE, self._amount(columns, value))
            case PositionValue():
                return Test(VALUE, compare_positions(columns, value))

    def _among(self, aspect: int, column: str, query: Sql | None) -> Test:
        """Return the comparison of a column with the ids a query finds; without a query, nothing is equal."""
        if query is None:
            return Test(aspect, NEVER)
        ids = self._found.get(query)
        if ids is None:
            limited = sql("{} LIMIT ?", query, _RESOLVED_MAX + 1)
            rows = self._connection.execute(limited.text, limited.bindings).fetchall()
            ids = self._found[query] = tuple(sorted(cast("int", row[0]) for row in rows))
        if len(ids) > _RESOLVED_MAX:
            return Test(aspect, sql(f"{column} IN ({{}})", query))
        return Test(aspect, among(column, ids), ids)

    def _tokens(self, value: TokenValue) -> Sql | None:
        """Find tokens by system and code; None for a system that no token has."""
        parts = []
        if value.code is not None:
            parts.append(sql("code = ?", value.code))
        if value.system is not None:
            system = 0
            if value.system:
                rows = self._connection.execute(
                    "SELECT id FROM idx_text WHERE param = ? AND folded = ? AND exact = ''",
                    (SYSTEMS, value.system),
                ).fetchall()
                if not rows:
                    return None
                system = cast("int", rows[0][0])
            parts.append(sql("system = ?", system))
        condition = sql("{} AND {}", *parts) if len(parts) > 1 else parts[0]
        return sql("SELECT id FROM idx_token WHERE {}", condition)

    def _reference(self, column: str, restriction: str, value: ReferenceValue, params: Sequence[int]) -> Test:
        """Compare with references, by the resource's number or by URL."""
        if value.url:
            if restriction and find_target_type(value.url) != restriction:
                return Test(URI, NEVER)
            query = _texts([param + URI for param in params], sql("folded = ?", value.url))
            return self._among(URI, column, query)
        types = [type_numbers()[name] for name in value.types or resource_types()]
        query = sql(
            "SELECT entity FROM idx_resource WHERE {} AND id = ? AND ended = 0",
            among("type", types),
            value.target_id,
        )
        return self._among(VALUE, column, query)

    def _amount(self, columns: Columns, value: AmountValue) -> Sql:
        """Compare with amounts and their units."""
        amount = compare_amounts(columns, value)
        if value.system is None and value.code is None:
            return amount
        units = [sql("param = ?", UNITS)]
        if value.code is not None:
            units.append(sql("folded = ?", value.code))
        if value.system is not None:
            units.append(sql("exact = ?", value.system))
        condition = sql(" AND ".join("{}" for _ in units), *units)
        units_found = sql("SELECT id FROM idx_text WHERE {}", condition)
        alternatives = [self._among(VALUE, columns.value, units_found)]
        if value.system is None and value.code is not None:
            printed = _texts([PRINTED_UNITS], sql("folded = ?", value.code))
            alternatives.append(self._among(VALUE, columns.printed, printed))
        unit = any_of(alternative.condition for alternative in alternatives)
        return NEVER if unit == NEVER else sql("({} AND {})", amount, unit)


def _labels(text: str) -> Sql:
    """Find tokens by the start of their text."""
    folded = fold(text)
    query = "SELECT id FROM idx_token WHERE text <> '' AND text >= ? AND text < ?"
    return sql(query, folded, folded + LAST_SIGN)


def _texts(params: Sequence[int], condition: Sql) -> Sql:
    """Find texts interned under one of the parameters."""
    return sql("SELECT id FROM idx_text WHERE {} AND {}", among("param", params), condition)


def _strings(kind: Kind, modifier: Modifier, text: str, params: Sequence[int]) -> Sql:
    """Find strings: by their start, anywhere, exactly, or by sound."""
    folded = fold(text)
    if kind is Kind.PHONETIC:
        condition = sql("folded = ?", soundex(text))
    elif modifier is Modifier.EXACT:
        condition = sql("folded = ? AND exact = ?", folded, text)
    elif modifier is Modifier.CONTAINS:
        condition = sql("instr(folded, ?) > 0", folded)
    else:
        condition = sql("folded >= ? AND folded < ?", folded, folded + LAST_SIGN)
    return _texts(params, condition)


def _uris(modifier: Modifier, text: str, params: Sequence[int]) -> Sql:
    """Find URIs: the same, those below in the path, or those above."""
    if modifier is Modifier.BELOW:
        start = text.rstrip("/") + "/"
        condition = sql("(folded = ? OR folded >= ? AND folded < ?)", text, start, start + LAST_SIGN)
    elif modifier is Modifier.ABOVE:
        condition = among("folded", _uris_above(text))
    else:
        condition = sql("folded = ?", text)
    return _texts([param + URI for param in params], condition)


def _uris_above(text: str) -> list[str]:
    """Return a URI and every URI above it in the path."""
    segments = text.split("/")
    found = ["/".join(segments[:count]) for count in range(1, len(segments) + 1)]
    return sorted(
        {
            form
            for uri in found
            if uri
            for form in (uri, uri + "/")
            if form == text or text.startswith(uri + "/")
        }
    )


def _compare_ranges(
    columns: Columns, prefix: str, first: Bound, last: Bound, closed: str, beyond: str
) -> Sql:
    """Return the comparison of a stored range with a wanted one.

    Args:
        columns: ends of the stored range.
        prefix: one of the nine prefixes.
        first: start of the wanted range.
        last: its end.
        closed: `<=` when the wanted range includes its end, else `<`; for `eq` and `ne`.
        beyond: the opposite of `closed`.
    """
    low, high = columns.low, columns.high
    match prefix:
        case "eq":
            return sql(f"({low} >= ? AND {high} {closed} ?)", first, last)
        case "ne":
            return sql(f"({low} < ? OR {high} {beyond} ?)", first, last)
        case "gt":
            return sql(f"{high} > ?", last)
        case "lt":
            return sql(f"{low} < ?", first)
        case "ge":
            return sql(f"({low} >= ? OR {high} > ?)", first, last)
        case "le":
            return sql(f"({high} <= ? OR {low} < ?)", last, first)
        case "sa":
            return sql(f"{low} > ?", last)
        case "eb":
            return sql(f"{high} < ?", first)
    return sql(f"({low} <= ? AND {high} >= ?)", last, first)


def compare_dates(columns: Columns, value: DateValue) -> Sql:
    """Return the comparison of a stored range of time with the wanted one."""
    return _compare_ranges(columns, value.prefix, value.first_ms, value.last_ms, "<=", ">")


def compare_amounts(columns: Columns, value: AmountValue) -> Sql:
    """Return the comparison of a stored range of numbers with the wanted one, whose upper end is open."""
    return _compare_ranges(columns, value.prefix, value.low, value.high, "<", ">=")


def compare_positions(columns: Columns, value: PositionValue) -> Sql:
    """Return the condition that a position lies within a distance (great circle on a sphere).

    The columns are latitude (`low`) and longitude (`high`). A band of latitudes, which an index finds, comes first.
    """
    band = value.distance_m * 10_000_000 // _METRES_PER_DEGREE + 1
    latitude, longitude = value.latitude_e7 / 1e7, value.longitude_e7 / 1e7
    haversine = (
        f"{2 * _EARTH_RADIUS_M} * asin(min(1.0, sqrt("
        f"power(sin(radians({columns.low} / 1e7 - {latitude!r}) / 2), 2)"
        f" + cos(radians({latitude!r})) * cos(radians({columns.low} / 1e7))"
        f" * power(sin(radians({columns.high} / 1e7 - {longitude!r}) / 2), 2))))"
    )
    return sql(
        f"({columns.low} BETWEEN ? AND ? AND {haversine} <= ?)",
        value.latitude_e7 - band,
        value.latitude_e7 + band,
        value.distance_m,
    )
