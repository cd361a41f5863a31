"""FHIRPath Patch on simple paths: each operation, each kind of step, each refusal."""

import pytest

from careledger.standards.fhir.patch import PatchError
from careledger.standards.fhir.patch_paths import PathError, evaluate, parse_path
from careledger.standards.fhir.path_patch import apply_path_patch, read_path_patch

Document = dict[str, object]


def operation(kind: str, path: str, value: Document | None = None, **rest: object) -> Document:
    parts: list[Document] = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    if value is not None:
        parts.append({"name": "value", **value})
    for name, item in rest.items():
        parts.append({"name": name, "valueString" if isinstance(item, str) else "valueInteger": item})
    return {"name": "operation", "part": parts}


def patch(resource: Document, *operations: Document) -> Document:
    return apply_path_patch(
        resource, read_path_patch({"resourceType": "Parameters", "parameter": list(operations)})
    )


def patient() -> Document:
    return {
        "resourceType": "Patient",
        "birthDate": "1990-01-01",
        "_birthDate": {"id": "b"},
        "deceasedBoolean": False,
        "identifier": [
            {"system": "http://a", "value": "1"},
            {"system": "http://b", "value": "2", "use": "old"},
        ],
        "name": [{"family": "Quill", "given": ["Ada", None, "Eve"], "_given": [{"id": "x"}, {"id": "y"}]}],
        "contact": [{"name": {"text": "Bo"}, "gender": "male"}],
        "telecom": [{"system": "phone", "value": "1", "rank": 1}, {"system": "phone", "value": "2"}],
    }


# Columns: operation; member of the patient that changes; its new value (`...`: it is gone).
@pytest.mark.parametrize(
    ("change", "member", "expected"),
    [
        (operation("add", "Patient", {"valueCode": "female"}, name="gender"), "gender", "female"),
        (operation("add", "Patient", {"valueInteger": 2}, name="multipleBirth"), "multipleBirthInteger", 2),
        (
            operation("add", "Patient", {"valueContactPoint": {"system": "sms", "value": "3"}}, name="telecom"),
            "telecom",
            [*patient()["telecom"], {"system": "sms", "value": "3"}],  # type: ignore[misc]
        ),
        (
            operation(
                "add",
                "Patient",
                {"part": [{"name": "relationship", "valueCodeableConcept": {"text": "aunt"}},
                          {"name": "relationship", "valueCodeableConcept": {"text": "friend"}},
                          {"name": "gender", "valueCode": "female"}]},
                name="contact",
            ),
            "contact",
            [
                {"name": {"text": "Bo"}, "gender": "male"},
                {"relationship": [{"text": "aunt"}, {"text": "friend"}], "gender": "female"},
            ],
        ),
        (
            operation("add", "Patient.contact[0]", {"valuePeriod": {"start": "2024"}}, name="period"),
            "contact",
            [{"name": {"text": "Bo"}, "gender": "male", "period": {"start": "2024"}}],
        ),
        (
            operation("add", "Patient.name[0]", {"valueString": "Ivy"}, name="given"),
            "name",
            [{"family": "Quill", "given": ["Ada", None, "Eve", "Ivy"], "_given": [{"id": "x"}, {"id": "y"}]}],
        ),
        (
            operation("insert", "Patient.identifier", {"valueIdentifier": {"value": "0"}}, index=0),
            "identifier",
            [{"value": "0"}, *patient()["identifier"]],  # type: ignore[misc]
        ),
        (
            operation("insert", "Patient.name[0].given", {"valueString": "Ivy"}, index=1),
            "name",
            [{"family": "Quill", "given": ["Ada", "Ivy", None, "Eve"], "_given": [{"id": "x"}, None, {"id": "y"}]}],
        ),
        (operation("delete", "Patient.birthDate"), "birthDate", ...),
        (operation("delete", "Patient.birthDate"), "_birthDate", ...),
        (operation("delete", "Patient.deceased"), "deceasedBoolean", ...),
        (operation("delete", "Patient.contact"), "contact", ...),
        (operation("delete", "Patient.maritalStatus"), "maritalStatus", ...),
        (
            operation("delete", "Patient.identifier.where(system = 'http://a')"),
            "identifier",
            [{"system": "http://b", "value": "2", "use": "old"}],
        ),
        (
            operation("delete", "Patient.identifier.where(system='http://b' and use = 'old').value"),
            "identifier",
            [{"system": "http://a", "value": "1"}, {"system": "http://b", "use": "old"}],
        ),
        (
            operation("delete", "Patient.name.given[0]"),
            "name",
            [{"family": "Quill", "given": [None, "Eve"], "_given": [{"id": "y"}]}],
        ),
        (
            operation("delete", "Patient.telecom.where(rank = 1)"),
            "telecom",
            [{"system": "phone", "value": "2"}],
        ),
        (operation("replace", "Patient.birthDate", {"valueDate": "1991"}), "birthDate", "1991"),
        (operation("replace", "Patient.birthDate", {"valueDate": "1991"}), "_birthDate", ...),
        (operation("replace", "Patient.deceased", {"valueDateTime": "2024"}), "deceasedDateTime", "2024"),
        (operation("replace", "Patient.deceased", {"valueDateTime": "2024"}), "deceasedBoolean", ...),
        (
            operation("replace", "Patient.deceased.ofType(boolean)", {"valueBoolean": True}),
            "deceasedBoolean",
            True,
        ),
        (
            operation("replace", "Patient.identifier.first().value", {"valueString": "9"}),
            "identifier",
            [{"system": "http://a", "value": "9"}, {"system": "http://b", "value": "2", "use": "old"}],
        ),
        (
            operation("replace", "Patient.telecom.last()", {"valueContactPoint": {"value": "9"}}),
            "telecom",
            [{"system": "phone", "value": "1", "rank": 1}, {"value": "9"}],
        ),
        (
            operation("move", "Patient.identifier", source=1, destination=0),
            "identifier",
            list(reversed(patient()["identifier"])),  # type: ignore[call-overload]
        ),
        (
            operation("move", "Patient.name[0].given", source=0, destination=2),
            "name",
            [{"family": "Quill", "given": [None, "Eve", "Ada"], "_given": [{"id": "y"}, None, {"id": "x"}]}],
        ),
    ],
)  # fmt: skip
def test_operations(change: Document, member: str, expected: object) -> None:
    before = patient()
    result = patch(before, change)
    assert before == patient()
    if expected is ...:
        assert member not in result
    else:
        assert result[member] == expected
    untouched = {"deceasedBoolean", "deceasedDateTime", "birthDate", "_birthDate", member}
    assert {key: result[key] for key in result if key not in untouched} == {
        key: item for key, item in patient().items() if key not in untouched
    }


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (operation("add", "Patient", {"valueString": "x"}, name="gender"), "value"),
        (operation("add", "Patient", {"valueString": "x"}, name="nickname"), "value"),
        (operation("add", "Patient", {"valueDate": "1991"}, name="birthDate"), "value"),
        (operation("add", "Patient", {"valueDateTime": "1991"}, name="deceased"), "value"),
        (
            operation("add", "Patient.contact", {"part": [{"name": "alien", "valueCode": "x"}]}, name="name"),
            "value",
        ),
        (operation("add", "Patient.identifier", {"valueString": "x"}, name="value"), "value"),
        (operation("add", "Patient.birthDate", {"valueString": "x"}, name="id"), "value"),
        (operation("add", "Observation", {"valueString": "x"}, name="status"), "value"),
        (operation("add", "Patient", {"valueCode": "x"}), "required"),
        (operation("add", "Patient", name="gender"), "required"),
        (operation("insert", "Patient.identifier", {"valueIdentifier": {}}, index=3), "value"),
        (operation("insert", "Patient.identifier", {"valueIdentifier": {}}), "required"),
        (operation("insert", "Patient.identifier", {"valueIdentifier": {}}, index=-1), "required"),
        (operation("insert", "Patient.identifier", {"valueString": "x"}, index=0), "value"),
        (operation("insert", "Patient.gender", {"valueCode": "x"}, index=0), "value"),
        (operation("insert", "Patient.identifier[0]", {"valueIdentifier": {}}, index=0), "value"),
        (operation("insert", "Patient", {"valueIdentifier": {}}, index=0), "value"),
        (operation("delete", "Patient.identifier"), "value"),
        (operation("delete", "Patient"), "value"),
        (operation("delete", "Patient.nickname"), "value"),
        (operation("replace", "Patient", {"valueCode": "x"}), "value"),
        (operation("replace", "Patient.gender", {"valueCode": "x"}), "value"),
        (operation("replace", "Patient.birthDate", {"valueCode": "x"}), "value"),
        (operation("replace", "Patient.identifier.value", {"valueString": "x"}), "value"),
        (operation("move", "Patient.identifier", source=0), "required"),
        (operation("move", "Patient.identifier", source=0, destination=2), "value"),
        (operation("delete", "Patient.identifier.where(system ~ 'x')"), "not-supported"),
        (operation("delete", "Patient.identifier.where(system = 'x' or value = 'y')"), "not-supported"),
        (operation("delete", "Patient.identifier.where()"), "not-supported"),
        (operation("delete", "Patient.identifier.where(alien = 'x')"), "value"),
        (operation("delete", "Patient.name.given.exists()"), "not-supported"),
        (operation("delete", "Patient.name | Patient.contact"), "not-supported"),
        (operation("delete", "name"), "not-supported"),
        (operation("delete", ""), "not-supported"),
        (operation("delete", "Patient" + ".name" * 300), "not-supported"),
        (operation("spam", "Patient.name"), "value"),
        ({"name": "other"}, "value"),
        ({"name": "operation"}, "value"),
    ],
)
def test_what_cannot_be_done_is_refused(change: Document, code: str) -> None:
    before = patient()
    with pytest.raises(PatchError) as caught:
        patch(before, operation("delete", "Patient.maritalStatus"), change)
    (issue,) = caught.value.issues
    assert (issue.code, issue.location) == (code, "Parameters.parameter[1]")
    assert before == patient()


def test_what_is_no_patch_is_refused() -> None:
    with pytest.raises(PatchError):
        read_path_patch({"resourceType": "Patient"})
    with pytest.raises(PatchError):
        read_path_patch(
            {"resourceType": "Parameters", "parameter": [operation("delete", "Patient.name")] * 1_001}
        )
    assert read_path_patch({"resourceType": "Parameters"}) == ()


def test_paths_cross_resources_and_recursive_elements() -> None:
    bundle: Document = {
        "resourceType": "Bundle",
        "entry": [{"resource": {"resourceType": "Patient", "gender": "male"}}],
    }
    (node,) = evaluate(bundle, parse_path("Bundle.entry[0].resource.gender"))
    assert (node.value, node.type_name) == ("male", "code")
    questionnaire: Document = {
        "resourceType": "Questionnaire",
        "item": [{"linkId": "1", "item": [{"linkId": "1.1", "required": True}]}],
    }
    found = evaluate(questionnaire, parse_path("Questionnaire.item.item.where(required = true).linkId"))
    assert [node.value for node in found] == ["1.1"]
    assert evaluate(questionnaire, parse_path("Questionnaire.item.where(linkId = 'it\\'s')")) == []


@pytest.mark.parametrize(
    "text",
    [
        "Patient.name[",
        "Patient.name[-1]",
        "Patient..name",
        "Patient.Name",
        "Patient.name.last",
        "x",
        "Alien.x",
        "Patient.deceased.ofType(string)",
    ],
)
def test_malformed_paths(text: str) -> None:
    with pytest.raises(PathError):
        evaluate({"resourceType": "Patient"}, parse_path(text))
