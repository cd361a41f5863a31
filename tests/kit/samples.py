"""Small FHIR resources, written here: no person behind any of them."""

from __future__ import annotations

import uuid

from careledger.domains.records.service.changes import Change
from careledger.domains.records.service.package import Method
from careledger.standards.fhir.json_reader import read_resource
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.json_writer import write_json


def patient(family: str = "Testperson", birth_date: str = "1970-01-02") -> JsonObject:
    """A patient."""
    return {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:example:number", "value": family}],
        "name": [{"family": family, "given": ["Alex"]}],
        "gender": "other",
        "birthDate": birth_date,
    }


def observation(patient_id: str, value: str = "1.50", code: str = "718-7") -> JsonObject:
    """A laboratory result."""
    raw = f"""{{"resourceType": "Observation", "status": "final",
      "code": {{"coding": [{{"system": "http://loinc.org", "code": "{code}"}}]}},
      "subject": {{"reference": "Patient/{patient_id}"}},
      "effectiveDateTime": "2026-01-02T03:04:05Z",
      "valueQuantity": {{"value": {value}, "unit": "g/dL"}}}}"""
    return read_resource(raw.encode())


def organization(name: str = "Example House") -> JsonObject:
    """A directory entry, in no patient's record."""
    return {"resourceType": "Organization", "name": name}


def create(value: JsonObject, resource_id: str | None = None) -> Change:
    """Creation of a resource under a new random id."""
    return Change(
        method=Method.CREATE,
        resource_type=str(value["resourceType"]),
        resource_id=resource_id or str(uuid.uuid4()),
        value=value,
        submitted=b" " + write_json(value),
    )


def update(value: JsonObject, resource_id: str, if_match: int | None = None) -> Change:
    """New version of a resource."""
    return Change(
        method=Method.UPDATE,
        resource_type=str(value["resourceType"]),
        resource_id=resource_id,
        value=value,
        submitted=write_json(value),
        if_match=if_match,
    )


def delete(resource_type: str, resource_id: str, if_match: int | None = None) -> Change:
    """Deletion of a resource."""
    return Change(
        method=Method.DELETE, resource_type=resource_type, resource_id=resource_id, if_match=if_match
    )
