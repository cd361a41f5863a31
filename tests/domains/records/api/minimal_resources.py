"""The smallest valid resource of each type, put together from the facts of the standard."""

from __future__ import annotations

from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.structure import Element, is_complex_type, type_facts, value_set

PRIMITIVES: dict[str, object] = {
    "boolean": True,
    "integer": 1,
    "positiveInt": 1,
    "unsignedInt": 1,
    "decimal": 1,
    "string": "x",
    "markdown": "x",
    "code": "x",
    "id": "x",
    "uri": "urn:x",
    "url": "urn:x",
    "canonical": "urn:x",
    "oid": "urn:oid:1.2",
    "uuid": "urn:uuid:0f3c1c52-97f2-4a51-9f8e-3b2b6c1d7e10",
    "date": "2020-01-01",
    "dateTime": "2020-01-01",
    "instant": "2020-01-01T00:00:00Z",
    "time": "10:00:00",
    "base64Binary": "eA==",
    "xhtml": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>',
}
COMPLEX: dict[str, JsonObject] = {
    "CodeableConcept": {"text": "x"},
    "Coding": {"code": "x"},
    "Identifier": {"system": "urn:x", "value": "x"},
    "HumanName": {"family": "x"},
    "Period": {"start": "2020-01-01"},
    "Quantity": {"value": 1},
    "SimpleQuantity": {"value": 1},
    "Duration": {"value": 1},
    "Age": {"value": 1},
    "Money": {"value": 1, "currency": "EUR"},
    "Timing": {"event": ["2020-01-01"]},
    "ContactPoint": {"system": "phone", "value": "1"},
    "Range": {"low": {"value": 1}},
    "Ratio": {"numerator": {"value": 1}, "denominator": {"value": 1}},
    "Annotation": {"text": "x"},
    "Attachment": {"title": "x"},
    "Expression": {"language": "text/fhirpath", "expression": "true"},
    "UsageContext": {"code": {"code": "x"}, "valueCodeableConcept": {"text": "x"}},
    "DataRequirement": {"type": "Patient"},
    "Signature": {
        "type": [{"code": "x"}],
        "when": "2020-01-01T00:00:00Z",
        "who": {"display": "x"},
    },
    "Dosage": {"text": "x"},
    "TriggerDefinition": {"type": "named-event", "name": "x"},
}


def build_minimal(resource_type: str, patient_id: str) -> JsonObject:
    """Return a resource with what its type requires."""
    return {"resourceType": resource_type, **_members(resource_type, patient_id, 6)}


def _members(type_name: str, patient_id: str, depth: int) -> JsonObject:
    made: JsonObject = {}
    for element in type_facts(type_name).elements:
        if element.is_required:
            kind = element.types[0]
            value = _value(element, kind, patient_id, depth)
            made[element.json_name(kind)] = [value] if element.is_list else value
    return made


def _value(element: Element, kind: str, patient_id: str, depth: int) -> object:
    if kind == "Reference":
        if not element.targets or "Patient" in element.targets:
            return {"reference": f"Patient/{patient_id}"}
        return {"reference": f"{min(element.targets)}/x"}
    if kind == "code" and element.values:
        return min(min(codes) for codes in value_set(element.values).values())
    if kind in PRIMITIVES:
        return PRIMITIVES[kind]
    if kind in COMPLEX:
        return COMPLEX[kind]
    if kind == "Resource":
        return {"resourceType": "Basic", "code": {"text": "x"}}
    if is_complex_type(kind) and depth:
        return _members(kind, patient_id, depth - 1) or {"id": "x"}
    return {}
