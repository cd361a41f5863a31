"""All search parameters of R4 are usable, and each value is stored once."""

from __future__ import annotations

import pytest

from careledger.standards.fhir.search.compartment import compartment_slots
from careledger.standards.fhir.search.definitions import SLOTS_MAX, Kind, Parameter
from careledger.standards.fhir.search.elements import Place, patient_compartment, resource_types
from careledger.standards.fhir.search.parameters import parameters, uncompiled

EVERY = [(name, parameter) for name in resource_types() for parameter in parameters(name).values()]


def test_every_definition_is_usable_but_four() -> None:
    # DeviceDefinition has no `classification` in R4; the others are defined without an expression.
    assert [(name, code) for name, code, _ in uncompiled()] == [
        ("DeviceDefinition", "classification"),
        ("Resource", "_content"),
        ("Resource", "_query"),
        ("Resource", "_text"),
    ]


def test_nothing_is_found_for_a_type_that_does_not_exist() -> None:
    for name in ("Nothing", "Resource", "DomainResource", ""):
        with pytest.raises(KeyError):
            parameters(name)


def test_slots_are_distinct_and_fit_the_mask() -> None:
    for name in resource_types():
        slots = [parameter.slot for parameter in parameters(name).values()]
        assert slots == list(range(len(slots)))
        assert len(slots) <= SLOTS_MAX
        assert {"_id", "_lastUpdated", "_profile", "_security", "_source", "_tag"} <= set(parameters(name))


def test_every_parameter_reads_rows_that_somebody_has() -> None:
    for name, parameter in EVERY:
        by_slot = {other.slot: other for other in parameters(name).values()}
        assert parameter.sources or parameter.conjunctions or parameter.is_built_in
        for source in parameter.sources:
            assert by_slot[source].sources == (source,), (name, parameter.code)
            assert by_slot[source].kind is parameter.kind


def views(resource_type: str) -> dict[str, tuple[list[str], str]]:
    known = parameters(resource_type)
    codes = {parameter.slot: code for code, parameter in known.items()}
    return {
        code: ([codes[source] for source in parameter.sources], parameter.restriction)
        for code, parameter in known.items()
        if parameter.sources and parameter.slot not in parameter.sources
    }


def test_views_of_observation() -> None:
    assert views("Observation") == {
        "combo-code": (["code", "component-code"], ""),
        "combo-code-value-concept": (["component-code-value-concept"], ""),
        "combo-code-value-quantity": (["component-code-value-quantity"], ""),
        "combo-data-absent-reason": (["component-data-absent-reason", "data-absent-reason"], ""),
        "combo-value-concept": (["component-value-concept", "value-concept"], ""),
        "combo-value-quantity": (["component-value-quantity", "value-quantity"], ""),
        "patient": (["subject"], "Patient"),
    }
    assert parameters("Observation")["code-value-quantity"].conjunctions == (("code", "value-quantity"),)
    assert parameters("Observation")["combo-code-value-quantity"].conjunctions == (
        ("code", "value-quantity"),
    )


def test_sound_is_not_spelling() -> None:
    for name in ("Patient", "Organization", "Practitioner"):
        phonetic = parameters(name)["phonetic"]
        assert phonetic.kind is Kind.PHONETIC
        assert phonetic.sources == (phonetic.slot,)


def absolute(parameter: Parameter, number: int) -> set[Place]:
    found = set()
    for context in parameter.contexts:
        part = context.parts[number]
        start = () if part.is_from_resource else context.place.operations
        found |= {Place((*start, *place.operations), place.type_name, place.values) for place in part.places}
    return found


def test_a_component_has_only_values_that_its_parameter_has() -> None:
    checked = 0
    for name, parameter in EVERY:
        for number, component in enumerate(parameter.components):
            assert absolute(parameter, number) <= set(parameters(name)[component.code].places)
            checked += bool(parameter.contexts)
    assert checked > 50


def test_the_compartment_is_made_of_references_to_patients() -> None:
    for name, codes in patient_compartment().items():
        for code in codes:
            parameter = parameters(name)[code]
            assert parameter.kind is Kind.REFERENCE
            assert not parameter.targets or "Patient" in parameter.targets
            assert set(parameter.sources) <= compartment_slots(name)
    focus = parameters("Observation")["focus"]
    assert focus.slot not in compartment_slots("Observation")
    assert compartment_slots("Device") == frozenset()
