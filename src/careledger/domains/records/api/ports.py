"""What the FHIR façade needs of others: audit, consent, evidence, other organisations, the patients' match.

Each is a small Protocol; the composition root hands in what fulfils it. Reads and writes themselves go to
`service.store`, `service.writer` and `service.index`, which belong to this domain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from careledger.domains.records.service.changes import Written
from careledger.domains.records.service.compartments import Compartment
from careledger.standards.fhir.json_types import JsonObject
from careledger.storage.sqlite import Connection
from careledger.web.principal import Principal

Action: TypeAlias = Literal["create", "read", "update", "delete", "query"]
"""What was done, in the words of IHE BALP."""

AlsoWrite: TypeAlias = Callable[[Connection, Sequence[Written]], None]
"""Writes further rows inside the transaction of a write."""

PatientsOf: TypeAlias = Callable[[Written], Sequence[str]]
"""Ids of the patients whose records a written version belongs to."""


@dataclass(slots=True, kw_only=True)
class Seen:
    """One version that an answer contains."""

    resource_type: str
    resource_id: str
    version: int
    stream: int
    """Stream it belongs to, which says whose record it is."""


@dataclass(slots=True, kw_only=True)
class AccessEvent:
    """One access, to be made durable before it is answered."""

    principal: Principal
    action: Action
    interaction: str
    """FHIR's name of the interaction or operation, such as `search-type` or `$everything`."""
    seen: tuple[Seen, ...]
    """What the answer contains; empty for a search that found nothing."""
    query: str = ""
    """Search criteria as they came; kept only in the audit event itself."""
    patient: str = ""
    """Id of the patient whose compartment was asked for, where the request names it."""
    request_id: str = ""


class AccessTrail(Protocol):
    """Keeps who looked at what (IHE BALP)."""

    async def note(self, access: AccessEvent) -> None:
        """Keep an access; durable when this returns.

        Raises:
            Unavailable: It cannot be kept, so nothing may be disclosed.
        """

    def note_write(self, access: AccessEvent, patients_of: PatientsOf) -> AlsoWrite:
        """Return what keeps a write's access inside the write's own transaction; it adds what was written."""

    def patient_of(self, stream: int) -> str | None:
        """Return the id of the patient a stream belongs to; None for what belongs to no patient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """What patients' decisions take away from a requester."""

    denials: tuple[tuple[str, int], ...] = ()
    """Patient id and label bits that are denied in that patient's compartment."""
    version: bytes = b""
    """Changes when any of it does."""


class ConsentPolicy(Protocol):
    """What patients' consents say about this organisation's own people."""

    def version(self) -> int:
        """Return a number that grows with every change; cheap, asked on every request."""

    def restrict(self, principal: Principal) -> Restriction:
        """Return what is denied to a requester."""


class ProofSource(Protocol):
    """Makes evidence that a version is unaltered and on the ledger."""

    async def prove(self, resource_type: str, resource_id: str, version: int) -> JsonObject:
        """Return the evidence as a JSON document that `careledger verify` reads.

        Raises:
            Rejected: Unknown, gone or erased.
            Unavailable: Not on the ledger yet, or the ledger's view cannot be read.
        """


Allows: TypeAlias = Callable[[str, Compartment], bool]
"""Whether the requester may see resources of a type in a compartment, wherever they come from."""


class SharedHistory(Protocol):
    """Gathers a patient's record from all organisations that the patient allows."""

    async def gather(
        self,
        principal: Principal,
        patient_id: str,
        *,
        custodian: str,
        all_versions: bool,
        allows: Allows,
        request_id: str,
    ) -> JsonObject:
        """Return a Bundle with what was obtained, of whom, and with what proof.

        Args:
            principal: who asks.
            patient_id: the patient here.
            custodian: only this organisation; empty for all.
            all_versions: every version, rather than each resource's current one.
            allows: what the requester may see; nothing else may be in the Bundle.
            request_id: for the access log.

        Raises:
            Unavailable: The ledger's view is too old to decide about disclosures.
        """


class NoConsents:
    """The policy of a site whose patients have decided nothing: role, scope and labels alone decide."""

    def version(self) -> int:
        """Return always the same."""
        return 0

    def restrict(self, principal: Principal) -> Restriction:
        """Deny nothing further."""
        del principal
        return Restriction()
