"""What a scope does not allow does not exist: searching under it is searching a world without it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import replace as replaced

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.domains.records.service.index.index import Index
from careledger.domains.records.service.index.results import Page, SearchPage
from careledger.domains.records.service.index.scope import (
    DENY_ALL,
    DIRECTORY_TYPES,
    Scope,
    TypeScope,
    all_types,
)
from careledger.domains.records.service.index.writer import IndexedResource
from careledger.standards.fhir.search.query import Match, Query
from careledger.standards.fhir.search.request import parse_query_string, parse_search
from domains.records.index.search_naive import COMMON, OWN_BASE, PARAMETERS, Condition, matches, target_of
from domains.records.index.search_queries import SEARCHED, any_conditions, plain_conditions, spell
from domains.records.index.search_worlds import PATIENTS, Resource, World, worlds
from domains.records.index.test_index_differential import (
    EVERYTHING,
    MANY,
    NOW_MS,
    SETTINGS,
    indexed,
    items_of,
)

COMPARTMENT = {
    "Observation": ("subject",),
    "Encounter": ("subject",),
    "Group": ("member",),
}
"""Parameters that place a resource in a compartment, of the types in the tests' worlds."""

INCLUDES = (
    "Observation:subject",
    "Observation:patient",
    "Observation:has-member",
    "Observation:encounter",
    "Observation:*",
    "Observation:subject:Patient",
    "Observation:subject:Group",
    "Encounter:service-provider",
    "Organization:partof",
    "Patient:organization",
    "Patient:link",
    "*",
)
SORTS = (
    "",
    "-_lastUpdated",
    "_id",
    "date",
    "-date",
    "code",
    "-value-quantity",
    "family",
    "-birthdate,family",
    "name",
    "subject",
)


def patients_of(value: Resource) -> set[str]:
    if value["resourceType"] == "Patient":
        return {value["id"]} | patients_of_references(PARAMETERS["Patient"]["link"][1](value))
    return patients_of_references(
        reference
        for code in COMPARTMENT.get(value["resourceType"], ())
        for reference in PARAMETERS[value["resourceType"]][code][1](value)
    )


def patients_of_references(references: Iterable[Resource]) -> set[str]:
    targets = [target_of(reference) for reference in references]
    return {target.removeprefix("Patient/") for target in targets if target.startswith("Patient/")}


@dataclass(frozen=True)
class Case:
    world: World
    scope: Scope
    constraints: dict[str, list[list[Condition]]]
    requests: list[tuple[str, list[tuple[str, str]]]]

    def is_visible(self, value: Resource, labels: int) -> bool:
        """Say, without the index, whether the scope allows a resource."""
        entry = self.scope.by_type.get(value["resourceType"])
        if entry is None or (labels | DENY_ALL) & self.scope.denied_labels:
            return False
        patients = patients_of(value)
        denials = dict(self.scope.patient_denials)
        if any((labels | DENY_ALL) & denials.get(patient, 0) for patient in patients):
            return False
        is_shared = not patients and value["resourceType"] in self.scope.shared_types
        if self.scope.patients is not None and not patients & self.scope.patients and not is_shared:
            return False
        alternatives = self.constraints.get(value["resourceType"], [])
        return not alternatives or any(
            all(matches(value, condition, (), NOW_MS) for condition in conditions)
            for conditions in alternatives
        )


def as_matches(resource_type: str, conditions: list[Condition]) -> tuple[Match, ...]:
    query = parse_search(
        resource_type, [spell(condition) for condition in conditions], now_ms=NOW_MS, own_base=OWN_BASE
    )
    found = [condition for condition in query.branches[0].conditions if isinstance(condition, Match)]
    assert len(found) == len(conditions)
    return tuple(found)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, list[tuple[str, str]]]:
    resource_type = draw(st.sampled_from([*SEARCHED, "Observation", "Patient", "Encounter"]))
    conditions = draw(st.one_of(st.just([]), st.lists(any_conditions(resource_type), max_size=1)))
    pairs = [spell(condition) for condition in conditions]
    inclusions = st.tuples(
        st.sampled_from(["_include", "_include:iterate", "_revinclude", "_revinclude:iterate"]),
        st.sampled_from(INCLUDES),
    )
    pairs += draw(st.lists(inclusions, max_size=3))
    sort = draw(st.sampled_from(SORTS))
    known = {*PARAMETERS[resource_type], "_id", "_lastUpdated", ""}
    if all(key.removeprefix("-") in known for key in sort.split(",")):
        pairs.append(("_sort", sort))
    return resource_type, pairs


@st.composite
def cases(draw: st.DrawFn) -> Case:
    world = draw(worlds())
    constraints: dict[str, list[list[Condition]]] = {}
    entries = []
    for name in SEARCHED:
        if draw(st.integers(0, 9)) == 0:
            continue
        alternatives: list[list[Condition]] = []
        if draw(st.integers(0, 7)) == 0:
            alternatives = draw(
                st.lists(st.lists(plain_conditions(name), min_size=1, max_size=2), min_size=1, max_size=2)
            )
            constraints[name] = alternatives
        matched = tuple(as_matches(name, conditions) for conditions in alternatives)
        entries.append(TypeScope(resource_type=name, alternatives=matched))
    denials = draw(st.dictionaries(st.sampled_from(PATIENTS), st.sampled_from([1, 2, DENY_ALL]), max_size=2))
    scope = Scope(
        types=tuple(entries),
        patients=draw(
            st.one_of(st.none(), st.frozensets(st.sampled_from([*PATIENTS, "nobody"]), min_size=1))
        ),
        shared_types=draw(
            st.sampled_from([frozenset(), DIRECTORY_TYPES, frozenset({"ValueSet", "Observation"})])
        ),
        denied_labels=draw(st.sampled_from([0, 0, 1, 2])),
        patient_denials=tuple(sorted(denials.items())),
    )
    return Case(world, scope, constraints, draw(st.lists(requests(), min_size=6, max_size=8)))


def parse(resource_type: str, pairs: list[tuple[str, str]]) -> Query:
    return parse_search(resource_type, pairs, now_ms=NOW_MS, own_base=OWN_BASE)


def pages(index: Index, query: Query, scope: Scope, count: int) -> list[SearchPage]:
    found = [index.search(query, scope, Page(count=count, with_total=True))]
    while (link := found[-1].next_link) is not None:
        found.append(index.search(query, scope, Page(count=count, with_total=True, link=link)))
    return found


def shown(page: SearchPage) -> tuple[list[str], list[str], int | None, bool, bool]:
    """What a requester can tell of a page."""
    return (
        [f"{entry.resource_type}/{entry.resource_id}" for entry in page.matches],
        [f"{entry.resource_type}/{entry.resource_id}" for entry in page.includes],
        page.total,
        page.next_link is not None,
        page.previous_link is not None,
    )


def visible_items(case: Case, items: list[IndexedResource]) -> list[IndexedResource]:
    return [
        item
        for item, value in zip(items, case.world.resources, strict=True)
        if case.is_visible(value, item.labels)
    ]


def check_scope(case: Case) -> None:
    items = items_of(case.world)
    allowed = visible_items(case, items)
    with indexed(items) as (full, _), indexed(allowed) as (small, _):
        assert full.count_by_type(case.scope) == small.count_by_type(EVERYTHING)
        for item in items:
            seen = full.find_visible(item.resource_type, [item.resource_id, "none"], case.scope)
            assert set(seen) == ({item.resource_id} if item in allowed else set())
        for resource_type, pairs in case.requests:
            query = parse(resource_type, pairs)
            expected = [shown(page) for page in pages(small, query, EVERYTHING, 2)]
            assert [shown(page) for page in pages(full, query, case.scope, 2)] == expected, pairs


@SETTINGS
@given(cases())
def test_a_scope_is_a_world_without_what_it_does_not_allow(case: Case) -> None:
    check_scope(case)


@pytest.mark.slow
@MANY
@given(cases())
def test_many_scopes_are_worlds_without_what_they_do_not_allow(case: Case) -> None:
    check_scope(case)


@SETTINGS
@given(cases())
def test_a_compartment_search_is_a_search_among_the_patients_resources(case: Case) -> None:
    items = items_of(case.world)
    with indexed(items) as (index, _):
        for patient in PATIENTS:
            for resource_type in ("Observation", "Encounter", "Group", "Device", "Patient"):
                query = replaced(parse(resource_type, []), compartment_patient=patient)
                found = index.search(query, EVERYTHING, Page(with_total=True))
                assert [entry.resource_id for entry in found.matches] == [
                    value["id"]
                    for value in case.world.resources
                    if value["resourceType"] == resource_type and patient in patients_of(value)
                ]


def test_focus_confers_no_membership() -> None:
    value: Resource = {
        "resourceType": "Observation",
        "id": "o0",
        "status": "final",
        "code": {},
        "focus": [{"reference": "Patient/p0"}],
    }
    world = World((value,), (0,))
    scope = Scope(types=all_types(), patients=frozenset({"p0"}))
    with indexed(items_of(world)) as (index, _):
        assert index.search(parse("Observation", []), scope, Page()).matches == ()
        assert index.match("Observation", "focus=Patient/p0", scope, now_ms=NOW_MS) == ()
        assert len(index.match("Observation", "focus=Patient/p0", EVERYTHING, now_ms=NOW_MS)) == 1


def test_the_default_scope_allows_nothing() -> None:
    world = World(({"resourceType": "ValueSet", "id": "v"}, {"resourceType": "Patient", "id": "p0"}), (0, 0))
    with indexed(items_of(world)) as (index, _):
        for scope in (Scope(), Scope(types=all_types()), Scope(patients=None)):
            assert index.count_by_type(scope) == {}


@pytest.mark.parametrize(
    "query",
    [
        "subject:Patient.name=Anna",
        "subject:Patient._id=p0",
        "_has:Observation:has-member:_id=o1",
        "subject.active=true",
    ],
)
def test_a_chain_through_what_may_not_be_seen_matches_nothing(query: str) -> None:
    values: tuple[Resource, ...] = (
        {"resourceType": "Patient", "id": "p0", "name": [{"given": ["Anna"]}], "active": True},
        {
            "resourceType": "Observation",
            "id": "o0",
            "status": "final",
            "code": {},
            "subject": {"reference": "Patient/p0"},
        },
        {
            "resourceType": "Observation",
            "id": "o1",
            "status": "final",
            "code": {},
            "hasMember": [{"reference": "Observation/o0"}],
        },
    )
    denied = Scope(types=all_types(), patients=None, denied_labels=1)
    with indexed(items_of(World(values, (1, 0, 1)))) as (index, _):
        assert [
            entry.resource_id for entry in index.match("Observation", query, EVERYTHING, now_ms=NOW_MS)
        ] == ["o0"]
        assert index.match("Observation", query, denied, now_ms=NOW_MS) == ()
        assert len(index.match("Observation", "subject=Patient/p0", denied, now_ms=NOW_MS)) == 1


def test_scopes_that_differ_have_different_digests() -> None:
    constraint = (
        parse_search("Observation", parse_query_string("category=a"), now_ms=0).branches[0].conditions
    )
    alternatives = (tuple(match for match in constraint if isinstance(match, Match)),)
    scopes = [
        Scope(),
        Scope(version=b"1"),
        Scope(version=b"2"),
        Scope(patients=None),
        Scope(patients=frozenset({"p0"})),
        Scope(types=all_types()),
        Scope(types=(TypeScope(resource_type="Observation"),)),
        Scope(types=(TypeScope(resource_type="Observation", alternatives=alternatives),)),
        Scope(shared_types=frozenset({"ValueSet"})),
        Scope(denied_labels=1),
        Scope(patient_denials=(("p0", 1),)),
    ]
    assert len({scope.digest() for scope in scopes}) == len(scopes)


@pytest.mark.parametrize("name", ["Nothing", "patient", ""])
def test_unknown_types_are_refused_in_a_scope(name: str) -> None:
    with pytest.raises(ValueError, match="types of a scope"):
        Scope(types=(TypeScope(resource_type=name),))


def test_common_parameters_exist_everywhere() -> None:
    assert all(set(COMMON) <= set(PARAMETERS[name]) for name in SEARCHED)
