"""What a requester may see and do: from a principal to the scopes that the index applies.

Owns the intersection of the layers: role and purpose (`roles`), SMART scopes with their queries, the patient in
context, consents (`ports.ConsentPolicy`). The result says per interaction letter (`c r u d s`) which types, whose
records and which labels exist for the requester; whatever else there is, does not.

An interaction that a token allows for no resource of a type is refused as such (403): that follows from the token
alone and tells nothing about what exists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from careledger.domains.records.api.ports import ConsentPolicy, Restriction
from careledger.domains.records.api.roles import ROLES, denied_bits
from careledger.domains.records.api.served_types import SERVED_TYPES, WRITABLE_TYPES
from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.index.scope import DENY_ALL, DIRECTORY_TYPES, Scope, TypeScope
from careledger.primitives.errors import Rejected
from careledger.standards.fhir.search.query import Match, SearchRejected
from careledger.standards.fhir.search.request import parse_query_string, parse_search
from careledger.web.errors import SCOPE_INSUFFICIENT
from careledger.web.principal import Principal

LETTERS: Final = "cruds"
CACHE_ENTRIES_MAX: Final = 2_000
_WRITES: Final = frozenset("cud")


@dataclass(slots=True)
class Access:
    """One requester's rights, as of one version of the consents."""

    principal: Principal
    scopes: dict[str, Scope]
    """Per letter what exists for that interaction."""
    patients: frozenset[str] | None
    """Patients whose records alone are open; None for no such limit."""
    consent_version: int

    def may(self, letter: str, resource_type: str) -> bool:
        """Whether the interaction is allowed with any resource of the type."""
        return resource_type in self.scopes[letter].by_type

    def require(self, letter: str, resource_type: str) -> Scope:
        """Return what exists for an interaction with a type.

        Raises:
            Rejected: SCOPE_INSUFFICIENT.
        """
        scope = self.scopes[letter]
        if resource_type not in scope.by_type:
            raise Rejected(SCOPE_INSUFFICIENT)
        return scope

    def sees(self, letter: str, resource_type: str, compartment: Compartment) -> bool | None:
        """Whether a version may be seen, as far as its type and compartment decide it alone.

        Returns:
            None where the index must be asked: patients, consents or a scope's query have a say.
        """
        scope = self.scopes[letter]
        entry = scope.by_type.get(resource_type)
        if entry is None or scope.denied_labels & (compartment.bit | DENY_ALL):
            return False
        if scope.patients is not None or scope.patient_denials or entry.alternatives:
            return None
        return True


class AccessPolicy:
    """Makes `Access` from principals; keeps it per token until consents change."""

    def __init__(self, consents: ConsentPolicy, *, own_base: str, clock_ms: Callable[[], int]) -> None:
        """Build the policy.

        Args:
            consents: what patients decided.
            own_base: the FHIR base URL with its final slash.
            clock_ms: current time.
        """
        self._consents = consents
        self._own_base = own_base
        self._clock_ms = clock_ms
        self._cache: dict[str, Access] = {}

    def access_of(self, principal: Principal) -> Access:
        """Return a principal's rights of now."""
        version = self._consents.version()
        known = self._cache.get(principal.token_id)
        if known is not None and known.principal is principal and known.consent_version == version:
            return known
        made = self._make(principal, version)
        if len(self._cache) >= CACHE_ENTRIES_MAX:
            del self._cache[next(iter(self._cache))]
        self._cache[principal.token_id] = made
        return made

    def _make(self, principal: Principal, version: int) -> Access:
        role = ROLES.get(principal.role)
        denied = denied_bits(principal.role, principal.purpose) if role is not None else DENY_ALL
        restriction = self._consents.restrict(principal)
        patients = _patients_of(principal, is_patient=role is not None and role.is_patient)
        allowed = SERVED_TYPES if role is None or role.types is None else SERVED_TYPES & role.types
        # Page links live as long as this: a renewed token goes on with them, another person or consent does not.
        stamp = repr((principal.subject, principal.client_id, restriction.version)).encode()
        scopes = {}
        for letter in LETTERS:
            types = allowed & WRITABLE_TYPES if letter in _WRITES else allowed
            scopes[letter] = Scope(
                types=tuple(
                    entry
                    for name in sorted(types)
                    if (entry := self._type_scope(principal, name, letter)) is not None
                ),
                patients=patients,
                shared_types=frozenset() if patients is None or letter in _WRITES else DIRECTORY_TYPES,
                denied_labels=denied,
                patient_denials=_denials_of(restriction, patients),
                version=stamp,
            )
        return Access(principal, scopes, patients, version)

    def _type_scope(self, principal: Principal, resource_type: str, letter: str) -> TypeScope | None:
        """Return what the token's scopes allow of a type, or None."""
        alternatives: list[tuple[Match, ...]] = []
        is_allowed = False
        for scope in principal.scopes.for_type(resource_type, letter):
            if not scope.query:
                return TypeScope(resource_type=resource_type)
            matches = self._read_query(resource_type, scope.query)
            if matches is not None:
                is_allowed = True
                alternatives.append(matches)
        if not is_allowed:
            return None
        return TypeScope(resource_type=resource_type, alternatives=tuple(alternatives))

    def _read_query(self, resource_type: str, text: str) -> tuple[Match, ...] | None:
        """Return the criteria of a scope; None for one that cannot be applied, which then allows nothing."""
        try:
            query = parse_search(
                resource_type, parse_query_string(text), now_ms=self._clock_ms(), own_base=self._own_base
            )
        except SearchRejected:
            return None
        conditions = query.branches[0].conditions
        matches = tuple(condition for condition in conditions if isinstance(condition, Match))
        return matches if matches and len(matches) == len(conditions) else None


def _patients_of(principal: Principal, *, is_patient: bool) -> frozenset[str] | None:
    """Return the patients whose records alone are open.

    A token with any scope in a patient's context is held to that patient as a whole, and a patient to their own
    record: the narrower reading where SMART leaves the combination open. Without a patient, such a token opens
    nobody's record.
    """
    if not is_patient and not principal.scopes.has_patient_context:
        return None
    own = {principal.patient} if principal.patient else set()
    kind, _, own_id = principal.fhir_user.partition("/")
    if is_patient and kind == "Patient" and own_id:
        own = {own_id} if not own or principal.patient == own_id else set()
    return frozenset(own)


def _denials_of(restriction: Restriction, patients: frozenset[str] | None) -> tuple[tuple[str, int], ...]:
    """Return the denials that can matter: a token for one patient needs no one else's."""
    if patients is None:
        return restriction.denials
    return tuple((patient, bits) for patient, bits in restriction.denials if patient in patients)
