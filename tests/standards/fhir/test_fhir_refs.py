"""References: their forms, where they stand, and what replacing links changes and leaves alone."""

import pytest

from careledger.standards.fhir.references import (
    Reference,
    ReferenceKind,
    ReferenceTextError,
    element_type,
    find_references,
    map_references,
    parse_reference,
    rewrite_references,
    target_types,
)
from careledger.standards.fhir.structure import resource_types, type_facts

UUID = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
OTHER = "urn:uuid:9c3151bd-1cbf-4d64-b04d-cd9187a4c6e9"
NS = "http://www.w3.org/1999/xhtml"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Patient/1", Reference(ReferenceKind.LOCAL, "Patient", "1")),
        ("Patient/a.B-9/_history/7", Reference(ReferenceKind.LOCAL, "Patient", "a.B-9", "7")),
        ("Patient/1#part", Reference(ReferenceKind.LOCAL, "Patient", "1")),
        ("#p", Reference(ReferenceKind.CONTAINED, logical_id="p")),
        ("#", Reference(ReferenceKind.CONTAINED)),
        (UUID, Reference(ReferenceKind.URN, logical_id=UUID)),
        ("urn:oid:1.2.3", Reference(ReferenceKind.URN, logical_id="urn:oid:1.2.3")),
        (
            "https://example.org/fhir/Patient/1",
            Reference(ReferenceKind.ABSOLUTE, "Patient", "1", "", "https://example.org/fhir"),
        ),
        (
            "http://example.org/Patient/1/_history/2",
            Reference(ReferenceKind.ABSOLUTE, "Patient", "1", "2", "http://example.org"),
        ),
        ("https://example.org/fhir/Alien/1", Reference(ReferenceKind.ABSOLUTE)),
        ("https://example.org", Reference(ReferenceKind.ABSOLUTE)),
        (
            "Practitioner?identifier=urn:x|1",
            Reference(ReferenceKind.CONDITIONAL, "Practitioner", query="identifier=urn:x|1"),
        ),
    ],
)
def test_forms_of_references(text: str, expected: Reference) -> None:
    assert parse_reference(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Patient",
        "Patient/",
        "Patient/1/2",
        "Patient/" + "x" * 65,
        "Alien/1",
        "Alien?x=1",
        "patient/1",
        "/Patient/1",
        "Patient/1/_history/",
        "Patient?",
        "urn:uuid:1",
        "Ann Smith",
        "https://",
        "https://example.org/a b",
        "Patient/1\n",
        "x" * 5000,
    ],
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(ReferenceTextError) as caught:
        parse_reference(text)
    assert "Ann" not in str(caught.value)


def test_local_text_and_targets() -> None:
    assert parse_reference("http://example.org/Patient/1/_history/2").local_text == "Patient/1"
    assert target_types("Patient/1") == {"Patient"}
    assert target_types(UUID) == resource_types()


def observation() -> dict[str, object]:
    return {
        "resourceType": "Observation",
        "text": {
            "status": "generated",
            "div": f'<div xmlns="{NS}"><a href="{UUID}">p</a><img src=\'{OTHER}\'/>{UUID}</div>',
        },
        "contained": [
            {"resourceType": "Practitioner", "id": "x", "extension": [{"url": UUID, "valueUri": OTHER}]}
        ],
        "identifier": [{"system": UUID, "value": UUID}],
        "extension": [
            {"url": "http://example.org/a", "valueUri": UUID},
            {"url": "http://example.org/b", "valueUrl": UUID},
            {"url": "http://example.org/c", "valueUuid": UUID},
            {"url": "http://example.org/d", "valueOid": "urn:oid:1.2"},
            {"url": "http://example.org/e", "valueCanonical": UUID},
            {"url": "http://example.org/f", "valueString": UUID},
            {"url": "http://example.org/g", "valueReference": {"reference": UUID}},
        ],
        "instantiatesNothing": UUID,
        "subject": {"reference": UUID, "display": UUID},
        "performer": [{"reference": "Practitioner?identifier=1"}, {"reference": "Practitioner/2"}],
        "note": [{"text": UUID}],
        "component": [{"code": {"coding": [{"system": OTHER, "code": "x"}]}}],
    }


def test_links_are_replaced_in_references_uris_and_narratives_only() -> None:
    resource = observation()
    links = {
        UUID: "Patient/7",
        OTHER: "Binary/8",
        "urn:oid:1.2": "Device/9",
        "Practitioner?identifier=1": "Practitioner/5",
    }
    changed = rewrite_references(resource, links)
    assert resource == observation()
    expected = observation()
    expected["text"] = {
        "status": "generated",
        "div": f'<div xmlns="{NS}"><a href="Patient/7">p</a><img src=\'Binary/8\'/>{UUID}</div>',
    }
    expected["contained"] = [
        {"resourceType": "Practitioner", "id": "x", "extension": [{"url": UUID, "valueUri": "Binary/8"}]}
    ]
    expected["identifier"] = [{"system": "Patient/7", "value": UUID}]
    expected["extension"] = [
        {"url": "http://example.org/a", "valueUri": "Patient/7"},
        {"url": "http://example.org/b", "valueUrl": "Patient/7"},
        {"url": "http://example.org/c", "valueUuid": "Patient/7"},
        {"url": "http://example.org/d", "valueOid": "Device/9"},
        {"url": "http://example.org/e", "valueCanonical": UUID},
        {"url": "http://example.org/f", "valueString": UUID},
        {"url": "http://example.org/g", "valueReference": {"reference": "Patient/7"}},
    ]
    expected["subject"] = {"reference": "Patient/7", "display": UUID}
    expected["performer"] = [{"reference": "Practitioner/5"}, {"reference": "Practitioner/2"}]
    expected["component"] = [{"code": {"coding": [{"system": "Binary/8", "code": "x"}]}}]
    assert changed == expected
    assert list(changed) == list(resource)


def test_unchanged_parts_are_shared() -> None:
    resource = observation()
    changed = rewrite_references(resource, {"Practitioner/2": "Practitioner/3"})
    assert changed is not resource
    for name in resource:
        assert (changed[name] is resource[name]) == (name != "performer")
    assert rewrite_references(resource, {"Patient/none": "Patient/1"}) is resource
    assert rewrite_references(resource, {}) is resource


def test_lists_of_uris_are_rewritten_and_lists_of_canonicals_are_not() -> None:
    request: dict[str, object] = {
        "resourceType": "ServiceRequest",
        "instantiatesUri": [UUID, "x"],
        "instantiatesCanonical": [UUID],
        "name": [UUID],
    }
    changed = rewrite_references(request, {UUID: "Patient/1"})
    assert changed["instantiatesUri"] == ["Patient/1", "x"]
    assert changed["instantiatesCanonical"] == [UUID]
    assert changed["name"] == [UUID]


def test_references_are_found_in_document_order() -> None:
    found = list(find_references(observation()))
    assert [(item.location, item.text) for item in found] == [
        ("extension[6].valueReference.reference", UUID),
        ("subject.reference", UUID),
        ("performer[0].reference", "Practitioner?identifier=1"),
        ("performer[1].reference", "Practitioner/2"),
    ]


def test_references_are_mapped_one_by_one() -> None:
    changed = map_references(observation(), lambda text: "Patient/1" if text == UUID else None)
    assert changed["subject"] == {"reference": "Patient/1", "display": UUID}
    assert changed["performer"] == observation()["performer"]


def test_the_type_of_an_element_comes_from_the_tables() -> None:
    resource = observation()
    assert element_type(resource, ((None, "subject"), "reference")) == "string"
    assert element_type(resource, ((((None, "identifier"), 0)), "system")) == "uri"
    assert element_type(resource, (None, "instantiatesNothing")) == ""
    assert element_type({"resourceType": "Alien", "a": 1}, (None, "a")) == ""


def test_every_text_named_reference_is_a_link() -> None:
    names = [*sorted(resource_types()), "Reference", "Expression", "Immunization.education"]
    for name in names:
        for element in type_facts(name).elements:
            if element.name == "reference" and element.types[0] in ("string", "uri", "canonical", "markdown"):
                assert (name, element.types[0]) in {
                    ("Reference", "string"),
                    ("DetectedIssue", "uri"),
                    ("Expression", "uri"),
                    ("Immunization.education", "uri"),
                }
