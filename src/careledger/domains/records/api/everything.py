"""`Patient/[id]/$everything`: the patient, all of their compartment, and what that refers to (FHIR R4).

It is a search over the compartment like any other, so paging, rights and the access log are those of searches. Its
page links lead back to the operation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from careledger.domains.records.api.errors import OPERATION_INPUT
from careledger.domains.records.api.finding import is_visible
from careledger.domains.records.api.interaction import FhirAnswer, FhirRequest
from careledger.domains.records.api.parameters import read_values
from careledger.domains.records.api.searches import PAGE_PARAMETER
from careledger.domains.records.api.searching import Pairs, Wanted, answer_search, page_of
from careledger.domains.records.api.site import FhirSite
from careledger.domains.records.service.errors import RESOURCE_UNKNOWN
from careledger.primitives.errors import Rejected
from careledger.standards.fhir.search.definitions import Kind
from careledger.standards.fhir.search.parameters import parameters
from careledger.standards.fhir.search.query import Branch, Query
from careledger.standards.fhir.search.request import parse_search
from careledger.standards.fhir.structure import patient_compartment

COUNT_DEFAULT: Final = 1_000
_ALLOWED: Final = frozenset({"start", "end", "_since", "_type", "_count", PAGE_PARAMETER})
_CARE_DATES: Final = ("date", "onset-date", "recorded-date", "period", "authored", "authoredon", "performed")
"""Search parameters that say when care took place, the first that a type has."""


async def everything(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer `$everything` of one patient."""
    access = request.access
    if not is_visible(site, access, "r", "Patient", request.resource_id):
        raise Rejected(RESOURCE_UNKNOWN)
    values = await read_values(site, request, _ALLOWED)
    place = f"Patient/{request.resource_id}/$everything"
    link, pairs = None, tuple(sorted(values.items()))
    if PAGE_PARAMETER in values:
        opened = site.searches.open_page(values[PAGE_PARAMETER], place)
        link, pairs = opened.link, opened.pairs
    scope = access.require("s", "Patient")
    types = _types(dict(pairs), frozenset(scope.by_type))
    query = _query(site, request.resource_id, types, pairs)
    wanted = Wanted(
        place=place,
        pairs=pairs,
        is_strict=True,
        query=query,
        page=page_of(query, link, COUNT_DEFAULT),
        scope=scope,
    )
    return await answer_search(site, request, wanted, interaction="$everything")


def _types(values: dict[str, str], allowed: frozenset[str]) -> tuple[str, ...]:
    known = {name for name in patient_compartment() if name in allowed} | {"Patient"}
    asked = [name for name in values.get("_type", "").split(",") if name]
    return tuple(sorted(known & set(asked) if asked else known))


def _query(site: FhirSite, patient_id: str, types: tuple[str, ...], pairs: Pairs) -> Query:
    """Return the search that the operation stands for.

    Raises:
        Rejected: OPERATION_INPUT, no type is left.
        SearchRejected: A date or count is malformed.
    """
    if not types:
        raise Rejected(OPERATION_INPUT, "none of the types is part of a patient's record", at="_type")
    values = dict(pairs)
    shared = [("_type", ",".join(types)), ("_include", "*")]
    if "_since" in values:
        shared.append(("_lastUpdated", f"ge{values['_since']}"))
    if "_count" in values:
        shared.append(("_count", values["_count"]))
    now_ms, own_base = site.clock_ms(), site.searches.own_base
    query = parse_search("", shared, now_ms=now_ms, own_base=own_base)
    branches = []
    for branch in query.branches:
        extra: tuple[Branch, ...] = ()
        code = _care_date(branch.resource_type)
        dated = [
            (code, f"{prefix}{values[name]}")
            for name, prefix in (("start", "ge"), ("end", "le"))
            if name in values and code
        ]
        if dated:
            extra = parse_search(branch.resource_type, dated, now_ms=now_ms, own_base=own_base).branches
        conditions = (*branch.conditions, *(extra[0].conditions if extra else ()))
        branches.append(Branch(branch.resource_type, conditions))
    identity = f"{query.canonical}/{values.get('start', '')}/{values.get('end', '')}"
    return replace(query, branches=tuple(branches), compartment_patient=patient_id, canonical=identity)


def _care_date(resource_type: str) -> str:
    """Return the parameter that says when care of that kind took place; empty for what has no such date."""
    known = parameters(resource_type)
    for code in _CARE_DATES:
        if code in known and known[code].kind is Kind.DATE and resource_type != "Patient":
            return code
    return ""
