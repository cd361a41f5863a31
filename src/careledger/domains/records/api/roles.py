"""What a site's roles and purposes of use open: compartments, and for some roles only certain types.

This is organisation policy, the outermost of the layers that intersect (role, purpose, SMART scope, patient in
context, consent, labels). A role that is not listed opens nothing. The restricted compartments are open only to
those who treat in them, to the patient, and to the records office.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from careledger.domains.records.service.compartments import COMPARTMENTS, Compartment
from careledger.domains.records.service.index.scope import DIRECTORY_TYPES
from careledger.web.principal import Purpose

_NORMAL: Final = frozenset({Compartment.NORMAL})
_ALL: Final = frozenset(COMPARTMENTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RolePolicy:
    """What one role opens."""

    compartments: frozenset[Compartment]
    types: frozenset[str] | None = None
    """Resource types, or None for all that the site serves."""
    is_patient: bool = False
    """Whether only the own record is open, whatever the token's scopes say."""


ROLES: Final[dict[str, RolePolicy]] = {
    "clinician": RolePolicy(compartments=_NORMAL),
    "pharmacist": RolePolicy(compartments=_NORMAL),
    "psychiatrist": RolePolicy(compartments=_NORMAL | {Compartment.MENTAL_HEALTH}),
    "addiction-specialist": RolePolicy(
        compartments=_NORMAL | {Compartment.MENTAL_HEALTH, Compartment.SUBSTANCE_USE}
    ),
    "gynaecologist": RolePolicy(compartments=_NORMAL | {Compartment.SEXUAL_REPRODUCTIVE}),
    "infectiologist": RolePolicy(compartments=_NORMAL | {Compartment.SEXUAL_REPRODUCTIVE, Compartment.HIV}),
    "geneticist": RolePolicy(compartments=_NORMAL | {Compartment.GENETICS}),
    "safeguarding": RolePolicy(compartments=_NORMAL | {Compartment.VIOLENCE}),
    "front-desk": RolePolicy(
        compartments=_NORMAL,
        types=DIRECTORY_TYPES
        | {"Patient", "RelatedPerson", "Appointment", "AppointmentResponse", "Schedule", "Slot", "Coverage"},
    ),
    "records-officer": RolePolicy(compartments=_ALL),
    "patient": RolePolicy(compartments=_ALL, is_patient=True),
    "system": RolePolicy(compartments=_NORMAL),
    "integration": RolePolicy(compartments=_ALL),
}
"""By name, as a token's claim `role` has it. `integration` is an interface engine that writes for everybody."""

PURPOSES: Final[dict[Purpose, frozenset[Compartment]]] = {
    Purpose.TREATMENT: _ALL,
    Purpose.EMERGENCY: _ALL,
    Purpose.PATIENT_REQUEST: _ALL,
    Purpose.OPERATIONS: _NORMAL,
    Purpose.PAYMENT: _NORMAL,
    Purpose.RESEARCH: _NORMAL,
    Purpose.PUBLIC_HEALTH: _NORMAL,
    Purpose.LEGAL: _NORMAL,
}
"""What a purpose opens at most: nothing restricted is opened but to treat, or for the patient."""


def open_compartments(role: str, purpose: Purpose) -> frozenset[Compartment]:
    """Return the compartments that a role may see for a purpose."""
    policy = ROLES.get(role)
    return policy.compartments & PURPOSES[purpose] if policy is not None else frozenset()


def denied_bits(role: str, purpose: Purpose) -> int:
    """Return the label bits of all compartments that stay closed."""
    is_open = open_compartments(role, purpose)
    return sum(one.bit for one in COMPARTMENTS if one not in is_open)
