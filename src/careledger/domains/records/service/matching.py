"""Finding a local patient by demographics from elsewhere.

Candidates come from the index; how well they agree is `standards.fhir.search.match_score`'s to say. Only a
certain match is a match: a probable or possible one is for people to look at, and never links by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.messages import Demographics
from careledger.domains.records.service.index.index import Index
from careledger.domains.records.service.index.results import Page
from careledger.domains.records.service.index.scope import Scope
from careledger.domains.records.service.store import RecordStore
from careledger.standards.fhir.json_reader import read_resource
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.search.extract import Extractor
from careledger.standards.fhir.search.match_score import (
    Grade,
    MatchScore,
    candidate_searches,
    compare_traits,
    read_traits,
)
from careledger.standards.fhir.search.query import SearchRejected
from careledger.standards.fhir.search.request import parse_search

SEARCHES_MAX: Final = 16
_CANDIDATES: Final = Page(count=50)
_NO_LINKS: Final = bytes(32)
"""Pages are never asked on here, so their links are sealed with nothing."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A patient here who may be meant."""

    patient_id: str
    score: MatchScore

    def __repr__(self) -> str:
        """Show no one."""
        return f"<Candidate: {self.score.grade.value}>"


class PatientMatcher:
    """Looks for the patients of one site."""

    def __init__(self, site: SiteContext, store: RecordStore, extractor: Extractor, *, own_base: str) -> None:
        self._site = site
        self._store = store
        self._extractor = extractor
        self._own_base = own_base

    def find(self, described: JsonObject) -> list[Candidate]:
        """Patients worth naming, best first; none that certainly is not meant."""
        keys: dict[tuple[str, str], None] = {}
        with self._site.database.snapshot() as connection:
            index = Index(connection, _NO_LINKS, own_base=self._own_base, extractor=self._extractor)
            for pairs in candidate_searches(described)[:SEARCHES_MAX]:
                try:
                    query = parse_search(
                        "Patient", pairs, now_ms=self._site.clock_ms(), own_base=self._own_base
                    )
                except SearchRejected:
                    continue  # a value longer than any that is indexed finds nobody
                page = index.search(query, Scope.everything(), _CANDIDATES)
                keys.update({(entry.resource_type, entry.resource_id): None for entry in page.matches})
        wanted = read_traits(described)
        found = []
        for stored in self._store.read_many(list(keys)):
            score = compare_traits(wanted, read_traits(read_resource(self._store.open(stored).served)))
            if score.grade is not Grade.CERTAINLY_NOT:
                found.append(Candidate(stored.resource_id, score))
        return sorted(found, key=lambda one: (one.score.grade is not Grade.CERTAIN, -one.score.score))

    def find_certain(self, described: JsonObject) -> tuple[str | None, str]:
        """The one patient who is certainly meant, and how well the best agrees.

        Two certain ones are none: then it is not certain which is meant.
        """
        found = self.find(described)
        if not found:
            return None, Grade.CERTAINLY_NOT.value
        certain = [one for one in found if one.score.grade is Grade.CERTAIN]
        return (certain[0].patient_id if len(certain) == 1 else None), found[0].score.grade.value


def to_patient(demographics: Demographics) -> JsonObject:
    """Demographics as a Patient resource, for comparison."""
    patient: JsonObject = {"resourceType": "Patient"}
    name: JsonObject = {}
    if demographics.family:
        name["family"] = demographics.family
    if demographics.given:
        name["given"] = list(demographics.given)
    if name:
        patient["name"] = [name]
    if demographics.birth_date:
        patient["birthDate"] = demographics.birth_date
    if demographics.gender:
        patient["gender"] = demographics.gender
    address = {
        key: value
        for key, value in (("postalCode", demographics.postal_code), ("city", demographics.city))
        if value
    }
    if address:
        patient["address"] = [address]
    if demographics.phone:
        patient["telecom"] = [{"system": "phone", "value": demographics.phone}]
    if demographics.identifiers:
        patient["identifier"] = [
            {"system": system, "value": value} for system, value in demographics.identifiers
        ]
    return patient
