"""What a requester may see of a site's records, as the index applies it.

Owns the structure only. Whoever evaluates roles, SMART scopes, consents and labels (they intersect) builds one
`Scope`; the index applies it in SQL to every resource that an answer would contain or that a chain, `_has`,
inclusion or count passes through. What a scope does not allow does not exist.

The default of every field is the closed one; `Scope.everything()` is for the site's own maintenance.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from careledger.domains.records.service.index.schema import EVERY_LABEL
from careledger.standards.fhir.search.elements import resource_types
from careledger.standards.fhir.search.query import Match

DENY_ALL: Final = EVERY_LABEL
"""Label bits that deny a resource whatever its labels."""

DIRECTORY_TYPES: Final = frozenset(
    {
        "Endpoint",
        "HealthcareService",
        "Location",
        "Medication",
        "Organization",
        "Practitioner",
        "PractitionerRole",
    }
)
"""Types that describe organisations, their people and their stock; a usual choice for `Scope.shared_types`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeScope:
    """One resource type that may be seen."""

    resource_type: str
    alternatives: tuple[tuple[Match, ...], ...] = ()
    """Without any, all resources of the type; else those that fulfil all matches of at least one alternative.

    This is how a granular SMART scope (`Observation.rs?category=laboratory`) is expressed. Matches come from
    `careledger.standards.fhir.search.request.parse_search`; chains are not allowed here.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What may be seen. All fields restrict; a resource must pass every one of them."""

    types: tuple[TypeScope, ...] = ()
    """Resource types that may be seen; others do not exist."""
    patients: frozenset[str] | None = frozenset()
    """Ids of the patients in one of whose compartments a resource must be; None for no such restriction."""
    shared_types: frozenset[str] = frozenset()
    """Types of which resources in no patient's compartment may be seen although `patients` restricts.

    Only name types that do not refer to patients: membership follows CompartmentDefinition, so a `Device` that
    names a patient is in no compartment.
    """
    denied_labels: int = 0
    """A resource with any of these label bits does not exist; `DENY_ALL` denies everything."""
    patient_denials: tuple[tuple[str, int], ...] = ()
    """Patient id and label bits: what is denied in that patient's compartment, as a consent has it.

    A resource in several compartments must be denied by none of them.
    """
    version: bytes = b""
    """Version of the consents and roles this was made from; page links end when it changes."""
    by_type: dict[str, TypeScope] = field(init=False, repr=False, compare=False, hash=False)
    """The types by name."""
    _digests: list[bytes] = field(init=False, repr=False, compare=False, hash=False, default_factory=list)
    """The digest once it was asked for; scopes are kept and asked often."""

    def __post_init__(self) -> None:
        """Check the types and their constraints.

        Raises:
            ValueError: A type is unknown or named twice, or a constraint is no plain match.
        """
        by_type = {entry.resource_type: entry for entry in self.types}
        if len(by_type) != len(self.types) or not set(by_type) <= set(resource_types()):
            raise ValueError("types of a scope must be known and distinct")
        constraints = [match for entry in self.types for matches in entry.alternatives for match in matches]
        if not all(isinstance(match, Match) for match in constraints):
            raise ValueError("constraints of a scope must be plain matches")
        object.__setattr__(self, "by_type", by_type)

    @classmethod
    def everything(cls) -> Scope:
        """Return the scope of the site itself."""
        return cls(types=all_types(), patients=None)

    def digest(self) -> bytes:
        """Return a digest that differs between scopes; page links are bound to it."""
        if not self._digests:
            self._digests.append(self._compute_digest())
        return self._digests[0]

    def _compute_digest(self) -> bytes:
        """Return the digest of all fields."""
        types = sorted(
            (
                entry.resource_type,
                [
                    [
                        (match.parameter.code, match.modifier.value, match.is_missing, repr(match.values))
                        for match in matches
                    ]
                    for matches in entry.alternatives
                ],
            )
            for entry in self.types
        )
        patients = None if self.patients is None else sorted(self.patients)
        labels = (self.denied_labels, sorted(self.patient_denials))
        parts = (types, patients, sorted(self.shared_types), labels, self.version)
        return hashlib.sha256(repr(parts).encode()).digest()


def all_types() -> tuple[TypeScope, ...]:
    """Return all resource types, without constraints."""
    return tuple(TypeScope(resource_type=name) for name in resource_types())
