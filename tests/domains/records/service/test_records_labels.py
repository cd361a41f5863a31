import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.domains.records.service.compartments import COMPARTMENTS, Compartment, compartment_named
from careledger.domains.records.service.labels import _CODES, choose_compartment, has_no_sensitive_code
from careledger.standards.fhir.json_reader import read_resource

SNOMED = "http://snomed.info/sct"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"

ROWS = [
    (f'"code": {{"coding": [{{"system": "{SNOMED}", "code": "44054006"}}]}}', Compartment.NORMAL),
    (f'"code": {{"coding": [{{"system": "{SNOMED}", "code": "66214007"}}]}}', Compartment.SUBSTANCE_USE),
    ('"code": {"coding": [{"system": "other", "code": "66214007"}]}', Compartment.NORMAL),
    (
        f'"code": {{"coding": [{{"system": "{SNOMED}", "code": "\\u00366214007"}}]}}',
        Compartment.SUBSTANCE_USE,
    ),
    (f'"code": {{"coding": [{{"system": "{ICD}", "code": "F10.20"}}]}}', Compartment.SUBSTANCE_USE),
    (f'"code": {{"coding": [{{"system": "{ICD}", "code": "F32.1"}}]}}', Compartment.MENTAL_HEALTH),
    (f'"code": {{"coding": [{{"system": "{ICD}", "code": "B20"}}]}}', Compartment.HIV),
    (f'"code": {{"coding": [{{"system": "{ICD}", "code": "I10"}}]}}', Compartment.NORMAL),
    (f'"reasonCode": [{{"coding": [{{"system": "{SNOMED}", "code": "706893006"}}]}}]', Compartment.VIOLENCE),
    (f'"meta": {{"security": [{{"system": "{ACT}", "code": "GDIS"}}]}}', Compartment.GENETICS),
    (
        f'"diagnosis": [{{"item": {{"coding": [{{"system": "{SNOMED}", "code": "86406008"}}]}}}}]',
        Compartment.HIV,
    ),
]


@pytest.mark.parametrize(("member", "compartment"), ROWS)
def test_each_rule_decides_with_and_without_the_bytes(member: str, compartment: Compartment) -> None:
    raw = (f'{{"resourceType": "Condition", {member}}}').encode()
    value = read_resource(raw)
    assert choose_compartment("Condition", value) is compartment
    assert choose_compartment("Condition", value, raw) is compartment


def test_demographics_are_normal() -> None:
    raw = (
        f'{{"resourceType": "Patient", "code": {{"coding": [{{"system": "{SNOMED}", "code": "66214007"}}]}}}}'
    ).encode()
    assert choose_compartment("Patient", read_resource(raw), raw) is Compartment.NORMAL


@given(st.sampled_from(sorted(_CODES)), st.sampled_from(["", " ", "\n\t"]))
def test_the_glance_never_passes_over_a_code(pair: tuple[str, str], space: str) -> None:
    system, code = pair
    raw = f'{{"coding":{space}[{{"system":{space}"{system}",{space}"code":{space}"{code}"}}]}}'.encode()
    assert not has_no_sensitive_code(raw)


def test_names_are_the_names_in_derivations() -> None:
    assert [compartment_named(one.label) for one in COMPARTMENTS] == list(COMPARTMENTS)
    with pytest.raises(KeyError):
        compartment_named("other")
