"""`Patient/$match`: who of the patients here may be the person described (FHIR R4 Patient-operation-match).

Candidates come from the index, within what the requester may see; how well they agree is
`standards.fhir.search.match_score`'s to say. Only *certain* means the same person; *probable* and *possible* are for
people to look at, and nothing here ever links two records.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from careledger.domains.records.api.documents import read_document
from careledger.domains.records.api.errors import OPERATION_INPUT
from careledger.domains.records.api.finding import seen_of
from careledger.domains.records.api.interaction import FhirAnswer, FhirRequest
from careledger.domains.records.api.parameters import parts_of
from careledger.domains.records.api.ports import AccessEvent
from careledger.domains.records.api.rendering import new_id, read_own
from careledger.domains.records.api.site import FhirSite
from careledger.domains.records.service.index.index import Index
from careledger.domains.records.service.index.results import Page, SearchPage
from careledger.domains.records.service.index.scope import Scope
from careledger.domains.records.service.store import StoredVersion
from careledger.primitives.errors import Rejected
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.json_writer import write_json
from careledger.standards.fhir.search.match_score import (
    SCORE_MAX,
    Grade,
    MatchScore,
    candidate_searches,
    compare_traits,
    read_traits,
)
from careledger.standards.fhir.search.query import Query, SearchRejected
from careledger.standards.fhir.search.request import parse_search

GRADE_EXTENSION: Final = "http://hl7.org/fhir/StructureDefinition/match-grade"
COUNT_MAX: Final = 50
_CANDIDATES: Final = Page(count=50)
_SEARCHES_MAX: Final = 16


def _searching(query: Query, scope: Scope) -> Callable[[Index], SearchPage]:
    return lambda index: index.search(query, scope, _CANDIDATES)


def _find_candidates(
    site: FhirSite, scope: Scope, described: JsonObject
) -> list[tuple[StoredVersion, bytes]]:
    keys: dict[tuple[str, str], None] = {}
    for pairs in candidate_searches(described)[:_SEARCHES_MAX]:
        try:
            query = parse_search("Patient", pairs, now_ms=site.clock_ms(), own_base=site.searches.own_base)
        except SearchRejected:
            continue  # a value longer than any index keeps finds nobody
        page = site.searches.now(_searching(query, scope))
        keys.update({(entry.resource_type, entry.resource_id): None for entry in page.matches})
    return [(stored, site.store.open(stored).served) for stored in site.store.read_many(list(keys))]


async def match(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer `$match`."""
    scope = request.access.require("s", "Patient")
    described, only_certain, count = await _read(site, request)
    wanted = read_traits(described)
    candidates = await site.searches.beside(lambda: _find_candidates(site, scope, described))
    compared = [
        (compare_traits(wanted, read_traits(read_own(served))), stored, served)
        for stored, served in candidates
    ]
    graded = [
        one
        for one in compared
        if one[0].grade is Grade.CERTAIN or (one[0].grade is not Grade.CERTAINLY_NOT and not only_certain)
    ]
    graded.sort(key=lambda one: (one[0].grade is not Grade.CERTAIN, -one[0].score, one[1].resource_id))
    shown = graded[:count]
    await site.trail.note(
        AccessEvent(
            principal=request.access.principal,
            action="query",
            interaction="$match",
            seen=tuple(seen_of(stored) for _, stored, _ in shown),
            request_id=request.request_id,
        )
    )
    bundle: JsonObject = {
        "resourceType": "Bundle",
        "id": new_id(),
        "type": "searchset",
        "total": len(shown),
    }
    if shown:
        bundle["entry"] = [_entry(site, *one) for one in shown]
    return FhirAnswer(status=200, body=write_json(bundle))


def _entry(site: FhirSite, score: MatchScore, stored: StoredVersion, served: bytes) -> JsonObject:
    grade: JsonObject = {"url": GRADE_EXTENSION, "valueCode": score.grade.value}
    text = "1" if score.score == SCORE_MAX else f"0.{score.score:03}"
    return {
        "fullUrl": f"{site.base_url}/Patient/{stored.resource_id}",
        "resource": msgspec.Raw(served),
        "search": {"extension": [grade], "mode": "match", "score": msgspec.Raw(text.encode("ascii"))},
    }


async def _read(site: FhirSite, request: FhirRequest) -> tuple[JsonObject, bool, int]:
    """Return who is described, whether only certain matches are wanted, and how many.

    Raises:
        Rejected: OPERATION_INPUT.
    """
    described: JsonObject | None = None
    only_certain, count = False, COUNT_MAX
    for name, simple, resource in parts_of(await read_document(site, request)):
        if name == "resource" and isinstance(resource, dict):
            described = resource
        elif name == "onlyCertainMatches" and isinstance(simple, bool):
            only_certain = simple
        elif name == "count" and type(simple) is int and simple >= 1:
            count = min(simple, COUNT_MAX)
        else:
            raise Rejected(OPERATION_INPUT, "takes resource, onlyCertainMatches and count")
    if described is None or described.get("resourceType") != "Patient":
        raise Rejected(OPERATION_INPUT, "a Patient is needed", at="resource")
    return described, only_certain, count
