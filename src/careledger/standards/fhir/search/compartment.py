"""Membership of patients' compartments.

Owns the rule of FHIR R4 CompartmentDefinition `patient`: a resource is in a patient's compartment exactly when one
of the search parameters listed for its type refers to the patient, or when it is the patient. No other reference
counts; `Observation.focus`, for one, confers nothing.
"""

from __future__ import annotations

from functools import cache

from careledger.standards.fhir.search.elements import patient_compartment
from careledger.standards.fhir.search.parameters import parameters
from careledger.standards.fhir.search.rows import Rows

PATIENT = "Patient"


@cache
def compartment_slots(resource_type: str) -> frozenset[int]:
    """Return the slots whose references place a resource of that type in a patient's compartment."""
    known = parameters(resource_type)
    codes = patient_compartment().get(resource_type, ())
    return frozenset(source for code in codes if code in known for source in known[code].sources)


def find_patients(resource_type: str, resource_id: str, rows: Rows) -> tuple[str, ...]:
    """Return the ids of the patients in whose compartments a resource is, ascending, each once.

    Args:
        resource_type: type of the resource.
        resource_id: its id.
        rows: what was extracted from it; references to this server's patients only count.
    """
    slots = compartment_slots(resource_type)
    found = {target_id for slot, target, target_id in rows.references if target == PATIENT and slot in slots}
    if resource_type == PATIENT:
        found.add(resource_id)
    return tuple(sorted(found))
