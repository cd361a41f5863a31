"""Structure checks: small documents that are right, and each way of being wrong with its place."""

import copy
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careledger.standards.fhir.json_types import ExactDecimal
from careledger.standards.fhir.validate import (
    ValidationError,
    check_resource,
    validate_element,
    validate_resource,
)

Document = dict[str, object]

PATIENT: Document = {
    "resourceType": "Patient",
    "id": "p-1",
    "meta": {
        "versionId": "3",
        "lastUpdated": "2024-02-29T10:00:00.5+02:00",
        "profile": ["http://example.org/p"],
    },
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>A person</p></div>'},
    "extension": [{"url": "http://example.org/e", "valueCode": "x"}],
    "identifier": [{"system": "urn:oid:1.2.3", "value": "77"}],
    "active": True,
    "name": [{"family": "Quill", "given": ["Ada", None], "_given": [None, {"id": "g"}]}],
    "gender": "female",
    "birthDate": "1960-02-29",
    "_birthDate": {"extension": [{"url": "http://example.org/t", "valueDateTime": "1960-02-29T10:00:00Z"}]},
    "deceasedBoolean": False,
    "multipleBirthInteger": 2,
    "contact": [{"name": {"text": "Bo"}}],
    "generalPractitioner": [{"reference": "Practitioner/d1"}, {"reference": "#org"}],
    "contained": [{"resourceType": "Organization", "id": "org", "name": "Clinic"}],
}

OBSERVATION: Document = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://example.org/codes", "code": "w"}]},
    "subject": {"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"},
    "effectivePeriod": {"start": "2024", "end": "2024-03"},
    "valueQuantity": {"value": Decimal("1.50"), "system": "http://unitsofmeasure.org", "code": "kg"},
    "component": [{"code": {"text": "part"}, "valueInteger": 3}],
}


def change(document: Document, path: str, value: object) -> Document:
    """Return a copy with one member set; `...` removes it."""
    result = copy.deepcopy(document)
    *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    place: object = result
    for step in steps:
        place = place[step]  # type: ignore[index]
    if value is ...:
        del place[last]  # type: ignore[attr-defined]
    else:
        place[last] = value  # type: ignore[index]
    return result


def found(document: object) -> list[tuple[str, str]]:
    return [(issue.location, issue.code) for issue in validate_resource(document)]


@pytest.mark.parametrize("document", [PATIENT, OBSERVATION, {"resourceType": "Patient"}])
def test_a_right_document_has_no_findings(document: Document) -> None:
    assert validate_resource(document) == []
    check_resource(document)


@pytest.mark.parametrize("document", [None, [], 1, "x", {}, {"resourceType": 5}, {"resourceType": "Alien"}])
def test_what_is_no_resource_is_refused(document: object) -> None:
    assert found(document)[0][0] in ("Resource", "Resource.resourceType")
    with pytest.raises(ValidationError):
        check_resource(document)


# Columns: member to change in PATIENT, its new value, where the finding must be, its code.
@pytest.mark.parametrize(
    ("path", "value", "location", "code"),
    [
        # unknown elements
        ("nickname", "x", "Patient.nickname", "structure"),
        ("name/0/middle", "x", "Patient.name[0].middle", "structure"),
        ("Ann Smith", "x", "Patient.?", "structure"),
        ("fhir_comments", ["x"], "Patient.?", "structure"),
        ("contact/0/name/resourceType", "x", "Patient.contact[0].name.resourceType", "structure"),
        # JSON shape
        ("name", {"family": "x"}, "Patient.name", "structure"),
        ("name/0", "x", "Patient.name[0]", "structure"),
        ("name/0", ["x"], "Patient.name[0]", "structure"),
        ("name/0", None, "Patient.name[0]", "structure"),
        ("gender", ["female"], "Patient.gender", "structure"),
        ("gender", {"value": "female"}, "Patient.gender", "structure"),
        ("meta", [{"versionId": "1"}], "Patient.meta", "structure"),
        ("active", "true", "Patient.active", "structure"),
        ("active", 1, "Patient.active", "structure"),
        ("active", None, "Patient.active", "structure"),
        ("name/0/family", 7, "Patient.name[0].family", "structure"),
        ("multipleBirthInteger", "2", "Patient.multipleBirth", "structure"),
        ("multipleBirthInteger", True, "Patient.multipleBirth", "structure"),
        # empty
        ("name", [], "Patient.name", "structure"),
        ("name/0", {}, "Patient.name[0]", "structure"),
        ("name/0", {"id": "only"}, "Patient.name[0]", "structure"),
        ("meta", {}, "Patient.meta", "structure"),
        ("name/0/family", "", "Patient.name[0].family", "value"),
        ("_birthDate", {}, "Patient.birthDate", "structure"),
        ("_birthDate", None, "Patient.birthDate", "structure"),
        # arrays of primitives
        ("name/0/_given", [None, None], "Patient.name[0].given[1]", "structure"),
        ("name/0/_given", [{"id": "g"}], "Patient.name[0].given[1]", "structure"),
        ("name/0/_given", {"id": "g"}, "Patient.name[0].given", "structure"),
        ("name/0/_given", [None, {"value": "g"}], "Patient.name[0].given[1].value", "structure"),
        ("name/0/prefix", [None], "Patient.name[0].prefix[0]", "structure"),
        # choices
        ("deceasedDateTime", "2024", "Patient.deceased", "structure"),
        ("_deceasedDateTime", {"id": "x"}, "Patient.deceased", "structure"),
        ("deceased", True, "Patient.deceased", "structure"),
        ("deceasedString", "yes", "Patient.deceasedString", "structure"),
        # formats
        ("id", "x" * 65, "Patient.id", "value"),
        ("id", "a b", "Patient.id", "value"),
        ("id", "a_b", "Patient.id", "value"),
        ("id", "", "Patient.id", "value"),
        ("birthDate", "1960-02-30", "Patient.birthDate", "value"),
        ("birthDate", "2023-02-29", "Patient.birthDate", "value"),
        ("birthDate", "1960-2-3", "Patient.birthDate", "value"),
        ("birthDate", "0000", "Patient.birthDate", "value"),
        ("birthDate", "1960-01-01T00:00:00Z", "Patient.birthDate", "value"),
        ("meta/lastUpdated", "2024-02-29", "Patient.meta.lastUpdated", "value"),
        ("meta/lastUpdated", "2024-02-29T10:00:00", "Patient.meta.lastUpdated", "value"),
        ("meta/profile", ["a b"], "Patient.meta.profile[0]", "value"),
        ("meta/profile", [""], "Patient.meta.profile[0]", "value"),
        ("multipleBirthInteger", 2**31, "Patient.multipleBirth", "value"),
        ("multipleBirthInteger", Decimal("2.0"), "Patient.multipleBirth", "value"),
        ("name/0/family", "a\x07b", "Patient.name[0].family", "value"),
        ("name/0/family", "x" * (2**20 + 1), "Patient.name[0].family", "too-long"),
        ("language", "a  b", "Patient.language", "value"),
        ("language", " a", "Patient.language", "value"),
        ("photo", [{"contentType": "image/png", "data": "abc"}], "Patient.photo[0].data", "value"),
        ("photo", [{"contentType": "image/png", "data": "a=bc"}], "Patient.photo[0].data", "value"),
        # codes
        ("gender", "feminine", "Patient.gender", "code-invalid"),
        ("gender", "Female", "Patient.gender", "code-invalid"),
        ("name/0/use", "casual", "Patient.name[0].use", "code-invalid"),
        (
            "link",
            [{"other": {"reference": "Patient/2"}, "type": "x"}],
            "Patient.link[0].type",
            "code-invalid",
        ),
        # required
        ("link", [{"other": {"reference": "Patient/2"}}], "Patient.link[0].type", "required"),
        ("link", [{"type": "seealso"}], "Patient.link[0].other", "required"),
        ("communication", [{"preferred": True}], "Patient.communication[0].language", "required"),
        ("extension/0/url", ..., "Patient.extension[0].url", "required"),
        ("extension/0/url", "a b", "Patient.extension[0].url", "value"),
        # extensions
        ("extension/0/valueCode", ..., "Patient.extension[0]", "invariant"),
        ("extension/0/extension", [{"url": "u", "valueCode": "x"}], "Patient.extension[0]", "invariant"),
        ("extension/0/valueString", "x", "Patient.extension[0].value", "structure"),
        ("extension/0/valueAlien", "x", "Patient.extension[0].valueAlien", "structure"),
        # references
        ("generalPractitioner/0/reference", "Patient/1", "Patient.generalPractitioner[0].reference", "value"),
        ("generalPractitioner/0/reference", "Alien/1", "Patient.generalPractitioner[0].reference", "value"),
        ("generalPractitioner/0/reference", "d1", "Patient.generalPractitioner[0].reference", "value"),
        ("generalPractitioner/0/reference", "Dr Smith", "Patient.generalPractitioner[0].reference", "value"),
        (
            "generalPractitioner/0/reference",
            "urn:uuid:1",
            "Patient.generalPractitioner[0].reference",
            "value",
        ),
        (
            "generalPractitioner/0/reference",
            "http://example.org/fhir/Patient/1",
            "Patient.generalPractitioner[0].reference",
            "value",
        ),
        ("generalPractitioner/0/type", "Patient", "Patient.generalPractitioner[0].type", "value"),
        ("generalPractitioner/0/type", "Organization", "Patient.generalPractitioner[0].type", "value"),
        ("generalPractitioner/0/type", "Alien", "Patient.generalPractitioner[0].type", "value"),
        ("generalPractitioner/1/reference", "#none", "Patient.generalPractitioner[1]", "invariant"),
        # contained
        ("contained/0/resourceType", "Patient", "Patient.generalPractitioner[1]", "invariant"),
        ("generalPractitioner/1", ..., "Patient.contained[0]", "invariant"),
        ("contained/0/id", ..., "Patient.contained[0]", "required"),
        ("contained/0/meta", {"versionId": "1"}, "Patient.contained[0]", "invariant"),
        ("contained/0/name", 5, "Patient.contained[0].name", "structure"),
        (
            "contained/0/contained",
            [{"resourceType": "Patient", "id": "x"}],
            "Patient.contained[0]",
            "invariant",
        ),
        ("contained", [5], "Patient.contained[0]", "structure"),
        ("contained/0/resourceType", {}, "Patient.contained[0]", "structure"),
        ("contained/0/resourceType", "Alien", "Patient.contained[0].resourceType", "structure"),
        # rules between elements
        ("contact/0", {"gender": "male"}, "Patient.contact[0]", "invariant"),
        ("telecom", [{"value": "1"}], "Patient.telecom[0]", "invariant"),
        ("photo", [{"data": "YWJj"}], "Patient.photo[0]", "invariant"),
        (
            "identifier/0/period",
            {"start": "2024-02", "end": "2024-01-31"},
            "Patient.identifier[0].period",
            "invariant",
        ),
    ],
)
def test_a_fault_is_found_where_it_is(path: str, value: object, location: str, code: str) -> None:
    findings = found(change(PATIENT, path, value))
    assert (location, code) in findings
    assert len({place for place, _ in findings}) <= 2


@pytest.mark.parametrize(
    ("path", "value", "location", "code"),
    [
        ("status", ..., "Observation.status", "required"),
        ("code", ..., "Observation.code", "required"),
        ("status", "done", "Observation.status", "code-invalid"),
        ("valueString", "x", "Observation.value", "structure"),
        ("component/0/valueString", "x", "Observation.component[0].value", "structure"),
        ("effectiveDateTime", "2024", "Observation.effective", "structure"),
        ("dataAbsentReason", {"text": "lost"}, "Observation", "invariant"),
        (
            "component/0/code",
            {"coding": [{"system": "http://example.org/codes", "code": "w"}]},
            "Observation",
            "invariant",
        ),
        ("valueQuantity", {"value": "1.5"}, "Observation.value.value", "structure"),
        ("valueQuantity", {"value": True}, "Observation.value.value", "structure"),
        ("valueQuantity", {"code": "kg"}, "Observation.value", "invariant"),
        ("referenceRange", [{"age": {"low": {"value": 1}}}], "Observation.referenceRange[0]", "invariant"),
        (
            "effectivePeriod",
            {"start": "2024-03-02", "end": "2024-03-01"},
            "Observation.effective",
            "invariant",
        ),
        ("effectivePeriod", {"start": "2024-03-32"}, "Observation.effective.start", "value"),
        ("subject", {"reference": "Practitioner/1"}, "Observation.subject.reference", "value"),
        ("subject", {"reference": "Practitioner?identifier=1"}, "Observation.subject.reference", "value"),
        (
            "subject",
            {"identifier": {"value": "1"}, "type": "Practitioner"},
            "Observation.subject.type",
            "value",
        ),
    ],
)
def test_faults_of_an_observation(path: str, value: object, location: str, code: str) -> None:
    assert found(change(OBSERVATION, path, value)) == [(location, code)]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("effectivePeriod", {"start": "2024-03-01", "end": "2024-03"}),
        ("status", ...),
        ("subject", {"reference": "Patient?identifier=urn:x|1"}),
        ("subject", {"reference": "https://example.org/fhir/Patient/1/_history/2"}),
        ("subject", {"reference": "https://example.org/anything"}),
        ("subject", {"identifier": {"value": "1"}}),
        ("subject", {"display": "somebody"}),
        ("valueQuantity", {"value": ExactDecimal("1e2")}),
        ("valueQuantity", {"_value": {"extension": [{"url": "u", "valueCode": "unknown"}]}}),
        ("interpretation", [{"text": "high"}]),
        ("_valueString", ...),
    ],
)
def test_what_fhir_allows_is_allowed(path: str, value: object) -> None:
    document = {
        **OBSERVATION,
        "_status": {"extension": [{"url": "u", "valueCode": "unknown"}]},
        "_valueString": 0,
    }
    if path != "_valueString":
        document = change(document, "_valueString", ...)
    assert found(change(document, path, value)) == []


def test_a_primitive_with_extensions_only_satisfies_a_requirement_and_a_choice() -> None:
    absent = {"extension": [{"url": "u", "valueCode": "unknown"}]}
    document = change(change(OBSERVATION, "status", ...), "valueQuantity", ...)
    assert found({**document, "_status": absent, "_valueString": absent}) == []


def test_a_required_concept_needs_one_of_its_codes() -> None:
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    document: Document = {"resourceType": "Condition", "subject": {"reference": "Patient/1"}}
    other = {"system": "http://example.org", "code": "active"}
    status = "Condition.clinicalStatus"
    assert (
        found({**document, "clinicalStatus": {"coding": [other, {"system": system, "code": "active"}]}}) == []
    )
    assert found({**document, "clinicalStatus": {"coding": [other]}}) == [(status, "code-invalid")]
    assert found({**document, "clinicalStatus": {"coding": [{"system": system, "code": "x"}]}}) == [
        (status, "code-invalid")
    ]
    in_words = {**document, "clinicalStatus": {"text": "going on"}}
    assert [(issue.location, issue.severity) for issue in validate_resource(in_words)] == [
        (status, "warning")
    ]
    check_resource(in_words)


def test_a_contained_resource_may_point_out_and_be_pointed_to_from_a_canonical() -> None:
    inner = {"resourceType": "Organization", "id": "o", "name": "n", "partOf": {"reference": "#"}}
    outer: Document = {"resourceType": "Organization", "name": "m", "contained": [inner]}
    assert found(outer) == []
    response: Document = {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "questionnaire": "#q",
        "contained": [{"resourceType": "Questionnaire", "id": "q", "status": "active"}],
    }
    assert found(response) == []
    twice = [{"resourceType": "Questionnaire", "id": "q", "status": "active"}] * 2
    assert ("QuestionnaireResponse.contained[1]", "duplicate") in found({**response, "contained": twice})


def test_findings_are_bounded_and_name_no_values() -> None:
    names = [{"family": "Secret", "use": "Secret", "Secret Name": 1} for _ in range(5_000)]
    issues = validate_resource({"resourceType": "Patient", "name": names})
    assert 90 <= len(issues) <= 100
    with pytest.raises(ValidationError) as caught:
        check_resource({"resourceType": "Patient", "name": names})
    assert "Secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("type_name", "value", "code"),
    [
        ("Age", {"value": 3, "code": "a", "system": "http://unitsofmeasure.org"}, None),
        ("Age", {"value": 0, "code": "a"}, "invariant"),
        ("Age", {"value": 3}, "invariant"),
        ("Age", {"value": 3, "code": "a", "system": "http://example.org"}, "invariant"),
        ("Count", {"value": 3, "code": "1", "system": "http://unitsofmeasure.org"}, None),
        ("Count", {"value": Decimal("3.5"), "code": "1", "system": "http://unitsofmeasure.org"}, "invariant"),
        ("Distance", {"value": 3}, "invariant"),
        ("Duration", {"value": 3, "code": "h", "system": "http://unitsofmeasure.org"}, None),
        ("Duration", {"value": 3, "code": "h", "system": "http://example.org"}, "invariant"),
        ("Expression", {"language": "text/fhirpath"}, "invariant"),
        ("Ratio", {"numerator": {"value": 1}}, "invariant"),
        ("Ratio", {"numerator": {"value": 1}, "denominator": {"value": 2}}, None),
        ("Ratio", {"extension": [{"url": "u", "valueCode": "x"}]}, None),
        ("Range", {"low": {"value": 2}, "high": {"value": 1}}, "invariant"),
        ("Range", {"low": {"value": 2, "unit": "g"}, "high": {"value": 1, "unit": "kg"}}, None),
        ("Range", {"low": {"value": 2, "comparator": "<"}}, None),
        ("TriggerDefinition", {"type": "periodic"}, "invariant"),
        ("TriggerDefinition", {"type": "named-event", "name": "x"}, None),
        ("TriggerDefinition", {"type": "data-added"}, "invariant"),
        ("TriggerDefinition", {"type": "named-event"}, "invariant"),
        ("Timing", {"repeat": {"period": 1, "periodUnit": "d", "frequency": 1}}, None),
        ("Timing", {"repeat": {"period": 1}}, "invariant"),
        ("Timing", {"repeat": {"period": Decimal(-1), "periodUnit": "d"}}, "invariant"),
        ("Timing", {"repeat": {"offset": 5}}, "invariant"),
        ("Timing", {"repeat": {"offset": 5, "when": ["CM"]}}, "invariant"),
        ("Timing", {"repeat": {"offset": 5, "when": ["ACM"]}}, None),
        ("Timing", {"repeat": {"when": ["ACM"], "timeOfDay": ["10:00:00"]}}, "invariant"),
        ("Timing", {"repeat": {"timeOfDay": ["10:00"]}}, "value"),
        ("Timing", {"repeat": {"frequency": 0}}, "value"),
        ("Timing", {"repeat": {"dayOfWeek": ["monday"]}}, "code-invalid"),
        ("Identifier", {"system": "a b"}, "value"),
        ("Attachment", {"size": -1}, "value"),
        (
            "DataRequirement",
            {"type": "Patient", "codeFilter": [{"path": "a", "searchParam": "b"}]},
            "invariant",
        ),
        ("Dosage", {"doseAndRate": [{"doseQuantity": {"value": 1}, "doseRange": {}}]}, "structure"),
    ],
)
def test_data_types(type_name: str, value: object, code: str | None) -> None:
    codes = {issue.code for issue in validate_element(type_name, value)}
    assert codes == set() if code is None else code in codes


def test_an_unknown_type_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError):
        validate_element("Alien", {})


SUBJECT: Document = {"subject": {"reference": "Patient/1"}}


def _coded(code: str, system: str) -> Document:
    return {"coding": [{"system": f"http://terminology.hl7.org/CodeSystem/{system}", "code": code}]}


@pytest.mark.parametrize(
    ("document", "key"),
    [
        ({"resourceType": "AllergyIntolerance", "patient": {"reference": "Patient/1"}}, "ait-1"),
        ({"resourceType": "Condition", "abatementString": "x", **SUBJECT}, "con-4"),
        (
            {
                "resourceType": "Condition",
                "verificationStatus": _coded("entered-in-error", "condition-ver-status"),
                "clinicalStatus": _coded("active", "condition-clinical"),
                **SUBJECT,
            },
            "con-5",
        ),
        (
            {
                "resourceType": "Consent",
                "status": "active",
                "scope": {"text": "x"},
                "category": [{"text": "x"}],
            },
            "ppc-1",
        ),
        (
            {
                "resourceType": "Group",
                "type": "person",
                "actual": False,
                "member": [{"entity": {"reference": "Patient/1"}}],
            },
            "grp-1",
        ),
        (
            {"resourceType": "Linkage", "item": [{"type": "source", "resource": {"reference": "Patient/1"}}]},
            "lnk-1",
        ),
        (
            {
                "resourceType": "List",
                "status": "current",
                "mode": "snapshot",
                "entry": [{"item": {"display": "x"}, "deleted": True}],
            },
            "lst-2",
        ),
        ({"resourceType": "Organization", "active": True}, "org-1"),
        (
            {
                "resourceType": "Organization",
                "name": "x",
                "telecom": [{"system": "phone", "value": "1", "use": "home"}],
            },
            "org-3",
        ),
        ({"resourceType": "Parameters", "parameter": [{"name": "x"}]}, "inv-1"),
        (
            {
                "resourceType": "Parameters",
                "parameter": [{"name": "x", "valueCode": "c", "part": [{"name": "y", "valueCode": "c"}]}],
            },
            "inv-1",
        ),
        (
            {
                "resourceType": "ServiceRequest",
                "status": "active",
                "intent": "order",
                "orderDetail": [{"text": "x"}],
                **SUBJECT,
            },
            "prr-1",
        ),
        (
            {
                "resourceType": "Task",
                "status": "draft",
                "intent": "order",
                "authoredOn": "2024-02",
                "lastModified": "2024-01",
            },
            "inv-1",
        ),
        (
            {
                "resourceType": "MedicationDispense",
                "status": "completed",
                "medicationCodeableConcept": {"text": "x"},
                "whenPrepared": "2024-02",
                "whenHandedOver": "2024-01",
            },
            "mdd-1",
        ),
        (
            {
                "resourceType": "FamilyMemberHistory",
                "status": "partial",
                "patient": {"reference": "Patient/1"},
                "relationship": {"text": "x"},
                "estimatedAge": True,
            },
            "fhs-2",
        ),
        (
            {
                "resourceType": "Appointment",
                "status": "booked",
                "participant": [{"status": "accepted", "actor": {"reference": "Patient/1"}}],
            },
            "app-3",
        ),
        (
            {"resourceType": "Appointment", "status": "proposed", "participant": [{"status": "accepted"}]},
            "app-1",
        ),
        (
            {"resourceType": "Questionnaire", "status": "draft", "item": [{"linkId": "1", "type": "group"}]},
            "que-1",
        ),
        (
            {
                "resourceType": "Questionnaire",
                "status": "draft",
                "item": [{"linkId": "1", "type": "string"}, {"linkId": "1", "type": "string"}],
            },
            "que-2",
        ),
        (
            {
                "resourceType": "Questionnaire",
                "status": "draft",
                "item": [{"linkId": "1", "type": "date", "maxLength": 3}],
            },
            "que-10",
        ),
        (
            {
                "resourceType": "RiskAssessment",
                "status": "final",
                "prediction": [{"probabilityDecimal": Decimal("100.1")}],
                **SUBJECT,
            },
            "ras-2",
        ),
    ],
)
def test_rules_of_resources(document: Document, key: str) -> None:
    issues = validate_resource(document)
    assert [issue.code for issue in issues] == ["invariant"]
    assert key in issues[0].text


def _entry(**members: object) -> Document:
    return {"fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", **members}


@pytest.mark.parametrize(
    ("bundle", "key"),
    [
        ({"type": "collection", "total": 1}, "bdl-1"),
        ({"type": "collection", "entry": [_entry(search={"mode": "match"}, resource=PATIENT)]}, "bdl-2"),
        ({"type": "transaction", "entry": [_entry(resource=PATIENT)]}, "bdl-3"),
        (
            {
                "type": "collection",
                "entry": [_entry(resource=PATIENT, request={"method": "GET", "url": "x"})],
            },
            "bdl-3",
        ),
        ({"type": "batch-response", "entry": [_entry(resource=PATIENT)]}, "bdl-4"),
        ({"type": "collection", "entry": [_entry()]}, "bdl-5"),
        ({"type": "collection", "entry": [_entry(resource=PATIENT), _entry(resource=PATIENT)]}, "bdl-7"),
        (
            {
                "type": "collection",
                "entry": [{"fullUrl": "http://x/Patient/1/_history/1", "resource": PATIENT}],
            },
            "bdl-8",
        ),
        ({"type": "document", "entry": [_entry(resource=PATIENT)]}, "bdl-9"),
        ({"type": "message", "entry": [_entry(resource=PATIENT)]}, "bdl-12"),
    ],
)
def test_rules_of_bundles(bundle: Document, key: str) -> None:
    issues = validate_resource({"resourceType": "Bundle", **bundle})
    assert key in " ".join(issue.text for issue in issues)


def test_a_fault_inside_a_bundle_is_located() -> None:
    wrong = change(PATIENT, "gender", "x")
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": OBSERVATION}, {"resource": wrong}],
    }
    assert found(bundle) == [("Bundle.entry[1].resource.gender", "code-invalid")]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "url",
                    "extension",
                    "valueString",
                    "coding",
                    "code",
                    "reference",
                    "div",
                    "start",
                    "given",
                    "_given",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(sorted(PATIENT)), json_values)
@settings(max_examples=200)
def test_any_value_anywhere_gives_findings_and_no_crash(name: str, value: object) -> None:
    for issue in validate_resource({**PATIENT, name: value}):
        assert issue.location.startswith(("Patient", "Resource"))


@given(st.sampled_from(["Observation", "Bundle", "Questionnaire", "Timing", "Extension"]), json_values)
@settings(max_examples=200)
def test_any_value_of_a_type_gives_findings_and_no_crash(name: str, value: object) -> None:
    check: Callable[[], list[object]] = lambda: list(validate_element(name, value))  # noqa: E731
    assert isinstance(check(), list)
