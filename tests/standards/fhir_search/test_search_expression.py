"""The FHIRPath of search parameters: what is understood, what is refused, and where paths lead."""

from __future__ import annotations

import pytest

from careledger.standards.fhir.search.elements import (
    Key,
    code_systems,
    patient_compartment,
    resolve,
    resource_types,
)
from careledger.standards.fhir.search.expression import (
    Cast,
    Equals,
    ExpressionError,
    Field,
    IsTrue,
    Item,
    Path,
    ResolvesTo,
    parse_expression,
)

SUBJECT = Field("subject")


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("Patient.name", (Path("Patient", (Field("name"),)),)),
        (" A.b |  C.d.e ", (Path("A", (Field("b"),)), Path("C", (Field("d"), Field("e"))))),
        ("(Observation.value as Quantity)", (Path("Observation", (Field("value"), Cast("Quantity"))),)),
        ("Observation.value.as(string)", (Path("Observation", (Field("value"), Cast("string"))),)),
        ("Observation.value.ofType(string)", (Path("Observation", (Field("value"), Cast("string"))),)),
        ("(A.value as B).text", (Path("A", (Field("value"), Cast("B"), Field("text"))),)),
        ("A.subject.where(resolve() is Patient)", (Path("A", (SUBJECT, ResolvesTo("Patient"))),)),
        ("A.telecom.where(system='email')", (Path("A", (Field("telecom"), Equals("system", "email"))),)),
        (
            "A.extension.where(url = 'http://x/y').value",
            (Path("A", (Field("extension"), Equals("url", "http://x/y"), Field("value"))),),
        ),
        ("A.extension('u').value", (Path("A", (Field("extension"), Equals("url", "u"), Field("value"))),)),
        ("Bundle.entry[0].resource", (Path("Bundle", (Field("entry"), Item(0), Field("resource"))),)),
        (
            "Patient.deceased.exists() and Patient.deceased != false",
            (Path("Patient", (Field("deceased"), IsTrue())),),
        ),
        (
            "%resource.referenceSeq.chromosome",
            (Path("%resource", (Field("referenceSeq"), Field("chromosome"))),),
        ),
        (
            "value.as(Quantity) | value.as(Range)",
            (Path("", (Field("value"), Cast("Quantity"))), Path("", (Field("value"), Cast("Range")))),
        ),
        ("Observation", (Path("Observation", ()),)),
    ],
)
def test_expressions_are_read(text: str, paths: tuple[Path, ...]) -> None:
    assert parse_expression(text) == paths


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Patient.",
        "Patient..name",
        "Patient.name |",
        "Patient.name.first()",
        "Patient.name.where(use)",
        "Patient.name.where(use = official)",
        "Patient.name.where(resolve() is)",
        "Patient.name[x]",
        "Patient.name[0",
        "(Patient.name",
        "Patient.name)",
        "Patient.a.exists()",
        "Patient.a.exists() and Patient.b != false",
        "Patient.a.exists() and Patient.a = false",
        "Patient.a + Patient.b",
        "Patient.name 'x'",
        "Patient.where(url='a\\'b')",
        "'x'",
        "A" * 9_000,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse_expression(text)


@pytest.mark.parametrize(
    ("resource_type", "text", "found"),
    [
        ("Observation", "Observation.value.as(Quantity)", [("valueQuantity", "Quantity")]),
        ("Observation", "(Observation.value as DateTime)", [("valueDateTime", "dateTime")]),
        (
            "Procedure",
            "Procedure.performed",
            [
                ("performedDateTime", "dateTime"),
                ("performedPeriod", "Period"),
                ("performedString", "string"),
                ("performedAge", "Age"),
                ("performedRange", "Range"),
            ],
        ),
        ("Condition", "Condition.extension.where(url='u').valueDateTime", [("valueDateTime", "dateTime")]),
        ("Patient", "Resource.meta.tag", [("tag", "Coding")]),
        ("Patient", "Person.name | Patient.name", [("name", "HumanName")]),
        ("Questionnaire", "Questionnaire.item.item.linkId", [("linkId", "string")]),
    ],
)
def test_paths_lead_to_places(resource_type: str, text: str, found: list[tuple[str, str]]) -> None:
    places = [place for path in parse_expression(text) for place in resolve(resource_type, path)]
    ends = [(place.operations[-1], place.type_name) for place in places]
    assert sorted(ends, key=repr) == sorted(((Key(name), type_name) for name, type_name in found), key=repr)


@pytest.mark.parametrize(
    "text", ["Patient.nothing", "Patient.name.value", "Observation.value.as(Money)", "Patient.birthDate.year"]
)
def test_elements_that_do_not_exist_are_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        resolve(text.partition(".")[0], parse_expression(text)[0])


def test_facts_of_the_element_table() -> None:
    # FHIR R4 has 148 resource types, of which DomainResource and Resource are abstract.
    assert len(resource_types()) == 146
    assert list(resource_types()) == sorted(resource_types())
    assert patient_compartment()["Observation"] == ("subject", "performer")
    assert "Device" not in patient_compartment()
    assert code_systems("administrative-gender")["female"] == "http://hl7.org/fhir/administrative-gender"
    assert code_systems("no-such-set") == {}
