"""OperationOutcome from issues, and the tables behind it all."""

import pytest

from careledger.standards.fhir.issues import FhirError, Issue, printable_name
from careledger.standards.fhir.outcome import build_outcome, outcome_of
from careledger.standards.fhir.structure import (
    is_resource_type,
    member_types,
    patient_compartment,
    resource_types,
    type_facts,
    value_set,
)
from careledger.standards.fhir.validate import validate_resource


def test_issues_become_an_outcome() -> None:
    issues = [
        Issue("required", "Patient.name[0].family", "is required"),
        Issue("structure", "/entry/3", "a member name occurs twice in one object", "fatal"),
        Issue("too-long", "", "too long", "warning"),
    ]
    outcome = build_outcome(issues)
    assert outcome == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "required",
                "diagnostics": "is required",
                "expression": ["Patient.name[0].family"],
            },
            {
                "severity": "fatal",
                "code": "structure",
                "diagnostics": "a member name occurs twice in one object (at /entry/3)",
            },
            {"severity": "warning", "code": "too-long", "diagnostics": "too long"},
        ],
    }
    assert validate_resource(outcome) == []
    assert outcome_of(FhirError(*issues)) == outcome
    assert validate_resource(build_outcome([])) == []


def test_every_issue_code_is_one_of_fhir() -> None:
    known = set().union(*value_set("issue-type").values())
    used = set(Issue.__annotations__["code"].__args__)
    assert used <= known
    assert len(known - used) == 0


def test_names_are_printed_only_when_they_could_be_elements() -> None:
    assert [printable_name(name) for name in ("valueQuantity", "_birthDate", "Ann Smith", "x" * 65, "")] == [
        "valueQuantity",
        "_birthDate",
        "?",
        "?",
        "?",
    ]


def test_the_tables_hold_the_146_resources_of_4_0_1() -> None:
    assert len(resource_types()) == 146
    assert resource_types() == {code for codes in value_set("resource-types").values() for code in codes} - {
        "Resource",
        "DomainResource",
    }
    assert not is_resource_type("SubscriptionStatus")
    assert not is_resource_type("Element")
    assert not is_resource_type(None)


@pytest.mark.parametrize(
    ("type_name", "member", "expected"),
    [
        ("Patient", "birthDate", "date"),
        ("Patient", "deceasedDateTime", "dateTime"),
        ("Patient", "contact", "Patient.contact"),
        ("Patient", "id", "id"),
        ("Patient", "meta", "Meta"),
        ("Bundle.entry", "link", "Bundle.link"),
        ("Questionnaire.item", "item", "Questionnaire.item"),
        ("Age", "value", "decimal"),
        ("EvidenceVariable.characteristic", "usageContext", "UsageContext"),
    ],
)
def test_members_have_the_types_of_4_0_1(type_name: str, member: str, expected: str) -> None:
    assert member_types(type_name)[member][1] == expected


@pytest.mark.parametrize(
    ("type_name", "member"),
    [
        ("Meta", "account"),
        ("Binary", "url"),
        ("ResearchStudy", "whyStopped"),
        ("Timing.repeat", "modifierExtension"),
    ],
)
def test_elements_of_other_versions_are_absent(type_name: str, member: str) -> None:
    assert member not in member_types(type_name)


def test_facts_of_elements() -> None:
    elements = {element.name: element for element in type_facts("Observation").elements}
    assert elements["status"].is_required
    assert elements["status"].is_summary
    assert elements["status"].is_modifier
    assert elements["subject"].targets == {"Patient", "Group", "Device", "Location"}
    assert elements["value"].is_choice
    assert elements["category"].is_list
    assert not elements["focus"].targets


def test_the_patient_compartment_is_that_of_4_0_1() -> None:
    compartment = patient_compartment()
    assert len(compartment) == 66
    assert compartment["Observation"] == ("subject", "performer")
    assert compartment["Encounter"] == ("patient",)
    assert "Task" not in compartment
    assert "Practitioner" not in compartment


def test_every_resource_type_can_be_checked() -> None:
    for name in sorted(resource_types()):
        codes = {issue.code for issue in validate_resource({"resourceType": name, "alien": 1})}
        assert "structure" in codes
        assert codes <= {"structure", "required", "invariant"}
