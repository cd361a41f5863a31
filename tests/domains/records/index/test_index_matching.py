"""Candidates for patient matching are found through the index, and only among what may be seen."""

from __future__ import annotations

import pytest

from careledger.domains.records.service.index.index import Index
from careledger.domains.records.service.index.results import Page
from careledger.domains.records.service.index.scope import Scope, all_types
from careledger.domains.records.service.index.writer import IndexedResource
from careledger.standards.fhir.search.match_score import Grade, candidate_searches, compare_patients
from careledger.standards.fhir.search.request import parse_search
from domains.records.index.test_index_differential import EVERYTHING, NOW_MS, indexed


def person(family: str, given: str, born: str, mrn: str = "", phone: str = "") -> dict[str, object]:
    return {
        "resourceType": "Patient",
        "name": [{"family": family, "given": [given]}],
        "birthDate": born,
        "identifier": [{"system": "urn:mrn", "value": mrn}] if mrn else [],
        "telecom": [{"system": "phone", "value": phone}] if phone else [],
    }


KNOWN = {
    "erika": person("Mustermann", "Erika", "1964-08-12", mrn="1", phone="0221-1234567"),
    "otto": person("Mustermann", "Otto", "1964-08-12"),
    "anna": person("Schmidt", "Anna", "1980-01-01", mrn="2"),
    "li": person("李", "伟", "1990-05-05"),
}


def candidates(index: Index, wanted: dict[str, object], scope: Scope = EVERYTHING) -> set[str]:
    found: set[str] = set()
    for search in candidate_searches(wanted):
        query = parse_search("Patient", search, now_ms=NOW_MS)
        found |= {entry.resource_id for entry in index.search(query, scope, Page()).matches}
    return found


@pytest.mark.parametrize(
    ("wanted", "found", "best"),
    [
        (person("Mustermann", "Erika", "1964-08-12", mrn="1"), {"erika", "otto"}, ("erika", Grade.CERTAIN)),
        (person("Musterman", "Erica", "1964-08-12"), {"erika", "otto"}, None),
        (person("Other", "Name", "2000-01-01", mrn="2"), {"anna"}, None),
        (person("Other", "Name", "2000-01-01", phone="0221-1234567"), {"erika"}, None),
        (person("Mustermann", "Erika", "1964-12-08"), {"erika"}, None),
        (person("Schmitt", "Anna", "1980-01-01"), {"anna"}, None),
        (person("李", "伟", "1990-05-05"), {"li"}, None),
        (person("Nobody", "Here", "2001-01-01"), set(), None),
    ],
)
def test_candidates(wanted: dict[str, object], found: set[str], best: tuple[str, Grade] | None) -> None:
    items = [
        IndexedResource(
            resource_type="Patient",
            resource_id=name,
            version=1,
            last_updated_ms=NOW_MS,
            value={**value, "id": name},
        )
        for name, value in KNOWN.items()
    ]
    with indexed(items) as (index, _):
        assert candidates(index, wanted) == found
        assert candidates(index, wanted, Scope(types=all_types(), patients=frozenset({"nobody"}))) == set()
        if best is not None:
            name, grade = best
            assert compare_patients(wanted, KNOWN[name]).grade is grade
