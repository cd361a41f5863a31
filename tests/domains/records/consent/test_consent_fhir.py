"""Reading a FHIR Consent: everything in a provision is understood or refused with its place."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.consent.fhir_consent import ConsentRefused, read_consent
from careledger.domains.records.service.consent.policy import Actor, ActorKind, encode_policy
from careledger.standards.fhir.instants import parse_range
from careledger.standards.fhir.issues import Issue
from careledger.standards.fhir.json_types import JsonObject
from domains.records.consent.consent_samples import (
    actor,
    consent,
    label,
    permission,
    policy_of,
    purpose,
    resource_class,
)


def test_every_criterion_is_read() -> None:
    held = policy_of(
        permission(
            period={"start": "2026-01-01", "end": "2026-12-31"},
            dataPeriod={"start": "2020"},
            securityLabel=[label("HIV")],
            code=[{"coding": [{"system": "http://loinc.org", "code": "718-7"}]}],
            data=[
                {"meaning": "instance", "reference": {"reference": "Observation/1"}},
                {"meaning": "related", "reference": {"reference": "Encounter/1"}},
                {"meaning": "authoredby", "reference": {"reference": "Practitioner/1"}},
            ],
            action=[
                {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/consentaction",
                            "code": "access",
                        }
                    ]
                }
            ],
            **{"class": [resource_class("Observation")]},
        )
    )
    rule = held.exceptions[0]
    assert not held.base.is_permit
    assert rule.is_permit
    assert rule.actors == (Actor(ActorKind.ORGANISATION, "hospital-b"),)
    assert rule.purposes == ("TREAT",)
    assert (rule.from_ms, rule.until_ms) == (parse_range("2026-01-01")[0], parse_range("2026-12-31")[1])
    assert (rule.data_from_ms, rule.data_until_ms) == (parse_range("2020")[0], None)
    assert rule.compartments == (Compartment.HIV,)
    assert rule.types == ("Observation",)
    assert rule.codes == ("http://loinc.org|718-7",)
    assert (rule.instances, rule.related, rule.authors) == (
        ("Observation/1",),
        ("Encounter/1",),
        ("Practitioner/1",),
    )


@pytest.mark.parametrize(
    ("labels", "is_permit", "expected"),
    [
        ([], True, {0}),
        ([], False, {0, 1, 2, 3, 4, 5, 6}),
        (["ETH"], True, {2}),
        (["42CFRPart2"], True, {2}),
        (["PSY"], True, {1}),
        (["GDIS"], False, {5}),
    ],
)
def test_labels_name_compartments(labels: list[str], is_permit: bool, expected: set[int]) -> None:
    provision: JsonObject = {
        "type": "permit" if is_permit else "deny",
        "actor": [actor()],
        "securityLabel": [label(code) for code in labels],
    }
    assert set(policy_of(provision).exceptions[0].compartments) == expected


@pytest.mark.parametrize(("kind", "expected"), [("permit", {1, 3, 4, 5, 6}), ("deny", {1, 2, 3, 4, 5, 6})])
def test_restricted_opens_no_substance_use_records(kind: str, expected: set[int]) -> None:
    restricted = {
        "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
        "code": "R",
    }
    rule = policy_of({"type": kind, "actor": [actor()], "securityLabel": [restricted]}).exceptions[0]
    assert set(rule.compartments) == expected


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"reference": "Organization/o"}, Actor(1, "hospital-c")),
        ({"reference": "Practitioner/p"}, Actor(3, "Practitioner/p")),
        ({"reference": "PractitionerRole/r"}, Actor(3, "PractitionerRole/r")),
        (
            {"type": "Practitioner", "identifier": {"system": "urn:x", "value": "7"}},
            Actor(3, "urn:x|7"),
        ),
        (
            {"type": "PractitionerRole", "identifier": {"system": "urn:r", "value": "nurse"}},
            Actor(2, "urn:r|nurse"),
        ),
    ],
)
def test_actors_are_named_in_several_ways(reference: JsonObject, expected: Actor) -> None:
    value = consent("p", {"type": "permit", "actor": [{**actor(), "reference": reference}]})
    held = read_consent(value, patient="Patient/p", organisations={"Organization/o": "hospital-c"})
    assert held.exceptions[0].actors == (expected,)


def nested(**parts: object) -> JsonObject:
    return consent("p", {**permission(), **parts})


REFUSED: list[tuple[str, JsonObject, str]] = [
    ("not a consent", {"resourceType": "Patient"}, ""),
    ("draft", {**consent("p"), "status": "draft"}, "Consent.status"),
    ("inactive", {**consent("p"), "status": "inactive"}, "Consent.status"),
    ("implicit rules", {**consent("p"), "implicitRules": "urn:x"}, "Consent.implicitRules"),
    ("modifier", {**consent("p"), "modifierExtension": [{}]}, "Consent.modifierExtension"),
    ("scope", {**consent("p"), "scope": {"coding": [{"system": "s", "code": "research"}]}}, "Consent.scope"),
    ("other patient", consent("q"), "Consent.patient"),
    ("no provision", {**consent("p"), "provision": None}, "Consent.provision"),
    ("no type", consent("p", type=None), "Consent.provision.type"),
    ("unknown type", consent("p", type="maybe"), "Consent.provision.type"),
    ("extension", nested(extension=[{}]), "Consent.provision.provision[0].extension"),
    ("a person's name as a member", nested(**{"Jane Doe": 1}), "Consent.provision.provision[0].?"),
    ("deeper", nested(provision=[permission()]), "Consent.provision.provision[0].provision"),
    (
        "actor kind",
        nested(actor=[{**actor(), "reference": {"reference": "RelatedPerson/1"}}]),
        "Consent.provision.provision[0].actor[0].reference",
    ),
    (
        "organisation that is no member",
        nested(actor=[{**actor(), "reference": {"reference": "Organization/x"}}]),
        "Consent.provision.provision[0].actor[0].reference",
    ),
    (
        "contained actor",
        nested(actor=[{**actor(), "reference": {"reference": "#o"}}]),
        "Consent.provision.provision[0].actor[0].reference",
    ),
    (
        "actor role",
        nested(actor=[{**actor(), "role": {"coding": [{"system": "x", "code": "CST"}]}}]),
        "Consent.provision.provision[0].actor[0].role",
    ),
    ("actor's text", nested(actor=[{**actor(), "note": 1}]), "Consent.provision.provision[0].actor[0].note"),
    (
        "purpose system",
        nested(purpose=[{"system": "urn:x", "code": "TREAT"}]),
        "Consent.provision.provision[0].purpose[0].system",
    ),
    (
        "purpose without system",
        nested(purpose=[{"code": "TREAT"}]),
        "Consent.provision.provision[0].purpose[0]",
    ),
    ("label", nested(securityLabel=[label("UNHEARD")]), "Consent.provision.provision[0].securityLabel[0]"),
    (
        "labels that no record has together",
        nested(securityLabel=[label("HIV"), label("PSY")]),
        "Consent.provision.provision[0].securityLabel",
    ),
    (
        "class system",
        nested(**{"class": [{"system": "urn:ietf:bcp:13", "code": "application/pdf"}]}),
        "Consent.provision.provision[0].class[0].system",
    ),
    (
        "class code",
        nested(**{"class": [resource_class("Nothing")]}),
        "Consent.provision.provision[0].class[0].code",
    ),
    ("concept as text", nested(code=[{"text": "blood"}]), "Consent.provision.provision[0].code[0]"),
    (
        "dependents",
        nested(data=[{"meaning": "dependents", "reference": {"reference": "Observation/1"}}]),
        "Consent.provision.provision[0].data[0].meaning",
    ),
    (
        "data without reference",
        nested(data=[{"meaning": "instance", "reference": {"display": "x"}}]),
        "Consent.provision.provision[0].data[0].reference",
    ),
    (
        "action",
        nested(
            action=[
                {
                    "coding": [
                        {"system": "http://terminology.hl7.org/CodeSystem/consentaction", "code": "correct"}
                    ]
                }
            ]
        ),
        "Consent.provision.provision[0].action[0]",
    ),
    (
        "period reversed",
        nested(period={"start": "2026", "end": "2025"}),
        "Consent.provision.provision[0].period",
    ),
    ("period empty", nested(period={}), "Consent.provision.provision[0].period"),
    ("period text", nested(period={"end": "soon"}), "Consent.provision.provision[0].period.end"),
    ("period member", nested(period={"end": "2026", "x": 1}), "Consent.provision.provision[0].period.x"),
    ("too many", consent("p", *[permission()] * 65), "Consent.provision.provision"),
    ("a list that is none", nested(purpose=purpose()), "Consent.provision.provision[0].purpose"),
]


@pytest.mark.parametrize(("name", "value", "place"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_not_enforced_is_refused_with_its_place(name: str, value: JsonObject, place: str) -> None:
    with pytest.raises(ConsentRefused) as refusal:
        read_consent(value, patient="Patient/p")
    assert [issue.location for issue in refusal.value.issues] == [place]


def test_a_refusal_repeats_nothing_of_the_document() -> None:
    with pytest.raises(ConsentRefused) as refusal:
        read_consent(nested(securityLabel=[label("CANARY-7")]), patient="Patient/p")
    assert "CANARY" not in str(refusal.value)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PLACES = [
    "type",
    "period",
    "actor",
    "action",
    "securityLabel",
    "purpose",
    "class",
    "code",
    "dataPeriod",
    "data",
]


@given(st.sampled_from(PLACES), JUNK)
def test_junk_in_a_provision_is_refused_or_read_and_never_crashes(place: str, junk: object) -> None:
    value = deepcopy(nested())
    provision = value["provision"]
    assert isinstance(provision, dict)
    exceptions = provision["provision"]
    assert isinstance(exceptions, list)
    exceptions[0][place] = junk
    refused: tuple[Issue, ...] = ()
    try:
        encode_policy(read_consent(value, patient="Patient/p"))
    except ConsentRefused as refusal:
        refused = refusal.issues
    assert all(issue.location.startswith("Consent.provision.provision[0]") for issue in refused)
