"""Interned texts that nobody uses any more, found when a resource is erased.

Owns the question whether an interned token or text, or a resource's number, is still in use. Tokens are shared
between all parameters, so every token parameter of the types present is asked; that is slow beside writing and
happens only when a person's data are erased.
"""

from __future__ import annotations

from functools import cache
from typing import cast

from careledger.domains.records.service.index.schema import (
    ASPECTS,
    LOGICAL,
    STUB,
    TYPED,
    URI,
    VALUE,
    param_number,
    type_names,
    type_numbers,
)
from careledger.standards.fhir.search.definitions import Kind
from careledger.standards.fhir.search.elements import resource_types
from careledger.standards.fhir.search.parameters import parameters
from careledger.storage.sqlite import Connection

_TEXT_KINDS = {Kind.STRING, Kind.PHONETIC, Kind.URI}


@cache
def _params(resource_type: str) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Return a type's parameter numbers that hold tokens, texts and entities, in this order."""
    tokens, texts, entities = [], [], []
    for parameter in parameters(resource_type).values():
        value = param_number(resource_type, parameter.slot, VALUE)
        if parameter.kind is Kind.TOKEN:
            tokens += [value, value + TYPED]
        elif parameter.kind is Kind.REFERENCE:
            entities.append(value)
            tokens.append(value + LOGICAL)
            texts.append(value + URI)
        elif parameter.kind in _TEXT_KINDS or parameter.kind is Kind.COMPOSITE:
            texts += [value, value + URI]
    return tuple(tokens), tuple(texts), tuple(entities)


@cache
def _text_params() -> frozenset[int]:
    """Return the parameter numbers of all types that hold texts."""
    return frozenset(param for name in resource_types() for param in _params(name)[1])


@cache
def _token_params() -> frozenset[int]:
    """Return the parameter numbers of all types that hold tokens."""
    return frozenset(param for name in resource_types() for param in _params(name)[0])


def collect_values(connection: Connection, rows: list[int]) -> set[tuple[int, int]]:
    """Return parameter and value of everything interned that versions have."""
    found: set[tuple[int, int]] = set()
    for row in rows:
        facts = connection.execute("SELECT param, value FROM idx_fact WHERE row = ?", (row,)).fetchall()
        found.update(cast("list[tuple[int, int]]", facts))
        parts = connection.execute(
            "SELECT param + component % ?, value FROM idx_part WHERE row = ?", (ASPECTS, row)
        ).fetchall()
        found.update(pair for pair in cast("list[tuple[int, int]]", parts) if pair[1])
    return found


def _types_present(connection: Connection) -> list[str]:
    """Return the resource types that the index holds."""
    query = "SELECT 1 FROM idx_resource WHERE type = ? LIMIT 1"
    return [
        type_names()[number]
        for number in type_numbers().values()
        if connection.execute(query, (number,)).fetchall()
    ]


def _is_in_part(connection: Connection, param: int, value: int) -> bool:
    """Say whether a component of a composite has the value; goes through the composites, which are few."""
    query = "SELECT 1 FROM idx_part WHERE param = ? AND component % ? = ? AND value = ? LIMIT 1"
    aspect = param % ASPECTS
    return bool(connection.execute(query, (param - aspect, ASPECTS, aspect, value)).fetchall())


def _is_used(connection: Connection, params: list[int], value: int) -> bool:
    """Say whether a fact has the value under one of the parameters."""
    query = "SELECT 1 FROM idx_fact WHERE param = ? AND value = ? LIMIT 1"
    return any(connection.execute(query, (param, value)).fetchall() for param in params)


def drop_orphans(connection: Connection, values: set[tuple[int, int]]) -> None:
    """Delete the interned texts and tokens among the values that no row has any more."""
    token_params = [param for name in _types_present(connection) for param in _params(name)[0]]
    for value in sorted({value for param, value in values if param in _token_params()}):
        # The parameters it was found under are the likeliest to have it still.
        likely = [param for param, other in values if other == value]
        if not _is_used(connection, likely, value) and not _is_used(connection, token_params, value):
            connection.execute("DELETE FROM idx_token WHERE id = ?", (value,))
    for param, value in sorted(values):
        if param not in _text_params() or _is_used(connection, [param], value):
            continue
        if not _is_in_part(connection, param, value):
            connection.execute("DELETE FROM idx_text WHERE id = ? AND param = ?", (value, param))


@cache
def _entity_params() -> frozenset[int]:
    """Return the parameter numbers of all types that hold entities."""
    return frozenset(param for name in resource_types() for param in _params(name)[2])


def drop_stubs(connection: Connection, values: set[tuple[int, int]]) -> None:
    """Delete the stubs among the values that no resource refers to any more."""
    for entity in sorted({value for param, value in values if param in _entity_params()}):
        query = f"SELECT 1 FROM idx_resource WHERE entity = ? AND ended = 0 AND state = {STUB}"
        if connection.execute(query, (entity,)).fetchall() and not is_referred_to(connection, entity):
            connection.execute("DELETE FROM idx_resource WHERE entity = ?", (entity,))


def is_referred_to(connection: Connection, entity: int) -> bool:
    """Say whether a resource refers to this one."""
    params = [param for name in _types_present(connection) for param in _params(name)[2]]
    return _is_used(connection, params, entity)
