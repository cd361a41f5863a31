"""Small worlds of resources and random searches over them, for the differential tests of the index."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from hypothesis import strategies as st

# Any: decoded JSON, whose shape each strategy decides.
Resource: TypeAlias = dict[str, Any]

LOINC = "http://loinc.org"
LOCAL = "urn:local"
UCUM = "http://unitsofmeasure.org"
PATIENTS = ("p0", "p1", "p2", "p3")
ORGANISATIONS = ("g0", "g1")
ENCOUNTERS = ("e0", "e1", "e2")
OBSERVATIONS = tuple(f"o{number}" for number in range(6))
CODES = ("a", "b", "c,d", "e|f", "g$h", "i\\j")
SYSTEMS = (LOINC, LOCAL, "")
DISPLAYS = ("", "Alpha", "alpha beta", "Béta", "BETA  x")
NAMES = ("Anna", "anna", "Änne", "Bo", "Bob", "O'Hara", "van der Berg", "Weiß", "a,b", "Smith", "Smyth")
DATES = (
    "2020",
    "2020-02",
    "2020-02-29",
    "2020-02-29T10:00:00Z",
    "2020-02-29T12:00:00+02:00",
    "2020-02-29T10:00:00.500Z",
    "2020-03-01",
    "2021-01",
    "2019-12-31T23:59:59Z",
)
NUMBERS = ("1", "1.0", "1.5", "1.50", "2", "-3", "100", "99.6", "100.4", "0", "1e2", "0.001")
UNITS = (("mg", UCUM, "mg"), ("mg", UCUM, "milligram"), ("kg", UCUM, ""), ("", "", "mg"), ("mg", LOCAL, ""))
URLS = (
    "http://x.org/fhir",
    "http://x.org/fhir/ValueSet",
    "http://x.org/fhir/ValueSet/1",
    "http://x.org/fhir/ValueSetting",
    "urn:oid:1.2",
)
FOREIGN = "http://other.org/fhir/Patient/p0"


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


def record(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[Resource]:
    """A JSON object without the members that came out as None."""
    return st.fixed_dictionaries(members).map(
        lambda value: {name: member for name, member in value.items() if member is not None and member != []}
    )


codings = st.builds(
    lambda system, code, display: {
        name: text for name, text in (("system", system), ("code", code), ("display", display)) if text
    },
    st.sampled_from(SYSTEMS),
    st.sampled_from(CODES),
    st.sampled_from(DISPLAYS),
)
concepts = record(
    coding=st.lists(codings, max_size=2), text=maybe(st.sampled_from([text for text in DISPLAYS if text]))
)
identifiers = record(
    system=maybe(st.sampled_from([LOCAL, "urn:mrn"])),
    value=st.sampled_from(["1", "2", "3"]),
    type=maybe(
        record(coding=st.lists(codings, min_size=1, max_size=2), text=maybe(st.just("Record Number")))
    ),
)
dates = st.sampled_from(DATES)
days = st.sampled_from([date for date in DATES if "T" not in date])
periods = record(start=maybe(dates), end=maybe(dates)).filter(bool)
decimals = st.sampled_from(NUMBERS).map(Decimal)


def _quantity(number: Decimal, unit: tuple[str, str, str], comparator: str) -> Resource:
    members = {"code": unit[0], "system": unit[1], "unit": unit[2], "comparator": comparator}
    return {"value": number, **{name: text for name, text in members.items() if text}}


quantities = st.builds(_quantity, decimals, st.sampled_from(UNITS), st.sampled_from(["", "", "", "<", ">="]))
humans = record(
    family=maybe(st.sampled_from(NAMES)),
    given=st.lists(st.sampled_from(NAMES), max_size=2),
    use=st.just("usual"),
)


def references(*targets: str) -> st.SearchStrategy[Resource]:
    return st.sampled_from([{"reference": target} for target in targets])


patient_references = st.one_of(
    references(*(f"Patient/{name}" for name in PATIENTS), "Patient/unknown"),
    references(FOREIGN, "Group/gr0", "#contained", "Patient/p1/_history/3"),
    identifiers.map(lambda identifier: {"identifier": identifier, "type": "Patient"}),
    identifiers.map(lambda identifier: {"identifier": identifier, "type": "Group"}),
    st.just({"display": "somebody"}),
)
organisation_references = references(*(f"Organization/{name}" for name in ORGANISATIONS))
encounter_references = references(*(f"Encounter/{name}" for name in ENCOUNTERS))
observation_references = references(*(f"Observation/{name}" for name in OBSERVATIONS))


def resource(
    resource_type: str, resource_id: str, **members: st.SearchStrategy[Any]
) -> st.SearchStrategy[Resource]:
    return record(
        resourceType=st.just(resource_type),
        id=st.just(resource_id),
        meta=maybe(
            record(tag=st.lists(codings, max_size=1), profile=st.lists(st.sampled_from(URLS), max_size=1))
        ),
        **members,
    )


def patients(resource_id: str) -> st.SearchStrategy[Resource]:
    return st.one_of(
        *(
            resource(
                "Patient",
                resource_id,
                identifier=st.lists(identifiers, max_size=2),
                active=maybe(st.booleans()),
                name=st.lists(humans, max_size=2),
                gender=maybe(st.sampled_from(["male", "female"])),
                birthDate=maybe(days),
                managingOrganization=maybe(organisation_references),
                telecom=st.lists(
                    st.sampled_from([{"system": "phone", "value": "1"}, {"system": "email", "value": "a@b"}]),
                    max_size=2,
                ),
                address=st.lists(
                    record(line=st.lists(st.sampled_from(NAMES), max_size=1), city=st.just("Köln")),
                    max_size=1,
                ),
                link=st.lists(references("Patient/p0").map(lambda other: {"other": other}), max_size=1),
                **deceased,
            )
            for deceased in (
                {},
                {"deceasedBoolean": st.booleans()},
                {"deceasedDateTime": dates},
            )
        )
    )


def _with_value(resource_id: str, kind: str, value: st.SearchStrategy[Any]) -> st.SearchStrategy[Resource]:
    components = record(code=concepts, valueQuantity=maybe(quantities))
    return resource(
        "Observation",
        resource_id,
        status=st.sampled_from(["final", "amended"]),
        category=st.lists(concepts, max_size=2),
        code=concepts,
        subject=maybe(patient_references),
        encounter=maybe(encounter_references),
        focus=st.lists(patient_references, max_size=1),
        hasMember=st.lists(observation_references, max_size=2),
        component=st.lists(components, max_size=2),
        **{kind: value},
        effectiveDateTime=maybe(dates),
    )


def observations(resource_id: str) -> st.SearchStrategy[Resource]:
    return st.one_of(
        _with_value(resource_id, "valueQuantity", quantities),
        _with_value(resource_id, "valueString", st.sampled_from(NAMES)),
        _with_value(resource_id, "valueCodeableConcept", concepts),
        _with_value(resource_id, "valuePeriod", periods),
    )


def others() -> tuple[st.SearchStrategy[Resource], ...]:
    return (
        *(
            resource(
                "Encounter",
                name,
                status=st.sampled_from(["finished", "planned"]),
                subject=maybe(patient_references),
                period=maybe(periods),
                serviceProvider=maybe(organisation_references),
            )
            for name in ENCOUNTERS
        ),
        *(
            resource(
                "Organization",
                name,
                name=maybe(st.sampled_from(NAMES)),
                partOf=maybe(organisation_references),
            )
            for name in ORGANISATIONS
        ),
        resource(
            "RiskAssessment", "r0", prediction=st.lists(record(probabilityDecimal=decimals), max_size=2)
        ),
        resource(
            "RiskAssessment",
            "r1",
            prediction=st.lists(
                record(
                    probabilityRange=record(
                        low=maybe(decimals.map(lambda value: {"value": value})),
                        high=maybe(decimals.map(lambda value: {"value": value})),
                    )
                ),
                max_size=1,
            ),
        ),
        resource("ValueSet", "v0", url=st.sampled_from(URLS)),
        resource("ValueSet", "v1", url=st.sampled_from(URLS)),
        resource(
            "Group",
            "gr0",
            member=st.lists(patient_references.map(lambda entity: {"entity": entity}), max_size=3),
        ),
        resource("Device", "d0", patient=maybe(patient_references)),
        resource(
            "Location",
            "l0",
            position=maybe(
                st.sampled_from(
                    [
                        {"latitude": Decimal("50.0"), "longitude": Decimal("7.0")},
                        {"latitude": Decimal("50.01"), "longitude": Decimal("7.0")},
                        {"latitude": Decimal(0), "longitude": Decimal(180)},
                        {"latitude": Decimal("-89.99"), "longitude": Decimal(10)},
                    ]
                )
            ),
        ),
    )


@dataclass(frozen=True)
class World:
    """Resources in the order of their writing, and the label bits of each."""

    resources: tuple[Resource, ...]
    labels: tuple[int, ...]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    candidates = (
        *(patients(name) for name in PATIENTS),
        *(observations(name) for name in OBSERVATIONS),
        *others(),
    )
    chosen = [draw(candidate) for candidate in candidates if draw(st.integers(0, 4))]
    order = draw(st.permutations(range(len(chosen))))
    labels = tuple(draw(st.sampled_from([0, 0, 0, 1, 2, 3])) for _ in chosen)
    return World(tuple(chosen[number] for number in order), labels)
