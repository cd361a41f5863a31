"""Whose record a resource belongs to, told from its value alone: the access log must name the patient of a write.

The rule is `standards.fhir.search.compartment`'s (FHIR R4 CompartmentDefinition `patient`); this is its short way,
which looks only at the references that count, about 2 µs a resource. Tests hold the two to each other.
"""

from __future__ import annotations

from functools import cache

from careledger.standards.fhir.json_types import Json, JsonObject
from careledger.standards.fhir.search.compartment import PATIENT, compartment_slots
from careledger.standards.fhir.search.elements import Key, Operation
from careledger.standards.fhir.search.expression import Equals
from careledger.standards.fhir.search.parameters import parameters
from careledger.standards.fhir.search.read_references import split_reference

_Path = tuple[Key | Equals, ...]


@cache
def _paths(resource_type: str) -> tuple[_Path, ...]:
    """Return the ways to the references that place a resource of a type in a patient's compartment."""
    slots = compartment_slots(resource_type)
    found = {
        tuple(step for step in place.operations if isinstance(step, (Key, Equals))): None
        for parameter in parameters(resource_type).values()
        if parameter.slot in slots
        for place in parameter.places
        if place.type_name == "Reference" and _leads_to_patients(place.operations)
    }
    return tuple(found)


def _leads_to_patients(operations: tuple[Operation, ...]) -> bool:
    only = getattr(operations[-1], "type_name", PATIENT)
    return only == PATIENT


def patients_of(resource_type: str, resource_id: str, value: JsonObject, own_base: str) -> tuple[str, ...]:
    """Return the ids of the patients in whose compartments a resource is, ascending."""
    found: set[str] = set()
    for path in _paths(resource_type):
        _collect(value, path, 0, own_base, found)
    if resource_type == PATIENT:
        found.add(resource_id)
    return tuple(sorted(found))


def _collect(value: Json, path: _Path, at: int, own_base: str, found: set[str]) -> None:
    if type(value) is list:
        for item in value:
            _collect(item, path, at, own_base, found)
        return
    if type(value) is not dict:
        return
    if at == len(path):
        text = value.get("reference")
        if type(text) is str:
            target, target_id = split_reference(text, own_base)
            if target == PATIENT:
                found.add(target_id)
        return
    step = path[at]
    if isinstance(step, Key):
        _collect(value.get(step.name), path, at + 1, own_base, found)
    elif value.get(step.name) == step.literal:
        _collect(value, path, at + 1, own_base, found)
