"""Extraction: what each FHIR type contributes, and that nothing malformed stops it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.standards.fhir.instants import EARLIEST_MS, LATEST_MS, parse_range
from careledger.standards.fhir.search.amounts import HIGHEST, LOWEST, encode_amount
from careledger.standards.fhir.search.compartment import find_patients
from careledger.standards.fhir.search.definitions import Kind
from careledger.standards.fhir.search.elements import resource_types
from careledger.standards.fhir.search.extract import Extractor
from careledger.standards.fhir.search.parameters import parameters
from careledger.standards.fhir.search.rows import Rows

EXTRACTOR = Extractor("https://own/fhir/")


def amount(text: str) -> bytes:
    return encode_amount(Decimal(text))


def rows_of(resource_type: str, code: str, members: dict[str, object]) -> dict[str, list[tuple[object, ...]]]:
    """Rows of one parameter, without their slot, by kind of row."""
    rows = EXTRACTOR.extract(resource_type, {"resourceType": resource_type, "id": "x", **members})
    parameter = parameters(resource_type)[code]
    slots = {parameter.slot, *parameter.sources}
    found = {
        name: [row[1:] for row in getattr(rows, name) if row[0] in slots]
        for name in rows.__slots__
        if name not in {"present", "resource", "parts"}
    }
    is_present = bool(rows.present & parameter.present_mask)
    found = {name: values for name, values in found.items() if values}
    assert is_present or not found
    return found


CODING = {"system": "s", "code": "c", "display": "The  Code"}


@pytest.mark.parametrize(
    ("resource_type", "code", "members", "rows"),
    [
        # token
        (
            "Observation",
            "code",
            {"code": {"coding": [CODING], "text": "the code"}},
            {"tokens": [("s", "c", "the code")]},
        ),
        (
            "Observation",
            "code",
            {"code": {"coding": [CODING], "text": "Other"}},
            {"tokens": [("s", "c", "the code"), ("", "", "other")]},
        ),
        ("Observation", "code", {"code": {"text": "Only"}}, {"tokens": [("", "", "only")]}),
        ("Observation", "code", {"code": {"coding": [{"userSelected": True}]}}, {}),
        (
            "Observation",
            "status",
            {"status": "final"},
            {"tokens": [("http://hl7.org/fhir/observation-status", "final", "")]},
        ),
        ("Encounter", "class", {"class": CODING}, {"tokens": [("s", "c", "the code")]}),
        ("Patient", "active", {"active": False}, {"tokens": [("", "false", "")]}),
        (
            "Patient",
            "email",
            {"telecom": [{"system": "email", "value": "a@b"}, {"system": "phone", "value": "1"}]},
            {"tokens": [("", "a@b", "")]},
        ),
        (
            "Patient",
            "telecom",
            {"telecom": [{"system": "email", "value": "a@b"}, {"value": "1"}]},
            {"tokens": [("", "a@b", ""), ("", "1", "")]},
        ),
        (
            "Patient",
            "identifier",
            {
                "identifier": [
                    {
                        "system": "s",
                        "value": "1",
                        "type": {"coding": [{"system": "t", "code": "MR"}], "text": "Record"},
                    }
                ]
            },
            {"tokens": [("s", "1", "record")], "typed_identifiers": [("t", "MR", "1")]},
        ),
        ("Patient", "deceased", {}, {"tokens": [("", "false", "")]}),
        ("Patient", "deceased", {"deceasedBoolean": False}, {"tokens": [("", "false", "")]}),
        ("Patient", "deceased", {"deceasedBoolean": True}, {"tokens": [("", "true", "")]}),
        ("Patient", "deceased", {"deceasedDateTime": "2020"}, {"tokens": [("", "true", "")]}),
        ("ImagingStudy", "series", {"series": [{"uid": "d"}]}, {"tokens": [("", "d", "")]}),
        (
            "Patient",
            "race",
            {
                "extension": [
                    {
                        "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
                        "extension": [{"url": "ombCategory", "valueCoding": {"code": "2106-3"}}],
                    },
                    {"url": "other", "extension": [{"valueCoding": {"code": "no"}}]},
                ]
            },
            {"tokens": [("", "2106-3", "")]},
        ),
        # string
        (
            "Patient",
            "name",
            {"name": [{"use": "official", "family": "Änne", "given": ["Bo", "Cy"], "text": "T"}]},
            {"strings": [("anne", "Änne"), ("bo", "Bo"), ("cy", "Cy"), ("t", "T")]},
        ),
        ("Patient", "phonetic", {"name": [{"family": "Robert"}]}, {"strings": [("R163", "")]}),
        (
            "Patient",
            "address",
            {"address": [{"use": "home", "type": "postal", "line": ["L"], "city": "C", "postalCode": "1"}]},
            {"strings": [("l", "L"), ("c", "C"), ("1", "1")]},
        ),
        ("Observation", "value-string", {"valueString": "A  b"}, {"strings": [("a b", "A  b")]}),
        # reference
        (
            "Observation",
            "subject",
            {"subject": {"reference": "Patient/1/_history/2"}},
            {"references": [("Patient", "1")]},
        ),
        (
            "Observation",
            "subject",
            {"subject": {"reference": "https://own/fhir/Group/g"}},
            {"references": [("Group", "g")]},
        ),
        (
            "Observation",
            "subject",
            {"subject": {"reference": "https://other/Patient/1/_history/2"}},
            {"uris": [("https://other/Patient/1",)]},
        ),
        ("Observation", "subject", {"subject": {"reference": "urn:uuid:1"}}, {"uris": [("urn:uuid:1",)]}),
        ("Observation", "subject", {"subject": {"reference": "#p"}}, {}),
        (
            "Observation",
            "subject",
            {"subject": {"identifier": {"system": "s", "value": "1"}}},
            {"logical": [("s", "1")]},
        ),
        ("Observation", "subject", {"subject": {"display": "d"}}, {}),
        (
            "Observation",
            "patient",
            {"subject": {"reference": "Patient/1"}},
            {"references": [("Patient", "1")]},
        ),
        (
            "QuestionnaireResponse",
            "questionnaire",
            {"questionnaire": "http://q|1"},
            {"uris": [("http://q|1",), ("http://q",)]},
        ),
        (
            "Bundle",
            "composition",
            {
                "entry": [
                    {"resource": {"resourceType": "Composition", "id": "c"}},
                    {"resource": {"resourceType": "Patient", "id": "p"}},
                ]
            },
            {"references": [("Composition", "c")]},
        ),
        # date
        ("Observation", "date", {"effectiveDateTime": "2020-02"}, {"dates": [parse_range("2020-02")]}),
        (
            "Observation",
            "date",
            {"effectivePeriod": {"start": "2020"}},
            {"dates": [(parse_range("2020")[0], LATEST_MS)]},
        ),
        (
            "Observation",
            "date",
            {"effectivePeriod": {"end": "2020"}},
            {"dates": [(EARLIEST_MS, parse_range("2020")[1])]},
        ),
        (
            "Observation",
            "date",
            {
                "effectiveTiming": {
                    "event": ["2021", "2019"],
                    "repeat": {"boundsPeriod": {"start": "2020", "end": "2022"}},
                }
            },
            {"dates": [(parse_range("2019")[0], parse_range("2022")[1])]},
        ),
        ("Observation", "date", {"effectiveDateTime": "yesterday"}, {}),
        ("Condition", "onset-date", {"onsetString": "2020"}, {}),
        (
            "Condition",
            "asserted-date",
            {
                "extension": [
                    {
                        "url": "http://hl7.org/fhir/StructureDefinition/condition-assertedDate",
                        "valueDateTime": "2020",
                    }
                ]
            },
            {"dates": [parse_range("2020")]},
        ),
        # number and quantity
        (
            "RiskAssessment",
            "probability",
            {"prediction": [{"probabilityDecimal": Decimal("0.50")}]},
            {"amounts": [(amount("0.5"), amount("0.5"), "", "", "")]},
        ),
        (
            "RiskAssessment",
            "probability",
            {"prediction": [{"probabilityRange": {"high": {"value": 1}}}]},
            {"amounts": [(LOWEST, amount("1"), "", "", "")]},
        ),
        (
            "Observation",
            "value-quantity",
            {"valueQuantity": {"value": 5, "unit": "u", "system": "s", "code": "c"}},
            {"amounts": [(amount("5"), amount("5"), "s", "c", "u")]},
        ),
        (
            "Observation",
            "value-quantity",
            {"valueQuantity": {"value": 5, "comparator": "<="}},
            {"amounts": [(LOWEST, amount("5"), "", "", "")]},
        ),
        (
            "Observation",
            "value-quantity",
            {"valueQuantity": {"value": 5, "comparator": ">"}},
            {"amounts": [(amount("5"), HIGHEST, "", "", "")]},
        ),
        (
            "Observation",
            "value-quantity",
            {
                "valueSampledData": {
                    "origin": {"value": 1, "code": "c"},
                    "factor": Decimal("0.5"),
                    "data": "2 E -4 8 L",
                }
            },
            {"amounts": [(amount("-1"), amount("5"), "", "c", "")]},
        ),
        (
            "Invoice",
            "totalnet",
            {"totalNet": {"value": Decimal("1.50"), "currency": "EUR"}},
            {"amounts": [(amount("1.5"), amount("1.5"), "urn:iso:std:iso:4217", "EUR", "")]},
        ),
        (
            "Condition",
            "onset-age",
            {"onsetAge": {"value": 4, "code": "a"}},
            {"amounts": [(amount("4"), amount("4"), "", "a", "")]},
        ),
        # uri, special
        ("ValueSet", "url", {"url": "http://x"}, {"uris": [("http://x",)]}),
        (
            "ValueSet",
            "_profile",
            {"meta": {"profile": ["http://x|1"]}},
            {"uris": [("http://x|1",), ("http://x",)]},
        ),
        (
            "Location",
            "near",
            {"position": {"latitude": Decimal("50.1"), "longitude": -7}},
            {"positions": [(501_000_000, -70_000_000)]},
        ),
        ("Location", "near", {"position": {"latitude": 91, "longitude": 0}}, {}),
    ],
)
def test_what_values_contribute(
    resource_type: str, code: str, members: dict[str, object], rows: dict[str, list[tuple[object, ...]]]
) -> None:
    assert rows_of(resource_type, code, members) == rows


def test_a_restricted_view_counts_its_own_type_only() -> None:
    patient = parameters("Observation")["patient"].present_mask
    for reference, present in (
        ({"reference": "Patient/1"}, True),
        ({"reference": "https://other/Patient/1"}, True),
        ({"type": "Patient", "identifier": {"value": "1"}}, True),
        ({"reference": "Group/1"}, False),
        ({"identifier": {"value": "1"}}, False),
        ({"type": "Patient", "display": "d"}, False),
    ):
        rows = EXTRACTOR.extract("Observation", {"subject": reference})
        assert bool(rows.present & patient) is present, reference


def test_components_stay_together_per_element() -> None:
    value: dict[str, object] = {
        "component": [
            {"code": {"coding": [{"code": "a"}]}, "valueQuantity": {"value": 1}},
            {"code": {"coding": [{"code": "b"}]}, "valueQuantity": {"value": 2}},
            {"code": {"coding": [{"code": "c"}]}},
        ]
    }
    rows = EXTRACTOR.extract("Observation", value)
    slot = parameters("Observation")["component-code-value-quantity"].slot
    found: dict[int, dict[int, Rows]] = {}
    for row_slot, element, component, part in rows.parts:
        assert row_slot == slot
        found.setdefault(element, {})[component] = part
    assert [(parts[0].tokens[0][2], parts[1].amounts[0][1]) for parts in found.values()] == [
        ("a", amount("1")),
        ("b", amount("2")),
    ]


def test_components_may_look_back_at_the_resource() -> None:
    value: dict[str, object] = {
        "referenceSeq": {"chromosome": {"coding": [{"code": "X"}]}},
        "variant": [{"start": 1, "end": 2}],
    }
    rows = EXTRACTOR.extract("MolecularSequence", value)
    slot = parameters("MolecularSequence")["chromosome-variant-coordinate"].slot
    parts = [part for row_slot, _, _, part in rows.parts if row_slot == slot]
    assert parts[0].tokens[0][2] == "X"
    assert [part.amounts[0][1] for part in parts[1:]] == [amount("1"), amount("2")]


def test_built_in_parameters_have_no_rows() -> None:
    rows = EXTRACTOR.extract("ValueSet", {"id": "x", "meta": {"lastUpdated": "2020-01-01T00:00:00Z"}})
    assert rows.present == 0
    assert not rows.tokens
    assert not rows.dates


@pytest.mark.parametrize(
    ("resource_type", "value", "patients"),
    [
        ("Patient", {"link": [{"other": {"reference": "Patient/b"}}]}, ("b", "x")),
        (
            "Observation",
            {
                "subject": {"reference": "Patient/a"},
                "performer": [{"reference": "Patient/b"}, {"reference": "Practitioner/c"}],
            },
            ("a", "b"),
        ),
        ("Observation", {"focus": [{"reference": "Patient/a"}]}, ()),
        ("Observation", {"subject": {"reference": "https://other/Patient/a"}}, ()),
        ("Device", {"patient": {"reference": "Patient/a"}}, ()),
        (
            "AllergyIntolerance",
            {"patient": {"reference": "Patient/a"}, "asserter": {"reference": "Patient/a"}},
            ("a",),
        ),
        (
            "Appointment",
            {"participant": [{"actor": {"reference": "Patient/a"}}, {"actor": {"reference": "Location/l"}}]},
            ("a",),
        ),
        ("Organization", {}, ()),
    ],
)
def test_compartments(resource_type: str, value: dict[str, object], patients: tuple[str, ...]) -> None:
    assert find_patients(resource_type, "x", EXTRACTOR.extract(resource_type, value)) == patients


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.decimals(allow_nan=False),
        st.text(max_size=4),
        st.sampled_from(["Patient/1", "2020-01-01", "http://x|1"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(
                [
                    "code",
                    "coding",
                    "system",
                    "value",
                    "text",
                    "reference",
                    "identifier",
                    "start",
                    "low",
                    "event",
                    "repeat",
                    "origin",
                    "data",
                    "factor",
                    "latitude",
                    "longitude",
                    "comparator",
                    "type",
                    "family",
                    "extension",
                    "url",
                ]
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)


@given(st.data())
def test_nothing_malformed_stops_extraction(data: st.DataObject) -> None:
    resource_type = data.draw(st.sampled_from(["Observation", "Patient", *resource_types()]))
    known = parameters(resource_type).values()
    keys = {
        name
        for parameter in known
        for place in parameter.places
        for operation in place.operations[:1]
        if (name := getattr(operation, "name", ""))
    }
    value = data.draw(st.dictionaries(st.sampled_from(sorted(keys)), json_values, max_size=6))
    rows = EXTRACTOR.extract(resource_type, value)
    slots = {parameter.slot: parameter for parameter in known}
    assert all(isinstance(text, str) for row in rows.tokens for text in row[1:])
    assert all(slots[row[0]].kind is Kind.TOKEN for row in rows.tokens)
    assert (
        all(first <= last for _, first, last in rows.dates if first > EARLIEST_MS and last < LATEST_MS)
        or rows.dates
    )
    assert rows.present < 1 << len(slots)


def test_every_type_extracts_from_an_empty_resource() -> None:
    for resource_type in resource_types():
        rows = EXTRACTOR.extract(resource_type, {})
        assert not rows.references
    with pytest.raises(KeyError):
        EXTRACTOR.extract("Nothing", {})
