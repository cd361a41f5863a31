"""Parameters of a SimpleEventQuery (EPCIS 2.0 §8.2.7.1), read.

Owns the 60 fixed parameters, the context and the 108 families of parameter names, from a JSON body or from the query
string of a URL, and turns them into a typed predicate. Paging parameters are skipped. Every mistake is reported
under the name of its parameter; what was asked for is not repeated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, TypeAlias

import msgspec

from careledger.standards.epcis.context import read_context
from careledger.standards.epcis.errors import DocumentRejected, ProblemCode, reject
from careledger.standards.epcis.json_text import parse_json
from careledger.standards.epcis.limits import DEFAULT_LIMITS, Limits
from careledger.standards.epcis.query_model import Clause, Operator, Predicate, Subject, Value
from careledger.standards.epcis.query_values import (
    VALUES,
    Convert,
    read_number,
    read_pattern,
    read_text,
    read_time,
    read_uri,
    word_reader,
)
from careledger.standards.epcis.scope import Scope
from careledger.standards.epcis.vocabulary import Kind

PARAMETERS_MAX: Final = 256
VALUES_MAX: Final = 1_000
COUNT_MAX: Final = 1_000_000
PAGING: Final = frozenset(("perPage", "nextPageToken"))
CONTEXT: Final = "@context"


def _fixed() -> dict[str, tuple[Operator, Subject]]:
    """List the fixed parameters that are conditions."""
    found = {"eventType": (Operator.EQ, Subject.EVENT_TYPE)}
    for subject, convert in VALUES.items():
        name = subject.value
        if convert is read_time:
            operators = [Operator.GE, Operator.LT]
        elif convert is read_pattern:
            operators = [Operator.MATCH]
        elif subject is Subject.QUANTITY:
            operators = [Operator.EQ, Operator.GT, Operator.GE, Operator.LT, Operator.LE]
        elif subject is Subject.PERC_RANK:
            operators = [Operator.GE, Operator.LT, Operator.GT, Operator.LE]
        else:
            operators = [Operator.EQ]
        for operator in operators if subject is not Subject.EVENT_TYPE else ():
            found[f"{operator.value}_{name}"] = (operator, subject)
    for subject in (Subject.READ_POINT, Subject.BIZ_LOCATION):
        found[f"{Operator.WITHIN.value}_{subject.value}"] = (Operator.WITHIN, subject)
    for subject in (Subject.ERROR_DECLARATION, Subject.SENSOR_ELEMENTS):
        found[f"{Operator.EXISTS.value}_{subject.value}"] = (Operator.EXISTS, subject)
    return found


FIXED: Final[dict[str, tuple[Operator, Subject]]] = _fixed()
CONTROLS: Final = frozenset(("orderBy", "orderDirection", "eventCountLimit", "maxEventCount"))
# Spelt without the underscore in the REST interface, with it in the query language.
_ALIASES = {
    "GE_errorDeclarationTime": "GE_errorDeclaration_Time",
    "LT_errorDeclarationTime": "LT_errorDeclaration_Time",
}
_ORDERING = (Operator.GT, Operator.GE, Operator.LT, Operator.LE)
_MEASURED = {
    subject.value: subject
    for subject in (
        Subject.VALUE,
        Subject.MIN_VALUE,
        Subject.MAX_VALUE,
        Subject.MEAN_VALUE,
        Subject.S_DEV,
        Subject.PERC_VALUE,
        Subject.QUANTITY,
    )
}
_MEASURED_NAME = re.compile(rf"(EQ|GT|GE|LT|LE)_({'|'.join(_MEASURED)})_([A-Z0-9]{{2,4}})")
_TYPED_NAME = re.compile(r"EQ_(bizTransaction|source|destination)_(.+)")
_TYPE_KINDS = {
    "bizTransaction": (Subject.BIZ_TRANSACTION, Kind.TRANSACTION_TYPE),
    "source": (Subject.SOURCE, Kind.PARTY_TYPE),
    "destination": (Subject.DESTINATION, Kind.PARTY_TYPE),
}
_LAYERS = {
    "ILMD_": Subject.ILMD,
    "ERROR_DECLARATION_": Subject.EXTENSION_OF_ERROR,
    "SENSORELEMENT_": Subject.EXTENSION_OF_SENSOR_ELEMENT,
    "SENSORMETADATA_": Subject.EXTENSION_OF_SENSOR_METADATA,
    "SENSORREPORT_": Subject.EXTENSION_OF_SENSOR_REPORT,
    "readPoint_": Subject.EXTENSION_OF_READ_POINT,
    "bizLocation_": Subject.EXTENSION_OF_BIZ_LOCATION,
}
_EXTENSION_NAME = re.compile(
    rf"(EQ|GT|GE|LT|LE|EXISTS)_(INNER_)?({'|'.join(_LAYERS)})?([^_].*:.+)", re.DOTALL
)
_ATTRIBUTE_NAME = re.compile(r"EQ_ATTR_([A-Za-z]+)_(.+)")
_HAS_ATTRIBUTE_NAME = re.compile(r"HASATTR_(.+)")


def parse_query_body(
    data: bytes, namespaces: Mapping[str, str] | None = None, *, limits: Limits = DEFAULT_LIMITS
) -> Predicate:
    """Read the JSON body of a query.

    Raises:
        DocumentRejected: as `parse_query`, and as `json_text.parse_json`.
    """
    members = parse_json(data, limits)
    if not isinstance(members, dict):
        raise reject(ProblemCode.QUERY_PARAMETER, "a query is a JSON object")
    return parse_query(members, namespaces)


def parse_query(members: Mapping[str, object], namespaces: Mapping[str, str] | None = None) -> Predicate:
    """Read the parameters of a query body.

    Args:
        members: parameter names and parsed JSON values; an `@context` may declare prefixes.
        namespaces: prefixes known besides, such as those of a `GS1-Extensions` header.

    Raises:
        DocumentRejected: with QUERY_PARAMETER problems, one per parameter concerned.
    """
    scope = Scope(DEFAULT_LIMITS, is_json=True, namespaces=dict(namespaces or {}))
    if CONTEXT in members:
        scope = scope.with_namespaces(read_context(members[CONTEXT], scope, f"/{CONTEXT}"))
    wanted = {name: value for name, value in members.items() if name != CONTEXT and name not in PAGING}
    if len(wanted) > PARAMETERS_MAX:
        scope.report(ProblemCode.TOO_MANY, "", f"more than {PARAMETERS_MAX} parameters")
        wanted = {}
    clauses = []
    controls: dict[str, object] = {}
    for name, value in wanted.items():
        if name in CONTROLS:
            controls[name] = value
            continue
        clause = _clause(name, scope)
        if clause is None:
            _refuse(scope, name, "no such parameter, or its prefix is not declared")
        else:
            clauses.append(_with_values(clause, _items(value), scope))
    predicate = _with_controls(tuple(clauses), controls, scope)
    problems = [problem for problem in scope.remarks.take() if problem.is_error]
    if problems:
        raise DocumentRejected(problems)
    return predicate


def parse_query_string(
    pairs: Iterable[tuple[str, str]], namespaces: Mapping[str, str] | None = None
) -> Predicate:
    """Read the parameters of a URL's query string, already split and unescaped.

    Alternatives are separated by `|`; a parameter given twice gives alternatives too.

    Raises:
        DocumentRejected: as `parse_query`.
    """
    members: dict[str, object] = {}
    for name, text in pairs:
        values = [text] if name in CONTROLS else text.split("|")
        earlier = members.get(name)
        members[name] = [*earlier, *values] if isinstance(earlier, list) else list(values)
    return parse_query(members, namespaces)


def _refuse(scope: Scope, name: str, message: str) -> None:
    scope.report(ProblemCode.QUERY_PARAMETER, f"/{scope.key(name[:200])}", message)


_Item: TypeAlias = str | Decimal


def _items(value: object) -> list[_Item] | None:
    """Give the alternatives of a parameter as texts and numbers, or None when it is no such thing."""
    found: list[_Item] = []
    for item in value if isinstance(value, list) else [value]:
        if item is None:
            continue
        if isinstance(item, bool):
            found.append("true" if item else "false")
        elif isinstance(item, str):
            found.append(item)
        elif isinstance(item, int | Decimal):
            found.append(Decimal(item))
        elif isinstance(item, float) and math.isfinite(item):
            # A body parsed elsewhere; the shortest digits that give this number are what was written.
            found.append(Decimal(repr(item)))
        else:
            return None
    return found


def _clause(name: str, scope: Scope) -> Clause | None:
    """Find out what a parameter name asks for."""
    fixed = FIXED.get(_ALIASES.get(name, name))
    if fixed is not None:
        return Clause(parameter=name, operator=fixed[0], subject=fixed[1])
    match = _MEASURED_NAME.fullmatch(name)
    if match is not None:
        operator, subject, unit = match.groups()
        return Clause(parameter=name, operator=Operator(operator), subject=_MEASURED[subject], qualifier=unit)
    match = _TYPED_NAME.fullmatch(name)
    if match is not None:
        what, kind = _TYPE_KINDS[match.group(1)]
        word = word_reader(kind)(match.group(2))
        if word is None:
            return None
        return Clause(parameter=name, operator=Operator.EQ, subject=what, qualifier=str(word))
    match = _ATTRIBUTE_NAME.fullmatch(name)
    if match is not None:
        field, attribute = match.groups()
        return Clause(
            parameter=name,
            operator=Operator.EQ_ATTRIBUTE,
            subject=Subject.MASTER_DATA,
            qualifier=field,
            name=_attribute_uri(attribute, scope),
        )
    match = _HAS_ATTRIBUTE_NAME.fullmatch(name)
    if match is not None:
        return Clause(
            parameter=name,
            operator=Operator.HAS_ATTRIBUTE,
            subject=Subject.MASTER_DATA,
            qualifier=match.group(1),
        )
    return _extension_clause(name, scope)


def _attribute_uri(name: str, scope: Scope) -> str:
    return f"urn:epcglobal:cbv:mda:{name[7:]}" if name.startswith("cbvmda:") else scope.expand(name)


def _extension_clause(name: str, scope: Scope) -> Clause | None:
    match = _EXTENSION_NAME.fullmatch(name)
    if match is None:
        return None
    operator, inner, layer, field = match.groups()
    split = scope.split_name(field)
    if split is None:
        return None
    namespace, local = split
    namespaces = (namespace, namespace[:-1]) if namespace.endswith("#") else (namespace, namespace + "#")
    return Clause(
        parameter=name,
        operator=Operator(operator),
        subject=_LAYERS[layer] if layer else Subject.EXTENSION,
        namespaces=namespaces,
        name=local,
        is_inner=bool(inner),
    )


def _with_values(clause: Clause, items: list[_Item] | None, scope: Scope) -> Clause:
    """Read the values of a clause, or report what is wrong with them."""
    if clause.operator is Operator.EXISTS:
        return msgspec.structs.replace(clause, values=(False,)) if items == ["false"] else clause
    if not items or len(items) > VALUES_MAX:
        _refuse(scope, clause.parameter, f"1 to {VALUES_MAX} values are expected")
        return clause
    if clause.operator in _ORDERING and len(items) != 1:
        _refuse(scope, clause.parameter, "one value is expected")
        return clause
    convert = _converter(clause)
    values = [_value(item, convert, clause, scope) for item in items]
    found = tuple(value for value in values if value is not None)
    if len(found) != len(values):
        _refuse(scope, clause.parameter, "a value is not of the kind this parameter takes")
    return msgspec.structs.replace(clause, values=found)


def _value(item: _Item, convert: Convert, clause: Clause, scope: Scope) -> Value | None:
    if isinstance(item, Decimal):
        # A number given as a number is compared as a number, whatever the field holds.
        return item if convert in (read_text, read_number, _read_number_or_time) else None
    return convert(_attribute_uri(item, scope) if clause.operator is Operator.HAS_ATTRIBUTE else item)


def _converter(clause: Clause) -> Convert:
    if clause.subject in _MEASURED.values():
        return read_number
    if clause.subject in (Subject.BIZ_TRANSACTION, Subject.SOURCE, Subject.DESTINATION):
        return read_uri
    if clause.subject in VALUES:
        return VALUES[clause.subject]
    if clause.operator in _ORDERING:
        return _read_number_or_time
    return read_text


def _read_number_or_time(text: str) -> Value | None:
    number = read_number(text)
    return read_time(text) if number is None else number


def _with_controls(clauses: tuple[Clause, ...], controls: dict[str, object], scope: Scope) -> Predicate:
    counts: dict[str, int | None] = {}
    for name in ("eventCountLimit", "maxEventCount"):
        counts[name] = _count(controls.get(name), name, scope)
    if None not in counts.values():
        _refuse(scope, "maxEventCount", "eventCountLimit and maxEventCount exclude each other")
    order = _one_text(controls.get("orderBy"))
    order_by = None
    if order is not None:
        order_by = _order(order, scope)
        if order_by is None:
            _refuse(scope, "orderBy", "events cannot be ordered by this field")
    direction = _one_text(controls.get("orderDirection"))
    if direction not in (None, "ASC", "DESC"):
        _refuse(scope, "orderDirection", "ASC or DESC is expected")
    return Predicate(
        clauses=clauses,
        order_by=order_by,
        is_descending=direction != "ASC",
        event_count_limit=counts["eventCountLimit"],
        max_event_count=counts["maxEventCount"],
    )


def _one_text(value: object) -> str | None:
    items = _items(value)
    return str(items[0]) if items and len(items) == 1 else None


def _count(value: object, name: str, scope: Scope) -> int | None:
    if value is None:
        return None
    text = _one_text(value)
    if text is None or not text.isdecimal() or not 0 < int(text[:9]) <= COUNT_MAX:
        _refuse(scope, name, f"a whole number from 1 to {COUNT_MAX} is expected")
        return None
    return int(text)


def _order(text: str, scope: Scope) -> Clause | None:
    for subject in (Subject.EVENT_TIME, Subject.RECORD_TIME):
        if text == subject.value:
            return Clause(parameter="orderBy", operator=Operator.GE, subject=subject)
    return _extension_clause(f"GE_{text}", scope)
