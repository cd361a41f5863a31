"""The search parameters of every resource type, read from the packaged definitions.

Owns the table `careledger/standards/fhir/tables/search_parameters.json` (FHIR R4 4.0.1 and US Core's additions) and
answers, per resource type, which parameters there are. Definitions without an expression (`_text`, `_content`,
`_query`) and those over elements that R4 does not have are left out; `uncompiled` names them.

It does not extract values (`careledger.standards.fhir.search.extract`) or read requests
(`careledger.standards.fhir.search.request`).
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TypedDict, cast

from careledger.standards.fhir.search.definitions import INDEXED_TYPES, SLOTS_MAX, Kind, Parameter
from careledger.standards.fhir.search.elements import Place, resolve, resource_types
from careledger.standards.fhir.search.expression import ExpressionError, parse_expression
from careledger.standards.fhir.search.views import Draft, find_views


class _Row(TypedDict):
    """One row of the packaged table, as `tools/fhir_tables.py` writes it."""

    code: str
    type: str
    base: list[str]
    expression: str
    target: list[str]
    components: list[dict[str, str]]


@cache
def _rows() -> dict[str, list[_Row]]:
    """Return the packaged rows per resource type; rows of every resource stand under the empty name."""
    table = files("careledger.standards.fhir.tables").joinpath("search_parameters.json").read_bytes()
    found: dict[str, list[_Row]] = {"": []}
    for row in cast("list[_Row]", json.loads(table)):
        for base in row["base"]:
            found.setdefault("" if base in {"Resource", "DomainResource"} else base, []).append(row)
    return found


def _kind(row: _Row) -> Kind:
    """Return the kind; R4 declares `phonetic` a string."""
    return Kind.PHONETIC if row["code"] == "phonetic" else Kind(row["type"])


def _find_places(resource_type: str, row: _Row) -> tuple[tuple[Place, ...], str]:
    """Return where the values of a parameter stand, or nothing and the reason why it is not usable.

    Values are of indexable types only; for a composite the contexts are returned.
    """
    if not row["expression"]:
        return (), "no expression"
    kind = _kind(row)
    try:
        found = [
            place
            for path in parse_expression(row["expression"])
            for place in resolve(resource_type, path)
            if kind is Kind.COMPOSITE or place.type_name in INDEXED_TYPES[kind]
        ]
    except ExpressionError as error:
        return (), str(error)
    return tuple(dict.fromkeys(found)), "" if found else "no indexable value"


@cache
def uncompiled() -> tuple[tuple[str, str, str], ...]:
    """Return (resource type, code, reason) of every definition that is not usable, ascending."""
    bases = [("Resource", "")] + [(name, name) for name in resource_types()]
    found = [
        (name, row["code"], reason)
        for name, key in bases
        for row in _rows().get(key, [])
        if (reason := _find_places(name, row)[1])
    ]
    return tuple(sorted(found))


@cache
def parameters(resource_type: str) -> MappingProxyType[str, Parameter]:
    """Return the search parameters of a resource type by code, ascending.

    Raises:
        KeyError: R4 has no such resource type.
    """
    if resource_type not in resource_types():
        raise KeyError(resource_type)
    drafts: dict[str, Draft] = {}
    for row in _rows()[""] + _rows().get(resource_type, []):
        places, _ = _find_places(resource_type, row)
        if places:
            parts = tuple((part["code"], part["expression"]) for part in row["components"])
            drafts[row["code"]] = Draft(row["code"], _kind(row), places, tuple(sorted(row["target"])), parts)
    find_views(resource_type, drafts)
    codes = sorted(drafts)
    if len(codes) > SLOTS_MAX:
        raise ExpressionError(f"{resource_type}: more than {SLOTS_MAX} search parameters")
    return MappingProxyType({code: _finish(drafts[code], slot, codes) for slot, code in enumerate(codes)})


def _finish(draft: Draft, slot: int, codes: list[str]) -> Parameter:
    """Return the finished parameter of a draft."""
    return Parameter(
        code=draft.code,
        kind=draft.kind,
        slot=slot,
        targets=(draft.restriction,) if draft.restriction else draft.targets,
        places=draft.places,
        sources=tuple(codes.index(source) for source in draft.sources),
        restriction=draft.restriction,
        components=draft.components,
        contexts=draft.contexts,
        conjunctions=draft.conjunctions,
    )
